"""Tent: entropy, lowered by scales and shifts alone, under the target's own statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from dakit import methods, models
from dakit.training import fit
from tests.methods.align.deep_toys import LEARN, mean_accuracy
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, pictures

SOURCE, TARGET = blobs(), blobs(100, shift=1.0, seed=1, name="moved")


def small(seed=0, norm="batch", **options):
    backbone = {"name": "mlp", "hidden": (6,), "norm": norm}
    return methods.build("tent", SOURCE, backbone=backbone, seed=seed, **options)


def test_both_stages_by_hand():
    method = small()
    source, target = batch_pair()
    log_p = method.logits(source.x).log_softmax(1)[torch.arange(12), source.y]
    label = method.losses(source, None, 0.49)["label"]
    assert label.item() == pytest.approx(-log_p.mean().item(), rel=1e-5)

    linear, norm = method.backbone.layers[1], method.backbone.layers[2]
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0), norm.bias.uniform_(-1, 1)
        h = linear(target.x).double()
        h = (h - h.mean(0)) / (h.var(0, correction=0) + norm.eps).sqrt() * norm.weight + norm.bias
        z = torch.relu(h) @ method.head.weight.T.double() + method.head.bias
        p = z.softmax(1)
    terms = method.losses(None, target, 0.5)
    assert list(terms) == ["entropy"]
    assert terms["entropy"].item() == pytest.approx(-(p * p.log()).sum(1).mean().item(), rel=1e-5)
    torch.testing.assert_close(method.answers.double(), z, atol=1e-5, rtol=1e-5)
    assert not method.answers.requires_grad


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_only_scales_and_shifts_move_in_the_second_stage(optimizer):
    method, seen = small(), []
    inner = method.losses

    def losses(source, target, progress):
        seen.append((progress, {k: v.clone() for k, v in method.named_parameters()}))
        return inner(source, target, progress)

    method.losses = losses
    fit(method, SOURCE, TARGET, optimizer=optimizer, weight_decay=0.1, **QUICK)
    switch = next(state for progress, state in seen if progress >= 0.5)
    first, last = seen[0][1], dict(method.named_parameters())
    affine = {"backbone.layers.2.weight", "backbone.layers.2.bias"}
    for name in first:
        assert not torch.equal(first[name], switch[name]), name
        assert torch.equal(switch[name], last[name]) == (name not in affine), name


def test_a_shift_that_the_statistics_undo_changes_nothing():
    """Batch normalisation behind a linear layer takes out what is added to all inputs."""
    method = small()
    target = batch_pair()[1]
    here = method.losses(None, target, 1.0)["entropy"]
    target.x = target.x + torch.tensor([3.0, -40.0, 0.5, 7.0])
    torch.testing.assert_close(method.losses(None, target, 1.0)["entropy"], here, atol=1e-4, rtol=0)
    other = small(norm="layer")
    one, two = (other.losses(None, t, 1.0)["entropy"] for t in (batch_pair()[1], target))
    assert abs(one - two) > 1e-3


def test_running_statistics_follow_the_target():
    method = small(pretrain=0.0, adapt_lr=0.0)
    fit(method, None, TARGET, **{**QUICK, "steps": 200})
    h = method.backbone.layers[1](TARGET.x)
    torch.testing.assert_close(method.backbone.layers[2].running_mean, h.mean(0), atol=0.2, rtol=0)


def test_a_zero_rate_leaves_all_weights_of_the_first_stage():
    still, moved = (fit(small(adapt_lr=r), SOURCE, TARGET, **QUICK).method.state_dict() for r in (0.0, 0.1))
    key = "backbone.layers.2.weight"
    assert not torch.equal(still[key], moved[key])
    assert torch.equal(still["head.weight"], moved["head.weight"])


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: nn.LayerNorm(4), 2),
        (lambda: nn.GroupNorm(2, 4), 2),
        (lambda: nn.InstanceNorm1d(4, affine=True), 2),
        (lambda: nn.RMSNorm(4), 1),
        (lambda: nn.BatchNorm1d(4), 2),
    ],
)
def test_every_kind_of_normalisation_counts(make, count):
    backbone = nn.Sequential(nn.Linear(4, 4), make())
    backbone.out_features = 4
    assert len(methods.Tent(backbone, 2).affine()) == count


def test_a_backbone_without_scales_is_refused():
    words = "tent tunes the scales of normalisation layers, but the backbone MLP has none: take one with normalisation"
    with pytest.raises(ValueError, match=words):
        small(norm="none")
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False))
    plain.out_features = 4
    with pytest.raises(ValueError, match="the backbone Sequential has none"):
        methods.Tent(plain, 2)


def test_auto_means_batch_normalisation():
    assert methods.build("tent", SOURCE).backbone.spec["norm"] == "batch"
    assert methods.build("tent", pictures()).backbone.spec["norm"] == "batch"
    assert methods.build("source_only", SOURCE).backbone.spec["norm"] == "none"
    assert models.build("mlp", (4,)).spec["norm"] == "none"


def test_it_lowers_the_entropy_and_beats_its_first_stage_under_a_shift_of_statistics():
    source = blobs(300)
    target = blobs(300, seed=1)
    target = type(target)("dimmed", 0.3 * target.x + 0.5, target.y, target.classes)
    backbone = {"name": "mlp", "hidden": (16, 8), "norm": "batch"}

    def group(**options):
        make = lambda s: methods.build("tent", source, backbone=backbone, seed=s, **options)  # noqa: E731
        return fit(make, source, target, seeds=3, **LEARN)

    plain, still, tuned = group(pretrain=1.0), group(adapt_lr=0.0), group()
    assert mean_accuracy(tuned, target) > mean_accuracy(plain, target)
    entropy = [
        np.mean([run.history["target_entropy"].dropna().iloc[-1] for run in runs]) for runs in (still, tuned)
    ]
    assert entropy[1] < entropy[0]
