"""Several sources, no target, no source: what ``fit`` makes of them."""

import numpy as np
import pytest
import torch

from dakit import losses, methods, models
from dakit.domains import Domain, DomainSet, pool
from dakit.methods.method import Method
from dakit.training import Run, fit
from tests.training.toys import CLASSES, QUICK, blobs, same, weights

SIZES_AND_SHIFTS = {"a": (40, 0), "b": (60, 1), "c": (30, 2)}
A, B, C = (blobs(n, shift=s, seed=n, name=name) for name, (n, s) in SIZES_AND_SHIFTS.items())
TARGET = blobs(50, shift=4, seed=9, name="target")


class Watcher(Method):
    """Learns from the pooled sources and notes what it was shown."""

    uses_target = False
    min_sources = 2

    def __init__(self, backbone, num_classes: int) -> None:
        super().__init__(backbone, num_classes)
        self.seen = []

    def losses(self, source, target, progress):
        self.seen.append((source, target))
        return {"label": losses.cross_entropy(self.logits(source.x), source.y)}


class TargetOnly(Method):
    """Makes the target's predictions sure; there is no source."""

    uses_source = False

    def losses(self, source, target, progress):
        assert source is None
        p = self.logits(target.x).softmax(dim=1)
        return {"entropy": -(p * p.clamp_min(1e-8).log()).sum(dim=1).mean()}


def watcher(cls=Watcher) -> Method:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(models.build("mlp", (4,), hidden=(8,)), 2)


def test_a_batch_holds_as_many_of_every_source():
    run = fit(watcher(), [A, B, C], None, **QUICK)
    everything = pool([A, B, C])
    for source, target in run.method.seen:
        assert target is None
        assert source.sizes == (16, 16, 16)
        assert source.group.tolist() == [0] * 16 + [1] * 16 + [2] * 16
        assert torch.equal(source.x, everything.x[source.index])
        assert torch.equal(source.y, everything.y[source.index])
        parts = source.parts()
        assert [len(p) for p in parts] == [16, 16, 16]
        for part, start, end in zip(parts, (0, 40, 100), (40, 100, 130)):
            assert ((part.index >= start) & (part.index < end)).all()
        assert torch.equal(torch.cat([p.x for p in parts]), source.x)
    assert run.config["source"]["name"] == "a + b + c"
    assert run.config["target"] is None
    assert "-> none" in repr(run)


def test_a_small_source_is_clipped_and_the_others_are_not():
    few = A.subset(np.arange(5), name="few")
    run = fit(watcher(), DomainSet("two", [few, B]), None, **QUICK)
    assert run.method.seen[0][0].sizes == (5, 16)
    assert run.config["notes"] == ["'few' has 5 examples, so its batches hold 5 instead of 16"]


def test_one_source_in_a_list_is_that_source():
    a = fit("dann", A, TARGET, **QUICK)
    b = fit("dann", [A], TARGET, **QUICK)
    assert same(weights(a), weights(b))
    assert a.rows == b.rows


def test_every_method_takes_pooled_sources():
    run = fit("dann", [A, B], TARGET, **QUICK)
    assert run.evaluate(pool([A, B])).accuracy > 0.8
    assert run.method.num_classes == 2


def test_source_only_needs_no_target_and_is_the_same_with_one():
    alone = fit("source_only", A, None, **QUICK)
    beside = fit("source_only", A, TARGET, **QUICK)
    assert same(weights(alone), weights(beside))
    assert alone.snapshots[-1].target_features.shape == (0, 64)
    assert beside.snapshots[-1].target_features.shape == (50, 64)
    assert "target_spread" not in alone.history
    assert "transfer" not in alone.health()
    assert alone.evaluate(TARGET).accuracy == beside.evaluate(TARGET).accuracy


def test_no_source():
    run = fit(watcher(TargetOnly), None, TARGET, **QUICK)
    assert run.config["source"] is None
    assert run.config["classes"] == list(CLASSES)
    assert "source_accuracy" not in run.history
    assert run.history["entropy"].iloc[-1] < run.history["entropy"].dropna().iloc[0]
    assert run.snapshots[0].source_features.shape == (0, 8)
    assert "source" not in run.health()
    nameless = Domain("nameless", TARGET.x)
    assert fit(watcher(TargetOnly), None, nameless, **QUICK).config["classes"] == ["class 0", "class 1"]


def test_resuming_with_several_sources_goes_on_to_the_same_bits(tmp_path):
    def stop(run):
        if 0 < run.step < 20:
            raise KeyboardInterrupt

    whole = fit(watcher(), [A, B], None, **QUICK)
    part = fit(watcher(), [A, B], None, on_snapshot=stop, **QUICK)
    assert not part.finished
    again = fit(watcher(), [A, B], None, resume=part, **QUICK)
    assert same(weights(whole), weights(again))


def test_a_run_without_target_is_saved_and_read_back(tmp_path):
    run = fit("source_only", [A, B], None, **QUICK)
    read = Run.load(run.save(tmp_path / "run"))
    assert read.config == run.config
    assert read.snapshots[-1].target_features.shape == (0, 64)


def test_what_is_missing_is_told():
    for sources in ([A], A):
        with pytest.raises(ValueError, match=r"Watcher needs at least 2 source domains, got 1"):
            fit(watcher(), sources, None, **QUICK)
    with pytest.raises(ValueError, match="DANN adapts to a target, but target is None"):
        fit("dann", A, None, **QUICK)
    with pytest.raises(ValueError, match="learns from a labelled source, but source is None"):
        fit(watcher(), None, TARGET, **QUICK)
    with pytest.raises(ValueError, match="without a source there is nothing to build 'dann' from"):
        fit("dann", None, TARGET, **QUICK)
    with pytest.raises(TypeError, match="source must be a Domain, a DomainSet or a list of Domains, got str"):
        fit("dann", "emoji", TARGET, **QUICK)
    with pytest.raises(TypeError, match="source 1 must be a Domain, got Tensor"):
        fit("dann", [A, A.x], TARGET, **QUICK)
    with pytest.raises(ValueError, match="source holds no domain"):
        fit("dann", [], TARGET, **QUICK)
    with pytest.raises(ValueError, match="source domain 'b' has no labels"):
        fit(watcher(), [A, B.unlabeled()], None, **QUICK)


def test_side_reaches_the_modules_that_have_one_and_is_restored():
    method = methods.build("source_only", A)
    method.backbone.side = "target"
    with method.on("source"):
        assert method.side == method.backbone.side == "source"
    assert method.side == method.backbone.side == "target"
    with pytest.raises(ValueError, match="side must be 'source' or 'target', got 'left'"), method.on("left"):
        pass


def test_snapshots_read_each_domain_on_its_own_side():
    class Sided(Watcher):
        min_sources = 1

        def features(self, x):
            return super().features(x) + (100.0 if self.side == "source" else 0.0)

    run = fit(watcher(Sided), A, TARGET, **QUICK)
    assert run.snapshots[-1].source_features.min() > 50
    assert run.snapshots[-1].target_features.max() < 50
    assert run.features(A, side="source").min() > 50
    assert run.features(A).max() < 50
