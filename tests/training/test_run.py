import json

import numpy as np
import pytest
import torch
from torch import nn

from dakit import methods
from dakit.domains.domain import Domain
from dakit.training import Run, Runs, fit
from tests.methods.test_methods import sources
from tests.training.toys import QUICK, blobs, pair, pictures, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


@pytest.mark.parametrize("name", methods.names())
def test_a_saved_run_comes_back_as_it_was(tmp_path, name):
    source, target = sources(name), pair(name)[1]
    run = fit(name, source, target, **QUICK)
    assert run.save(tmp_path / "run") == tmp_path / "run"
    back = Run.load(tmp_path / "run")
    assert same(weights(run), weights(back))
    assert type(back.method) is type(run.method)
    assert back.method.hyperparameters() == run.method.hyperparameters()
    assert back.history.equals(run.history)
    assert (back.config, back.versions, back.seed, back.seconds) == (
        run.config,
        run.versions,
        run.seed,
        run.seconds,
    )
    assert np.array_equal(back.logits(target), run.logits(target))
    assert np.array_equal(back.source_index, run.source_index)
    for a, b in zip(run.snapshots, back.snapshots):
        assert a.step == b.step
        assert all(np.array_equal(getattr(a, k), getattr(b, k)) for k in a.ARRAYS)


def test_pictures_and_batch_norm_come_back_too(tmp_path):
    source = pictures()
    backbone = {"name": "lenet", "width": 8, "features": 16, "norm": "batch"}
    run = fit(methods.build("dan", source, backbone=backbone), source, source.unlabeled(), **QUICK)
    run.save(tmp_path)
    assert np.array_equal(Run.load(tmp_path).logits(source), run.logits(source))


def test_the_folder_holds_json_and_safetensors_and_no_pickle(tmp_path):
    run = fit("dann", SOURCE, TARGET, **QUICK)
    for _ in range(2):  # saving again leaves nothing behind
        run.save(tmp_path)
        files = sorted(p.name for p in tmp_path.iterdir())
        assert files[0] == "run.json"
        assert len(files) == 2
        assert files[1].endswith(".safetensors")
    values = json.loads((tmp_path / "run.json").read_text())
    assert values["config"]["method"]["name"] == "dann"
    assert values["versions"]["torch"] == torch.__version__
    start = (tmp_path / files[1]).read_bytes()[:64]
    assert int.from_bytes(start[:8], "little") < 10**6
    assert start[8:9] == b"{"
    assert b"PK" not in start[:4]


def test_a_save_that_is_cut_short_leaves_the_old_run(tmp_path, monkeypatch):
    from dakit.training import store

    old = fit("dann", SOURCE, TARGET, **QUICK)
    old.save(tmp_path)

    def dies(*_):
        raise OSError("disk full")

    monkeypatch.setattr(store.os, "replace", dies)
    with pytest.raises(OSError, match="disk full"):
        fit("dann", SOURCE, TARGET, seed=1, **QUICK).save(tmp_path)
    assert same(weights(Run.load(tmp_path)), weights(old))


def test_loading_needs_the_method_where_it_is_not_dakits_own(tmp_path):
    class Mine(nn.Module):
        out_features = 3

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return self.layer(x)

    run = fit(methods.build("source_only", SOURCE, backbone=Mine()), SOURCE, TARGET, **QUICK)
    run.save(tmp_path)
    with pytest.raises(ValueError, match=r"not one of dakit's own .* pass method="):
        Run.load(tmp_path)
    back = Run.load(tmp_path, methods.build("source_only", SOURCE, backbone=Mine()))
    assert np.array_equal(back.logits(TARGET), run.logits(TARGET))
    with pytest.raises(ValueError, match=r"which this SourceOnly lacks|do not fit this SourceOnly"):
        Run.load(tmp_path, methods.build("source_only", SOURCE))


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run in .*: it holds no run\.json"):
        Run.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no runs"):
        Runs.load(tmp_path)
    fit("dann", SOURCE, TARGET, **QUICK).save(tmp_path)
    values = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**values, "form": 99}))
    with pytest.raises(ValueError, match="written by a later version of dakit"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**values, "tensors": "../secret.safetensors"}))
    with pytest.raises(ValueError, match="not a file of that folder"):
        Run.load(tmp_path)


def test_the_run_says_what_it_is_in_one_line():
    run = fit("dann", SOURCE, TARGET, **QUICK)
    assert repr(run).startswith("Run 'dann' on blobs -> moved: seed 0, 20 steps, ")
    assert run.features(TARGET).shape == (100, 64)
    assert run.logits(TARGET.x).shape == (100, 2)
    assert set(run.predict(TARGET)) <= {0, 1}


def test_runs_summarise_their_seeds_and_come_back(tmp_path):
    runs = fit("dann", SOURCE, TARGET, seeds=3, **QUICK)
    table = runs.summary()
    last = [r.history["label"].iloc[-1] for r in runs]
    assert table.loc["label", "mean"] == pytest.approx(np.mean(last))
    assert table.loc["label", "sd"] == pytest.approx(np.std(last, ddof=1))
    assert table.loc["seconds", "min"] > 0
    assert runs.accuracies(TARGET) == pytest.approx([r.evaluate(TARGET).accuracy for r in runs])
    runs.save(tmp_path)
    back = Runs.load(tmp_path)
    assert [r.seed for r in back] == [0, 1, 2]
    assert all(same(weights(a), weights(b)) for a, b in zip(runs, back))
    assert repr(runs).startswith("3 runs\n  Run 'dann'")


def test_a_run_can_look_at_a_domain_of_other_size():
    run = fit("source_only", SOURCE, TARGET, **QUICK)
    one = Domain("one", TARGET.x[:1], TARGET.y[:1], TARGET.classes)
    assert run.evaluate(one).n == 1
