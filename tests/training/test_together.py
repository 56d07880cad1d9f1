"""Several runs in one vectorised pass: the same as one after another."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dakit import methods
from dakit.training import NonFiniteLoss, Runs, fit
from tests.training.toys import QUICK, blobs, pictures, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2, seed=1, name="moved")
DOUBLE = [replace(d, x=d.x.double()) for d in (SOURCE, TARGET)]
LONG = QUICK | {"steps": 60, "log_every": 10}


def double(name: str, **more):
    """A function (seed, …) -> Method in double precision, in which rounding stays small over many steps."""

    def make(seed: int, **hyperparameters):
        backbone = {"name": "mlp", "hidden": (8, 8)}
        return methods.build(name, SOURCE, backbone=backbone, seed=seed, **more, **hyperparameters).double()

    return make


def close(a: dict, b: dict, tolerance: float) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], rtol=tolerance, atol=tolerance) for k in a)


@pytest.mark.parametrize("name", ["source_only", "dann", "deep_coral", "mcc", "cdan", "cmd", "dan", "afn"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_runs_of_one_pass_are_the_single_runs(name, optimizer):
    settings = LONG | {"optimizer": optimizer, "weight_decay": 1e-3}
    together = fit(double(name), *DOUBLE, seeds=3, together=True, **settings)
    single = fit(double(name), *DOUBLE, seeds=3, together=False, **settings)
    assert [r.seed for r in together] == [0, 1, 2]
    for a, b in zip(together, single):
        assert close(weights(a), weights(b), 1e-9)
        assert a.finished and a.config == b.config
        assert list(a.history) == list(b.history)
        np.testing.assert_allclose(a.history.to_numpy(), b.history.to_numpy(), rtol=1e-7, atol=1e-9)
        for s, t in zip(a.snapshots, b.snapshots):
            assert s.step == t.step
            np.testing.assert_allclose(s.target_features, t.target_features, atol=1e-6)
        assert a.evaluate(DOUBLE[1]).accuracy == b.evaluate(DOUBLE[1]).accuracy
    assert not same(weights(together[0]), weights(together[1]))


def test_in_single_precision_they_agree_to_rounding():
    together = fit("dann", SOURCE, TARGET, seeds=4, seed=3, together=True, **QUICK)
    single = fit("dann", SOURCE, TARGET, seeds=4, seed=3, together=False, **QUICK)
    assert all(close(weights(a), weights(b), 1e-4) for a, b in zip(together, single))


def test_a_sweep_gives_each_value_its_runs():
    values = [0.0, 0.3, 1.0]
    together = fit(double("dann"), *DOUBLE, sweep={"lambda_": values}, seeds=2, together=True, **LONG)
    assert [r.config["method"]["hyperparameters"]["lambda_"] for r in together] == [
        0.0,
        0.0,
        0.3,
        0.3,
        1.0,
        1.0,
    ]
    assert [r.seed for r in together] == [0, 1] * 3
    for run in together:
        value = run.config["method"]["hyperparameters"]["lambda_"]
        single = fit(double("dann", lambda_=value), *DOUBLE, seed=run.seed, **LONG)
        assert close(weights(run), weights(single), 1e-9)
    plain = fit(double("source_only"), *DOUBLE, schedule="dann", **LONG)
    backbone = {k: v for k, v in weights(together[0]).items() if k.startswith("backbone")}
    assert close(backbone, {k: weights(plain)[k] for k in backbone}, 1e-9)  # λ = 0 never moves the backbone


def test_a_sweep_by_name():
    runs = fit("dan", SOURCE, TARGET, sweep={"lambda_": [0.1, 1.0]}, **QUICK)
    assert [r.method.lambda_ for r in runs] == [0.1, 1.0]


def test_several_sources_in_one_pass():
    sources = [DOUBLE[0], replace(DOUBLE[1], name="second")]
    a, b = (fit(double("dann"), sources, DOUBLE[1], seeds=2, together=t, **LONG) for t in (True, False))
    assert all(close(weights(x), weights(y), 1e-9) for x, y in zip(a, b))


def test_an_interrupt_leaves_runs_that_can_go_on(tmp_path):
    def stop(run):
        if run.step and run.seed == 1:
            raise KeyboardInterrupt

    whole = fit(double("dann"), *DOUBLE, seeds=2, together=True, **LONG)
    part = fit(double("dann"), *DOUBLE, seeds=2, together=True, on_snapshot=stop, checkpoint=tmp_path, **LONG)
    assert {r.step for r in part} == {20}
    for run, end in zip(part, whole):
        again = fit(double("dann")(run.seed), *DOUBLE, seed=run.seed, resume=run, **LONG)
        assert close(weights(again), weights(end), 1e-9)
    read = fit(double("dann")(1), *DOUBLE, seed=1, resume=tmp_path / "seed-1", **LONG)
    assert close(weights(read), weights(whole[1]), 1e-9)


def test_checkpoints_of_every_run(tmp_path):
    fit("dann", SOURCE, TARGET, seeds=2, checkpoint=tmp_path, checkpoint_every=5, together=True, **QUICK)
    assert [r.step for r in Runs.load(tmp_path)] == [20, 20]
    sweep = {"lambda_": [0.5, 1.0]}
    fit("dann", SOURCE, TARGET, sweep=sweep, checkpoint=tmp_path / "sweep", together=True, **QUICK)
    (run,) = Runs.load(tmp_path / "sweep" / "lambda_=0.5")
    assert run.method.lambda_ == 0.5


@pytest.mark.parametrize(
    ("make", "domains", "settings", "why"),
    [
        (lambda s: methods.build("mcd", SOURCE, seed=s), (SOURCE, TARGET), {}, "MCD has several players"),
        (
            lambda s: methods.build("dann", SOURCE, backbone={"name": "mlp", "norm": "batch"}, seed=s),
            (SOURCE, TARGET),
            {},
            "BatchNorm1d keeps running statistics",
        ),
        (
            lambda s: methods.build("dann", SOURCE, backbone={"name": "mlp", "dropout": 0.5}, seed=s),
            (SOURCE, TARGET),
            {},
            "dropout draws random numbers",
        ),
        ("dann", (pictures(), pictures(seed=1)), {"augment": "shift"}, "augmentation draws random numbers"),
        ("dann", (SOURCE, TARGET), {"precision": "bf16"}, "precision bf16 is not float32"),
        ("dann", (SOURCE, TARGET), {"resident_gb": 0.0}, "stream from outside the device"),
        ("dann", (SOURCE, TARGET), {"sweep": {"hidden": [5, 10]}}, "weights differ in shape"),
        ("dann", (SOURCE, TARGET), {"sweep": {"ramp": [True, False]}}, "ramp is no number"),
    ],
)
def test_what_cannot_be_together_is_told_and_done_one_after_another(make, domains, settings, why, caplog):
    settings = {"seeds": 2} | QUICK | settings
    with pytest.raises(ValueError, match=f"together=True: .*{why}"):
        fit(make, *domains, together=True, **settings)
    with caplog.at_level("INFO", logger="dakit"):
        runs = fit(make, *domains, **settings)
    assert len(runs) >= 2 and all(r.finished for r in runs)
    if domains[0].kind == "flat":
        assert why.split(".*")[-1] in caplog.text


class _Slowing(methods.SourceOnly):
    """Its learning rate falls with a hyper-parameter that the losses do not know."""

    def __init__(self, backbone, num_classes, *, slope=0.0):
        super().__init__(backbone, num_classes)
        self.slope = slope

    def lr_factor(self, progress):
        return 1 - self.slope * progress


def test_a_sweep_of_the_learning_rates_course_goes_one_after_another():
    def make(seed, slope):
        return _Slowing(methods.build("source_only", SOURCE, seed=seed).backbone, 2, slope=slope)

    runs = fit(make, SOURCE, TARGET, sweep={"slope": [0.0, 0.5]}, **QUICK)
    assert [r.rows[-1]["lr"] / r.rows[0]["lr"] for r in runs] == pytest.approx([1.0, 0.5])
    with pytest.raises(ValueError, match="together=True: their learning rates follow different schedules"):
        fit(make, SOURCE, TARGET, sweep={"slope": [0.0, 0.5]}, together=True, **QUICK)


def test_pictures_go_one_after_another_unless_asked():
    domains = pictures(), pictures(seed=1)
    backbone = {"name": "lenet", "width": 4, "norm": "none"}

    def make(seed):
        return methods.build("source_only", domains[0], backbone=backbone, seed=seed)

    apart = fit(make, *domains, seeds=2, **QUICK)
    assert same(weights(apart[1]), weights(fit(make(1), *domains, seed=1, **QUICK)))
    plain = QUICK | {"memory_format": "contiguous"}
    together = fit(make, *domains, seeds=2, together=True, **plain)
    assert all(close(weights(a), weights(b), 1e-3) for a, b in zip(together, apart))


def test_one_run_that_diverges_is_named():
    with pytest.raises(NonFiniteLoss, match=r"the loss term 'label' became nan at step \d+"):
        fit("source_only", SOURCE, TARGET, seeds=2, together=True, **QUICK | {"lr": 1e30})


def test_bad_series_are_told():
    with pytest.raises(ValueError, match="sweep must name one hyper-parameter and its values"):
        fit("dann", SOURCE, TARGET, sweep={"lambda_": [1], "hidden": [2]}, **QUICK)
    with pytest.raises(ValueError, match="sweep holds no value of 'lambda_'"):
        fit("dann", SOURCE, TARGET, sweep={"lambda_": []}, **QUICK)
    with pytest.raises(TypeError, match="method 'dann' has no hyper-parameter 'lamda'"):
        fit("dann", SOURCE, TARGET, sweep={"lamda": [1, 2]}, **QUICK)
    with pytest.raises(ValueError, match="together must be 'auto', True or False, got 'yes'"):
        fit("dann", SOURCE, TARGET, seeds=2, together="yes", **QUICK)
    with pytest.raises(ValueError, match="sweep= start every run from its own weights"):
        fit(methods.build("dann", SOURCE), SOURCE, TARGET, sweep={"lambda_": [1, 2]}, **QUICK)
