"""Interrupted and resumed equals uninterrupted, bit for bit on a CPU."""

import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from dakit import methods
from dakit.methods.method import Method
from dakit.training import Run, fit
from tests.training.toys import QUICK, blobs, noisy, pictures, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
JITTER = {"augment": lambda x, g: x + 0.1 * torch.randn(x.shape, generator=g)}


def equal(a: Run, b: Run) -> None:
    assert same(weights(a), weights(b))
    assert a.rows == b.rows
    assert [s.step for s in a.snapshots] == [s.step for s in b.snapshots]
    for s, t in zip(a.snapshots, b.snapshots):
        assert all(np.array_equal(getattr(s, k), getattr(t, k)) for k in s.ARRAYS)
    assert np.array_equal(a.source_index, b.source_index)


def stop_at(step: int, how: str):
    """A Method factory whose training is interrupted in the middle of a step."""

    def make(seed: int):
        method = noisy()(seed)
        inner, calls = method.losses, []

        def losses(*args):
            calls.append(1)
            terms = inner(*args)
            if len(calls) == step:
                if how == "signal":
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    raise KeyboardInterrupt
            return terms

        method.losses = losses
        return method

    return make


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("every", [1, 7, 10])
def test_resumed_from_a_checkpoint_equals_uninterrupted(tmp_path, optimizer, every):
    options = {**QUICK, **JITTER, "optimizer": optimizer, "seed": 3}
    whole = fit(noisy(), SOURCE, TARGET, **options)

    class Crash(Exception):
        pass

    def crash(run):
        if run.step == 13:
            raise Crash

    with pytest.raises(Crash):
        fit(
            noisy(), SOURCE, TARGET, checkpoint=tmp_path, checkpoint_every=every, on_snapshot=crash, **options
        )
    torch.manual_seed(99)
    torch.rand(5)
    kept = Run.load(tmp_path)
    assert kept.step == {1: 12, 7: 7, 10: 10}[every]
    assert not kept.finished
    equal(fit(noisy(), SOURCE, TARGET, resume=tmp_path, **options), whole)
    equal(fit(noisy(), SOURCE, TARGET, resume=kept, **options), whole)


@pytest.mark.parametrize("step", [1, 2, 8, 19])
def test_an_interrupt_gives_the_run_so_far_and_no_step_is_lost(tmp_path, step):
    whole = fit(noisy(), SOURCE, TARGET, **QUICK, **JITTER)
    before = signal.getsignal(signal.SIGINT)
    run = fit(stop_at(step, "signal"), SOURCE, TARGET, **QUICK, **JITTER)
    assert signal.getsignal(signal.SIGINT) is before
    assert run.step == step, "the step at hand is done before the interrupt is obeyed"
    assert not run.finished
    assert run.history["step"].iloc[-1] <= step
    run.save(tmp_path)
    from_disk = fit(noisy(), SOURCE, TARGET, resume=tmp_path, **QUICK, **JITTER)
    equal(from_disk, whole)
    equal(fit(noisy(), SOURCE, TARGET, resume=run, **QUICK, **JITTER), whole)


def test_an_interrupt_raised_inside_a_step_does_that_step_again():
    plain = {**QUICK, **JITTER}
    make = {"backbone": {"name": "mlp", "hidden": (8,), "dropout": 0.3}}
    whole = fit(lambda seed: methods.build("dann", SOURCE, seed=seed, **make), SOURCE, TARGET, **plain)

    def stopping(seed):
        method = methods.build("dann", SOURCE, seed=seed, **make)
        inner, calls = method.losses, []

        def losses(*args):
            calls.append(1)
            terms = inner(*args)
            if len(calls) == 9:
                raise KeyboardInterrupt
            return terms

        method.losses = losses
        return method

    run = fit(stopping, SOURCE, TARGET, **plain)
    assert run.step == 8
    equal(
        fit(
            lambda seed: methods.build("dann", SOURCE, seed=seed, **make), SOURCE, TARGET, resume=run, **plain
        ),
        whole,
    )


def test_an_interrupt_from_on_snapshot_stops_there():
    def stop(run):
        if run.step == 7:
            raise KeyboardInterrupt

    whole = fit(noisy(), SOURCE, TARGET, **QUICK)
    run = fit(noisy(), SOURCE, TARGET, on_snapshot=stop, **QUICK)
    assert run.step == 7
    equal(fit(noisy(), SOURCE, TARGET, resume=run, **QUICK), whole)


def test_the_state_is_that_of_the_interrupt_whatever_happens_to_the_method_after():
    whole = fit(noisy(), SOURCE, TARGET, **QUICK)
    run = fit(stop_at(8, "signal"), SOURCE, TARGET, **QUICK)
    with torch.no_grad():
        for p in run.method.parameters():
            p.zero_()
    equal(fit(noisy(), SOURCE, TARGET, resume=run, **QUICK), whole)


def test_pictures_in_channels_last_resume_to_the_same_bits(tmp_path):
    source, target = pictures(), pictures(dark=0.5, seed=1)
    small = {"name": "lenet", "width": 8, "features": 16, "norm": "batch"}
    options = {**QUICK, "memory_format": "channels_last", "augment": "shift+flip", "steps": 8}

    def make(seed):
        return methods.build("dann", source, backbone=small, seed=seed)

    whole = fit(make, source, target, **options)
    fit(make, source, target, checkpoint=tmp_path / "a", **options)

    def stop(run):
        if run.step == 3:
            raise KeyboardInterrupt

    fit(make, source, target, checkpoint=tmp_path / "b", on_snapshot=stop, **options)
    equal(fit(make, source, target, resume=tmp_path / "b", **options), whole)


def test_a_finished_run_is_given_back():
    run = fit("dann", SOURCE, TARGET, **QUICK)
    assert fit("dann", SOURCE, TARGET, resume=run, **QUICK) is run


def test_a_run_goes_on_only_with_its_own_settings_and_data(tmp_path):
    def stop(run):
        if run.step == 7:
            raise KeyboardInterrupt

    fit("dann", SOURCE, TARGET, on_snapshot=stop, checkpoint=tmp_path, **QUICK)
    for change, words in (
        ({"lr": 0.5}, "the run was started with lr=0.01, this call has lr=0.5; use the same"),
        ({"steps": 30}, "started with steps=20, this call has steps=30"),
        ({"seed": 1}, "started with seed=0, this call has seed=1"),
    ):
        with pytest.raises(ValueError, match=words):
            fit("dann", SOURCE, TARGET, resume=tmp_path, **{**QUICK, **change})
    with pytest.raises(ValueError, match="started with source="):
        fit("dann", blobs(seed=8), TARGET, resume=tmp_path, **QUICK)
    with pytest.raises(ValueError, match="started with method="):
        fit(lambda s: methods.build("dann", SOURCE, lambda_=0.5), SOURCE, TARGET, resume=tmp_path, **QUICK)
    with pytest.raises(FileNotFoundError, match="no run in"):
        fit("dann", SOURCE, TARGET, resume=tmp_path / "nowhere", **QUICK)
    with pytest.raises(ValueError, match="with seeds= or sweep= resume the runs one by one"):
        fit("dann", SOURCE, TARGET, resume=tmp_path, seeds=2, **QUICK)


def test_an_interrupt_ends_a_series_of_seeds():
    runs = fit(stop_at(5, "signal"), SOURCE, TARGET, seeds=3, **QUICK)
    assert [r.step for r in runs] == [5]


def test_fit_works_outside_the_main_thread():
    result = []
    thread = threading.Thread(target=lambda: result.append(fit("dann", SOURCE, TARGET, **QUICK)))
    thread.start()
    thread.join()
    assert same(weights(result[0]), weights(fit("dann", SOURCE, TARGET, **QUICK)))


class _Remembers(Method):
    """Makes a buffer of a size that only the data tell, at every epoch."""

    def prepare(self, source, target, progress):
        with torch.no_grad():
            self.register_buffer("bank", self.features(target.x) + torch.rand(1))

    def losses(self, source, target, progress):
        pull = (self.features(target.x) - self.bank[target.index]).pow(2).mean()
        return {"label": nn.functional.cross_entropy(self.logits(source.x), source.y), "pull": pull}


def test_what_a_method_prepared_survives_resuming(tmp_path):
    def make(seed):
        return _Remembers(methods.build("source_only", SOURCE, seed=seed).backbone, 2)

    def stop(run):
        if run.step == 13:
            raise KeyboardInterrupt

    whole = fit(make, SOURCE, TARGET, **QUICK)
    fit(make, SOURCE, TARGET, on_snapshot=stop, checkpoint=tmp_path, **QUICK)
    equal(fit(make, SOURCE, TARGET, resume=tmp_path, **QUICK), whole)
