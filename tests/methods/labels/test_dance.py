"""DANCE: neighbours, entropies, and a threshold that says unknown."""

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
from tests.methods.labels.class_worlds import circle, corners, moved, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, poisoned, same, weights

SOURCE = circle(60, 4)
TARGET = moved(circle(50, 4, seed=1), 2.0)


def dance(seed=0, source=SOURCE, **options):
    return methods.build("dance", source, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


def batch_of(method, n=12):
    """Both batches, with the memory filled."""
    source, _ = batch_pair(n, SOURCE)
    method.prepare(SOURCE, TARGET, 0.0)
    method.train()
    return source, Batch(TARGET.x[:n], None, torch.arange(n), 1)


def h(p) -> float:
    return -sum(float(v) * math.log(float(v)) for v in p)


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_by_loops():
    method = dance(lambda_=0.3, temperature=0.2, margin=0.1)
    source, target = batch_of(method)
    with torch.no_grad():
        w = F.normalize(method.head.weight, dim=1)
        fs, ft, memory = (F.normalize(method.features(x), dim=1) for x in (source.x, target.x, TARGET.x))
        label = neighbours = separation = 0.0
        for i in range(12):
            p = (fs[i] @ w.T / 0.2).softmax(0)
            label -= math.log(p[source.y[i]]) / 12
            others = torch.cat([memory[:i], memory[i + 1 :], w])  # all of the memory but the example itself
            neighbours += h((others @ ft[i] / 0.2).softmax(0)) / 12
            distance = abs(h((ft[i] @ w.T / 0.2).softmax(0)) - math.log(4) / 2)
            separation -= distance / 12 if distance > 0.1 else 0.0
    terms = {k: v.item() for k, v in method.losses(source, target, 0.5).items()}
    expected = {"label": label, "neighbours": 0.3 * neighbours, "separation": 0.3 * separation}
    assert terms == pytest.approx(expected, rel=1e-4)
    assert list(terms) == list(expected)


def test_unknown_wins_exactly_where_the_entropy_exceeds_half_its_maximum():
    method = dance(temperature=0.1)
    z = method.logits(TARGET.x).detach()
    assert z.shape == (50, 5)
    entropies = torch.tensor([h(row[:4].softmax(0)) for row in z])
    unknown = z.argmax(1) == 4
    assert torch.equal(unknown, entropies > math.log(4) / 2)
    assert 0 < unknown.sum() < 50
    torch.testing.assert_close(z[:, :4], method.classify(method.features(TARGET.x)))
    found = method.diagnostics(method.features(SOURCE.x), method.features(TARGET.x))
    assert found["target_unknown"] == pytest.approx(unknown.float().mean().item())


# -- what makes it DANCE ----------------------------------------------------------------------------------------


def test_the_memory_holds_every_target_feature_and_follows_the_batches():
    method = dance()
    source, target = batch_of(method)
    whole = F.normalize(method.features(TARGET.x), dim=1).detach()
    torch.testing.assert_close(method.memory, whole)
    method.backbone.layers[1].bias.data += 0.5
    method.prepare(SOURCE, TARGET, 0.3)  # filled once
    torch.testing.assert_close(method.memory, whole)
    method.losses(source, target, 0.5)
    now = F.normalize(method.features(TARGET.x), dim=1).detach()
    torch.testing.assert_close(method.memory, torch.cat([now[:12], whole[12:]]))
    assert not method.memory.requires_grad
    assert torch.equal(method.state_dict()["memory"], method.memory)


def test_neither_length_of_features_nor_of_prototypes_counts():
    method = dance()
    source, target = batch_of(method)
    memory = method.memory.clone()
    before = method.losses(source, target, 0.5)
    method.memory.copy_(memory)
    method.head.weight.data *= 7
    layer = method.backbone.layers[1]
    layer.weight.data *= 3  # relu scales along
    layer.bias.data *= 3
    for name, value in method.losses(source, target, 0.5).items():
        torch.testing.assert_close(value, before[name], rtol=1e-3, atol=1e-5)
    assert method.head.bias is None


def test_lambda_zero_is_a_cosine_classifier_of_the_source():
    method, hand = dance(lambda_=0.0), dance(lambda_=0.0)
    source, target = batch_of(method)
    sum(method.losses(source, target, 0.5).values()).backward()
    cosine = F.cosine_similarity(hand.backbone(source.x)[:, None], hand.head.weight[None], dim=2)
    F.cross_entropy(cosine / 0.05, source.y).backward()
    for (name, p), q in zip(method.named_parameters(), hand.parameters()):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_the_label_loss_reads_the_source_and_the_others_the_target():
    method = dance(margin=0.0)
    source, target = batch_of(method)
    for term in ("label", "neighbours", "separation"):
        xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
        terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
        gs, gt = torch.autograd.grad(terms[term], (xs, xt))
        assert bool(gs.any()) == (term == "label")
        assert bool(gt.any()) == (term != "label")


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    found = [weights(fit("dance", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_a_run_is_saved_and_loaded_with_its_memory(tmp_path):
    run = fit("dance", SOURCE, TARGET, **QUICK)
    run.save(tmp_path)
    again = type(run).load(tmp_path)
    assert torch.equal(again.method.memory, run.method.memory)
    assert len(again.method.memory) == 50


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lambda_": -1.0}, "lambda_ must be a number of at least 0, got -1"),
        ({"temperature": 0.0}, "temperature must be a number of more than 0, got 0"),
        ({"margin": -0.1}, "margin must be a number of at least 0, got -0.1"),
    ],
)
def test_bad_hyperparameters_are_told(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        dance(**options)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_tells_the_unknown_better_than_its_own_threshold_alone_in_universal_adaptation():
    """4 classes shared, 4 the source's, 2 the target's; mean HOS of 3 seeds against λ = 0 with the same threshold.

    Features have 256 dimensions. With 32 it is the other way round in a pilot: HOS 0.01 against 0.37, as the method's
    docstring says of narrow features.
    """
    source, target = category_gap(
        corners(500, 10),
        moved(corners(500, 10, seed=1), 2.0),
        shared=["a", "b", "c", "d"],
        source_private=["e", "f", "g", "h"],
        target_private=["i", "j"],
    )

    def hos(lambda_):
        group = runs(
            "dance", source, target, hidden=(256,), settings={"lr": 0.01, "steps": 150}, lambda_=lambda_
        )
        answers = [outputs(run.method, target.x)[1].argmax(1) for run in group]
        return np.mean([open_set_scores(target.y, a, 8).hos for a in answers])

    assert hos(0.05) > hos(0.0)
