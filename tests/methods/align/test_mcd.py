"""Maximum classifier discrepancy: three phases, who moves in which, and in which direction."""

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from dakit import methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
PLAIN = {**QUICK, "momentum": 0.0, "lr": 0.1}


def small(seed=0, **options):
    return methods.build("mcd", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


def players(method):
    return {
        "f": list(method.backbone.parameters()),
        "heads": [*method.head.parameters(), *method.head2.parameters()],
    }


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_of_each_phase_by_hand():
    method = small()
    source, target = batch_pair()
    fs, ft = method.backbone(source.x), method.backbone(target.x)
    label = sum(
        -torch.log_softmax(h(fs), 1)[torch.arange(12), source.y].mean() for h in (method.head, method.head2)
    )
    p, q = (h(ft).exp() / h(ft).exp().sum(1, keepdim=True) for h in (method.head, method.head2))
    d = sum(abs((p[i, j] - q[i, j]).item()) for i in range(12) for j in range(2)) / 24
    expected = {
        "classify": {"label": label.item()},
        "disagree": {"label": label.item(), "discrepancy": -d},
        "agree": {"discrepancy": d},
    }
    assert method.phase == "classify"
    for method.phase, values in expected.items():
        terms = {k: v.item() for k, v in method.losses(source, target, 0.5).items()}
        assert terms == pytest.approx(values, rel=1e-5), method.phase


def test_the_two_heads_start_apart():
    method = small()
    assert not torch.equal(method.head.weight, method.head2.weight)


def test_diagnostics_are_the_discrepancies_of_both_domains():
    method = small()
    method.head2.load_state_dict(method.head.state_dict())
    assert method.diagnostics(torch.ones(3, 6), torch.ones(3, 6)) == {
        "source_discrepancy": 0.0,
        "target_discrepancy": 0.0,
    }
    method.head2.bias.data += torch.tensor([500.0, 0.0])
    method.head.bias.data += torch.tensor([0.0, 500.0])
    assert method.diagnostics(torch.ones(3, 6), torch.ones(3, 6))["target_discrepancy"] == 1.0


# -- what makes it MCD ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3])
def test_one_step_is_three_phases_by_hand(n):
    method = small(n=n)
    hand = copy.deepcopy(method)
    everything = {**PLAIN, "steps": 1, "batch_size": len(SOURCE), "snapshots": 0}
    target = blobs(len(SOURCE), shift=2.0, seed=1, name="moved")
    fit(method, SOURCE, target, **everything)

    def label(m):
        f = m.backbone(SOURCE.x)
        return F.cross_entropy(m.head(f), SOURCE.y) + F.cross_entropy(m.head2(f), SOURCE.y)

    def discrepancy(m):
        f = m.backbone(target.x)
        return (m.head(f).softmax(1) - m.head2(f).softmax(1)).abs().mean()

    def descend(loss, parameters):
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients):
                p -= 0.1 * g

    p = players(hand)
    descend(label(hand), p["f"] + p["heads"])
    descend(label(hand) - discrepancy(hand), p["heads"])
    for _ in range(n):
        descend(discrepancy(hand), p["f"])
    for name, value in hand.state_dict().items():
        torch.testing.assert_close(method.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_phases_come_in_order_and_only_their_player_moves():
    method = small(n=2)
    seen, inner = [], method.losses

    def losses(source, target, progress):
        seen.append((method.phase, {k: [v.clone() for v in vs] for k, vs in players(method).items()}))
        return inner(source, target, progress)

    method.losses = losses
    fit(method, SOURCE, TARGET, **{**PLAIN, "steps": 2, "snapshots": 0})
    assert [phase for phase, _ in seen] == ["classify", "disagree", "agree", "agree"] * 2
    for (phase, before), (_, after) in pairwise(seen):
        moved = {k for k in before if any(not torch.equal(a, b) for a, b in zip(before[k], after[k]))}
        assert moved == {"classify": {"f", "heads"}, "disagree": {"heads"}, "agree": {"f"}}[phase], phase


def test_heads_climb_what_the_backbone_descends():
    method = small()
    source, target = batch_pair()
    method.phase = "disagree"
    heads, features = players(method)["heads"], players(method)["f"]
    up = torch.autograd.grad(method.losses(source, target, 0.5)["discrepancy"], heads)
    method.phase = "agree"
    d = method.losses(source, target, 0.5)["discrepancy"]
    down = torch.autograd.grad(d, heads, retain_graph=True)
    for a, b in zip(up, down):
        torch.testing.assert_close(a, -b)
    assert any(g.any() for g in torch.autograd.grad(d, features))
    method.phase = "disagree"
    terms = method.losses(source, target, 0.5)
    assert torch.autograd.grad(sum(terms.values()), features, allow_unused=True) == (None,) * len(features)


def test_twin_heads_stay_twins_and_the_target_is_without_effect():
    """The limit in which nothing is left to push apart: source training alone."""
    found = []
    for target in (TARGET, blobs(100, shift=-9.0, seed=5, name="elsewhere")):
        method = small()
        method.head2.load_state_dict(method.head.state_dict())
        found.append(weights(fit(method, SOURCE, target, **QUICK)))
    assert torch.equal(found[0]["head.weight"], found[0]["head2.weight"])
    assert same(*found)


def test_only_the_classify_phase_leaves_the_target_out():
    method = small()
    source, target = batch_pair()
    for method.phase, reads in (("classify", "s"), ("disagree", ""), ("agree", "t")):
        xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
        terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
        gs, gt = torch.autograd.grad(sum(terms.values()), (xs, xt), allow_unused=True)
        got = ("s" if gs is not None and gs.any() else "") + ("t" if gt is not None and gt.any() else "")
        assert got == reads, method.phase


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    runs = [weights(fit("mcd", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_history_has_a_column_for_each_term_of_each_phase():
    history = fit("mcd", SOURCE, TARGET, **QUICK).history
    terms = ["classify.label", "disagree.label", "disagree.discrepancy", "agree.discrepancy"]
    assert [c for c in history if "." in c] == terms
    assert (history["disagree.discrepancy"].dropna() <= 0).all()
    assert {"source_discrepancy", "target_discrepancy"} <= set(history)


def test_bad_hyperparameters_are_told():
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        small(n=0)
    with pytest.raises(TypeError, match=r"n must be an integer of at least 1, got 2\.5"):
        small(n=2.5)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_learns_where_a_part_of_a_cluster_crosses_the_border():
    """Mean of 3 seeds against source_only, and the backbone's answer against heads that are pushed apart unanswered."""
    source, target = blobs(300), blobs(300, seed=1)
    target = type(target)("moved", target.x + torch.tensor([1.5, 0, 0, 0]), target.y, target.classes)
    options = {**QUICK, "steps": 200, "batch_size": 64, "snapshots": 0, "log_every": 200}
    backbone = {"name": "mlp", "hidden": (16, 8)}

    class Unanswered(methods.MCD):
        def phases(self):
            return super().phases()[:2]

    accuracy, discrepancy = {}, {}
    for name, cls in (("source_only", None), ("mcd", methods.MCD), ("mcd", Unanswered)):
        found = []
        for seed in range(3):
            method = methods.build(name, source, backbone=backbone, seed=seed, **({"n": 2} if cls else {}))
            method.__class__ = cls or type(method)
            found.append(fit(method, source, target, seed=seed, **options).method.eval())
        logits = [m.logits(target.x) for m in found]
        accuracy[cls] = sum((z.argmax(1) == target.y).double().mean().item() for z in logits) / 3
        if cls:
            discrepancy[cls] = [m.discrepancy(m.features(target.x)).item() for m in found]
    pairs = zip(discrepancy[methods.MCD], discrepancy[Unanswered])  # same start, same batches
    assert all(answered < unanswered for answered, unanswered in pairs), discrepancy
    assert accuracy[methods.MCD] > accuracy[None], accuracy
