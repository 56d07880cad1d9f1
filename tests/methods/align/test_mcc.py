"""Minimum class confusion: one more term on the target's logits, and what it reaches."""

import pytest
import torch

from dakit import losses, methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, **options):
    return methods.build("mcc", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


def test_the_losses_by_hand():
    method = small(mu=3.0, temperature=1.7)
    source, target = batch_pair()
    terms = method.losses(source, target, 0.5)
    y = (method.logits(target.x) / 1.7).softmax(1)
    w = 1 + (y * y.log()).sum(1).exp()
    c = sum(12 * w[i] / w.sum() * torch.outer(y[i], y[i]) for i in range(12))
    off = c[0, 1] / c[0].sum() + c[1, 0] / c[1].sum()
    assert list(terms) == ["label", "confusion"]
    assert terms["confusion"].item() == pytest.approx(3.0 * off.item() / 2, rel=1e-5)
    log_p = torch.log_softmax(method.logits(source.x), dim=1)
    assert terms["label"].item() == pytest.approx(-log_p[torch.arange(12), source.y].mean().item(), rel=1e-5)


def test_mu_zero_takes_the_path_of_source_only():
    adapted = weights(fit(methods.build("mcc", SOURCE, mu=0.0), SOURCE, TARGET, **QUICK))
    for key, value in weights(fit("source_only", SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(adapted[key], value, atol=1e-5), key


def test_a_vast_temperature_leaves_nothing_to_learn():
    """All predictions are uniform then: the confusion is at its maximum and flat."""
    method = small(temperature=1e8)
    term = method.losses(*batch_pair(), 0.5)["confusion"]
    term.backward()
    assert term.item() == pytest.approx(0.5)
    assert method.head.weight.grad.abs().max() < 1e-6


def test_the_label_loss_reads_the_source_and_the_confusion_the_target():
    method = small()
    source, target = batch_pair()
    for term, of_source in (("label", True), ("confusion", False)):
        xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
        terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
        gs, gt = torch.autograd.grad(terms[term], (xs, xt))
        assert bool(gs.any()) == of_source, term
        assert bool(gt.any()) != of_source, term


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    runs = [weights(fit("mcc", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_bad_hyperparameters_are_told():
    with pytest.raises(ValueError, match="mu must be a number of at least 0, got -1"):
        small(mu=-1)
    with pytest.raises(ValueError, match="temperature must be a number of more than 0, got 0"):
        small(temperature=0)
    with pytest.raises(TypeError, match="temperature must be a number of more than 0, got 'hot'"):
        small(temperature="hot")


def test_it_lowers_the_confusion_and_beats_source_only_where_clusters_keep_apart():
    """Two clusters moved towards the border, so that a part of one crosses it."""
    source, target = blobs(300), blobs(300, seed=1)
    target = type(target)("moved", target.x + torch.tensor([1.5, 0, 0, 0]), target.y, target.classes)
    options = {**QUICK, "steps": 300, "batch_size": 64, "snapshots": 0, "seeds": 3}
    backbone = {"name": "mlp", "hidden": (16, 8)}
    runs = {
        name: fit(lambda s: methods.build(name, source, backbone=backbone, seed=s), source, target, **options)  # noqa: B023
        for name in ("source_only", "mcc")
    }
    accuracy = {name: group.accuracies(target).mean() for name, group in runs.items()}
    assert accuracy["mcc"] > accuracy["source_only"], accuracy
    confusion = {
        name: [losses.class_confusion(run.method.logits(target.x)).item() for run in group]
        for name, group in runs.items()
    }
    assert max(confusion["mcc"]) < min(confusion["source_only"]), confusion
