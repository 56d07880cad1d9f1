"""OSBP: the unknown class, and a backbone that climbs what the classifier descends."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dakit import methods
from dakit.domains import category_gap
from dakit.methods.method import Batch
from dakit.metrics import open_set_scores
from dakit.training import fit
from dakit.training.evaluate import outputs
from tests.methods.labels.class_worlds import circle, moved, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def osbp(seed=0, *, norm="none", **options):
    small = {"name": "mlp", "hidden": (6,), "norm": norm}
    return methods.build("osbp", SOURCE, backbone=small, seed=seed, **options)


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_by_hand():
    method = osbp(t=0.3)
    source, target = batch_pair()
    zs, zt = (method.classify(f).detach() for f in method.features_of_both(source, target))
    assert zs.shape == (12, 3)
    label = boundary = 0.0
    for i in range(12):
        e = zs[i].exp()
        label -= math.log(e[source.y[i]] / e.sum()) / 12
        p = float(zt[i].exp()[2] / zt[i].exp().sum())
        boundary -= (0.3 * math.log(p) + 0.7 * math.log(1 - p)) / 12
    terms = method.losses(source, target, 0.5)
    assert list(terms) == ["label", "boundary"]
    assert terms["label"].item() == pytest.approx(label, rel=1e-5)
    assert terms["boundary"].item() == pytest.approx(boundary, rel=1e-5)


def test_known_classes_keep_their_head_and_the_last_column_is_unknown():
    method = osbp().eval()
    f = method.features(SOURCE.x)
    z = method.logits(SOURCE.x)
    torch.testing.assert_close(z[:, :2], method.head(f))
    torch.testing.assert_close(z[:, 2:], method.unknown(f))
    torch.testing.assert_close(method.classify(f), z)


def test_diagnostics_are_shares_of_unknown():
    method = osbp()
    for part, bias in ((method.head, [0.0, 1.0]), (method.unknown, [0.5])):
        part.weight.data.zero_()
        part.bias.data = torch.tensor(bias)
    f = torch.randn(5, 6)
    assert method.diagnostics(f, f) == {"source_unknown": 0.0, "target_unknown": 0.0}
    method.unknown.bias.data += 1
    assert method.diagnostics(f, f) == {"source_unknown": 1.0, "target_unknown": 1.0}


# -- what makes it OSBP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lambda_", [0.4, 2.0])
def test_one_step_is_the_two_player_step(lambda_):
    method = osbp(lambda_=lambda_, t=0.5)
    source, target = batch_pair()
    g, c = list(method.backbone.parameters()), [*method.head.parameters(), *method.unknown.parameters()]
    sum(method.losses(source, target, 0.5).values()).backward()
    got = [p.grad.clone() for p in (*g, *c)]
    z = method.backbone(torch.cat([source.x, target.x]))
    z = (z - z.mean(0)) / (z.var(0, unbiased=False) + method.norm.eps).sqrt()
    z = torch.cat([z @ h.weight.T + h.bias for h in (method.head, method.unknown)], dim=1)
    label = F.cross_entropy(z[:12], source.y)
    p = z[12:].softmax(1)[:, 2]
    adversary = F.binary_cross_entropy(p, torch.full_like(p, 0.5))
    expected = torch.autograd.grad(label - lambda_ * adversary, g, retain_graph=True)
    expected += torch.autograd.grad(label + adversary, c)
    for a, b in zip(got, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_lambda_zero_leaves_the_backbone_to_the_source_and_the_classifier_to_both():
    source, target = batch_pair()
    gradients = []
    for lambda_ in (0.0, 3.0):
        method = osbp(lambda_=lambda_)
        boundary = method.losses(source, target, 0.5)["boundary"]
        backbone = torch.autograd.grad(boundary, list(method.backbone.parameters()), retain_graph=True)
        assert any(v.any() for v in backbone) == (lambda_ > 0)
        gradients.append(torch.autograd.grad(boundary, [method.head.weight, method.unknown.weight]))
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert torch.equal(gradients[0][1], gradients[1][1])
    assert gradients[0][1].any()


def test_a_step_of_the_backbone_drives_each_target_example_to_the_side_where_it_is():
    method = osbp().double()
    _, target = batch_pair()
    source = batch_pair()[0]
    source.x, target.x = source.x.double(), target.x.double()
    method.unknown.bias.data += 0.3  # so that some are on either side of one half

    def unknown():
        return method.classify(method.features_of_both(source, target)[1]).softmax(1)[:, 2].detach()

    before = unknown()
    assert 0 < (before > 0.5).sum() < 12
    method.losses(source, target, 0.5)["boundary"].backward()
    torch.optim.SGD(method.backbone.parameters(), lr=1e-3).step()
    further = (unknown() - 0.5).abs() - (before - 0.5).abs()
    assert further.mean() > 0


def test_features_cannot_grow_to_please_the_boundary():
    method = osbp()
    source, target = batch_pair()
    before = method.losses(source, target, 0.5)
    layer = method.backbone.layers[1]
    layer.weight.data *= 50  # relu scales along
    layer.bias.data *= 50
    for name, value in method.losses(source, target, 0.5).items():
        torch.testing.assert_close(value, before[name], rtol=0.02, atol=0.0)


def test_the_label_loss_reads_the_source_and_the_boundary_the_target():
    method = osbp().eval()  # in training, batch norm mixes the two
    source, target = batch_pair()
    for term, of_source in (("label", True), ("boundary", False)):
        xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
        terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
        gs, gt = torch.autograd.grad(terms[term], (xs, xt))
        assert bool(gs.any()) == of_source
        assert bool(gt.any()) != of_source


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    found = [weights(fit("osbp", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_evaluation_knows_the_unknown_class():
    source, target = category_gap(
        circle(60, 3), circle(60, 3, seed=1), shared=["a", "b"], target_private=["c"]
    )
    run = fit("osbp", source, target, **QUICK)
    found = run.evaluate(target)
    assert list(found.per_class) == ["a", "b", "unknown"] and found.confusion.shape == (3, 3)
    assert run.evaluate(source).confusion[:2].sum() == len(source)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lambda_": -1.0}, "lambda_ must be a number of at least 0, got -1"),
        ({"t": 0.0}, "t must be a number of more than 0 and at most 1, got 0"),
        ({"t": 1.0}, "t must lie strictly between 0 and 1, got 1"),
    ],
)
def test_bad_hyperparameters_are_told(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        osbp(**options)


# -- it works ---------------------------------------------------------------------------------------------------


def hos(group, target) -> float:
    answers = [outputs(run.method, target.x)[1].argmax(1) for run in group]
    return float(np.mean([open_set_scores(target.y, a, target.num_classes - 1).hos for a in answers]))


def test_it_finds_the_unknown_where_a_doubtful_source_classifier_does_not():
    """Three known classes of five on a circle, mean HOS of 3 seeds, against the best of three doubts in source_only.

    What the reversal adds is less clear in so small a world: in a pilot HOS was 0.80 with λ = 1 and 0.84 with λ = 0,
    where the classifier alone learns from the target; with layers of 128 and 64 units 0.50 and 0.80. Six classes each
    along an axis of its own gave 0.91 and 0.89, digits (optdigits to mnist, 6 known, 1 seed) 0.65 and 0.37.
    """
    source, target = category_gap(
        circle(600, 5), moved(circle(600, 5, seed=1), 2.0), shared=["a", "b", "c"], target_private=["d", "e"]
    )
    common = {"settings": {"lr": 0.01}}
    adapted, plain = runs("osbp", source, target, **common), runs("source_only", source, None, **common)
    rejecting = []
    for run in plain:
        p = outputs(run.method, target.x)[1].softmax(1)
        answers = [torch.where(p.max(1).values < doubt, 3, p.argmax(1)) for doubt in (0.5, 0.9, 0.99)]
        rejecting.append(max(open_set_scores(target.y, a, 3).hos for a in answers))
    assert hos(adapted, target) > np.mean(rejecting)
