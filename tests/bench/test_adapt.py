"""``adapt``: splits, parameters, and what is written."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from dakit.bench.adapt import adapt, parse_parameters
from dakit.domains import Domain
from dakit.training import Run

QUICK = {"steps": 10, "batch_size": 16, "progress": False}


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    y = torch.arange(60) % 3
    x = torch.tensor(rng.normal(size=(60, 5)), dtype=torch.float32) + y[:, None]
    return Domain("s", x, y, ("a", "b", "c")), Domain("t", x + 0.5, y, ("a", "b", "c"))


@pytest.mark.parametrize("method", ["source_only", "dann", "dan", "deep_coral"])
def test_target_labels_judge_and_do_nothing_else(pair, method):
    """Other target labels, or none: the same split, the same weights bit for bit, another accuracy."""
    source, target = pair
    poisoned = Domain("t", target.x, (target.y + 1) % 3, target.classes)
    exact = {"precision": "float32", "memory_format": "contiguous", **QUICK}
    results = [
        adapt(source, t, method=method, seeds=1, **exact) for t in (target, poisoned, target.unlabeled())
    ]
    weights = [r.comparison.runs[method, 0].method.state_dict() for r in results]
    for other in weights[1:]:
        assert all(torch.equal(value, other[key]) for key, value in weights[0].items())
    accuracies = [r.as_dict()["target_accuracy"] for r in results]
    assert accuracies[0]["mean"] != accuracies[1]["mean"]
    assert accuracies[2] is None


def test_what_is_written_can_be_read_back(pair, tmp_path):
    result = adapt(*pair, method="deep_coral", seeds=1, out=tmp_path, **QUICK)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["target_accuracy"] == result.as_dict()["target_accuracy"]
    run = Run.load(tmp_path / "deep_coral-seed0")
    test = result.comparison.tasks[0].target_test
    assert np.array_equal(run.logits(test), result.comparison.runs["deep_coral", 0].logits(test))
    for tensors in tmp_path.rglob("*.safetensors"):
        with safe_open(tensors, "pt") as f:
            assert list(f.keys())


def test_source_only_as_the_method_is_trained_once(pair):
    result = adapt(*pair, method="source_only", seeds=1, **QUICK)
    assert len(result.comparison.results) == 1
    assert result.as_dict()["gain"]["mean"] == 0


def test_bundled_pair_keeps_concepts_apart_unless_paired():
    for paired in (False, True):
        result = adapt(
            "emoji_features/noto",
            "emoji_features/twemoji",
            method="source_only",
            seeds=1,
            paired=paired,
            **QUICK,
        )
        task = result.comparison.tasks[0]
        shared = set(task.source.meta["concept"]) & set(task.target_test.meta["concept"])
        assert bool(shared) == paired


def test_paired_needs_one_set(pair):
    with pytest.raises(ValueError, match="two domains of one bundled set"):
        adapt(*pair, paired=True, **QUICK)


def test_parameters_are_literals_or_text():
    assert parse_parameters(["lambda_=0.5", "bandwidths=[1, 2]", "kernel=rbf", "flag=True"]) == {
        "lambda_": 0.5,
        "bandwidths": [1, 2],
        "kernel": "rbf",
        "flag": True,
    }
    with pytest.raises(ValueError, match="NAME=VALUE"):
        parse_parameters(["=3"])


def test_several_sources(pair):
    source, target = pair
    second = Domain("second", source.x + 0.2, source.y, source.classes)
    result = adapt([source, second], target, method="vrex", seeds=2, **QUICK)
    assert result.as_dict()["source"] == "s + second"
    run = result.comparison.runs["vrex", 0]
    assert run.config["source"]["n"] == 96
    alone = adapt([source], target, method="dann", seeds=1, **QUICK)
    assert alone.as_dict()["source"] == "s"
    styles = [f"emoji_features/{name}" for name in ("noto", "twemoji")]
    emoji = adapt(styles, "emoji_features/emojione", method="erm", seeds=1, **QUICK)
    task = emoji.comparison.tasks[0]
    concepts = [set(d.meta["concept"]) for d in (task.source, task.target, task.target_test)]
    assert not concepts[0] & (concepts[1] | concepts[2])


def test_bad_sources(pair):
    source, target = pair
    with pytest.raises(ValueError, match="source holds no domain"):
        adapt([], target, **QUICK)
    with pytest.raises(ValueError, match="IRM needs at least 2 source domains, got 1"):
        adapt(source, target, method="irm", seeds=1, **QUICK)
    with pytest.raises(ValueError, match="paired needs one source domain"):
        adapt(["emoji/noto", "emoji/twemoji"], "emoji/emojione", paired=True, **QUICK)
