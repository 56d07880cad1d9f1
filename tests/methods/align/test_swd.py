"""Sliced Wasserstein discrepancy: MCD's phases with another distance."""

import copy

import pytest
import torch
import torch.nn.functional as F

from dakit import losses, methods
from dakit.training import fit
from tests.methods.align.test_dann import rotated_moons
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, **options):
    return methods.build("swd", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, seed=seed, **options)


def players(method):
    return {
        "f": list(method.backbone.parameters()),
        "heads": [*method.head.parameters(), *method.head2.parameters()],
    }


def axes(method):
    """Fixed directions instead of random ones."""
    method.directions = lambda generator=None: torch.eye(2)
    return method


def by_hand(method, x):
    f = method.backbone(x)
    p, q = (h(f).softmax(1).T for h in (method.head, method.head2))
    return sum(((a.sort().values - b.sort().values) ** 2).mean() for a, b in zip(p, q)) / 2


# -- values -----------------------------------------------------------------------------------------------------


def test_the_losses_of_each_phase_by_hand():
    method = axes(small())
    source, target = batch_pair()
    label = sum(F.cross_entropy(h(method.backbone(source.x)), source.y) for h in (method.head, method.head2))
    d = by_hand(method, target.x).item()
    expected = {
        "classify": {"label": label.item()},
        "disagree": {"label": label.item(), "discrepancy": -d},
        "agree": {"discrepancy": d},
    }
    assert method.phase == "classify"
    for method.phase, values in expected.items():
        terms = {k: v.item() for k, v in method.losses(source, target, 0.5).items()}
        assert terms == pytest.approx(values, rel=1e-5), method.phase


def test_directions_are_unit_vectors_and_drawn_anew():
    method = small(projections=300)
    a, b = method.directions(), method.directions()
    assert a.shape == (2, 300)
    torch.testing.assert_close(a.norm(dim=0), torch.ones(300))
    assert not torch.equal(a, b)
    # Evenly over the circle: the mean of u u' is I / 2.
    many = small(projections=20_000).directions()
    torch.testing.assert_close(many @ many.T / 20_000, torch.eye(2) / 2, atol=0.02, rtol=0)


# -- what makes it SWD ------------------------------------------------------------------------------------------


def test_one_step_is_three_phases_by_hand():
    method = axes(small(n=2))
    hand = copy.deepcopy(method)
    target = blobs(len(SOURCE), shift=2.0, seed=1, name="moved")
    step = {"steps": 1, "batch_size": len(SOURCE), "snapshots": 0, "momentum": 0.0, "lr": 0.1}
    fit(method, SOURCE, target, **{**QUICK, **step})

    def label(m):
        f = m.backbone(SOURCE.x)
        return F.cross_entropy(m.head(f), SOURCE.y) + F.cross_entropy(m.head2(f), SOURCE.y)

    def descend(loss, parameters):
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients):
                p -= 0.1 * g

    p = players(hand)
    descend(label(hand), p["f"] + p["heads"])
    descend(label(hand) - by_hand(hand, target.x), p["heads"])
    for _ in range(2):
        descend(by_hand(hand, target.x), p["f"])
    for name, value in hand.state_dict().items():
        torch.testing.assert_close(method.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_heads_climb_what_the_backbone_descends():
    method = axes(small())
    source, target = batch_pair()
    heads, features = players(method)["heads"], players(method)["f"]
    method.phase = "disagree"
    up = torch.autograd.grad(method.losses(source, target, 0.5)["discrepancy"], heads)
    terms = method.losses(source, target, 0.5)
    assert torch.autograd.grad(sum(terms.values()), features, allow_unused=True) == (None,) * len(features)
    method.phase = "agree"
    d = method.losses(source, target, 0.5)["discrepancy"]
    down = torch.autograd.grad(d, heads, retain_graph=True)
    for a, b in zip(up, down):
        torch.testing.assert_close(a, -b)
    assert any(g.any() for g in torch.autograd.grad(d, features))


def test_all_but_the_distance_is_mcd():
    """With MCD's distance put in, the two take the same path."""
    method = small(n=2)
    method.discrepancy = lambda f: losses.classifier_discrepancy(method.head(f), method.head2(f))
    method.diagnostics = lambda source, target: {}
    mcd = methods.build("mcd", SOURCE, backbone={"name": "mlp", "hidden": (6,)}, n=2)
    found = [weights(fit(m, SOURCE, TARGET, **QUICK)) for m in (method, mcd)]
    assert same(*found)


def test_twin_heads_stay_twins_and_the_target_is_without_effect():
    found = []
    for target in (TARGET, blobs(100, shift=-9.0, seed=5, name="elsewhere")):
        method = small()
        method.head2.load_state_dict(method.head.state_dict())
        found.append(weights(fit(method, SOURCE, target, **QUICK)))
    assert torch.equal(found[0]["head.weight"], found[0]["head2.weight"])
    assert same(*found)


def test_looking_at_a_run_does_not_change_its_course():
    few, many = (weights(fit(small(), SOURCE, TARGET, **{**QUICK, "snapshots": s})) for s in (0, 9))
    assert same(few, many)
    method, before = small(), torch.get_rng_state()
    a, b = (
        method.diagnostics(torch.ones(3, 6), torch.rand(3, 6, generator=torch.Generator())) for _ in range(2)
    )
    assert a.keys() == {"source_discrepancy", "target_discrepancy"}
    assert a["source_discrepancy"] == b["source_discrepancy"] > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    made = [weights(fit("swd", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(made[0], made[1])
    assert same(made[0], made[2])


def test_bad_hyperparameters_are_told():
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        small(n=0)
    with pytest.raises(ValueError, match="projections must be an integer of at least 1, got 0"):
        small(projections=0)


# -- it works ---------------------------------------------------------------------------------------------------


class Unanswered(methods.SWD):
    """The heads are pushed apart, and the backbone does not answer."""

    def phases(self):
        return super().phases()[:2]


def on_moons(name: str, cls: type | None, steps: int, source, target) -> list:
    """Three seeds on two moons and a small network."""
    found = []
    for seed in range(3):
        backbone = {"name": "mlp", "hidden": (15, 15, 15)}
        method = methods.build(name, source, backbone=backbone, seed=seed, **({"n": 2} if cls else {}))
        method.__class__ = cls or type(method)
        options = {"steps": steps, "batch_size": 100, "lr": 0.02, "schedule": "constant", "log_every": steps}
        run = fit(method, source, target, seed=seed, **{**QUICK, "snapshots": 0, **options})
        found.append(run.method.eval())
    return found


def test_the_heads_come_apart_and_the_backbone_brings_them_together():
    method = small()
    source, target = batch_pair(40)

    def apart():
        return method.diagnostics(method.features(target.x), method.features(target.x))["target_discrepancy"]

    found = [apart()]
    for method.phase, player, steps in (("disagree", "heads", 15), ("agree", "f", 200)):
        optimiser = torch.optim.SGD(players(method)[player], lr=0.5)
        for _ in range(steps):
            optimiser.zero_grad()
            method.losses(source, target, 0.5)["discrepancy"].backward()
            optimiser.step()
        found.append(apart())
    start, most, least = found
    assert most > 2 * start
    assert least < most / 10


@pytest.mark.slow
def test_it_learns_on_rotated_moons():
    """Accuracy of 3 seeds after 500 steps: 0.85, 0.78, 0.65, against 0.71, 0.69, 0.69 for source_only.

    After 200 steps there is no gain yet (mean 0.72 against 0.73). Heads that are pushed apart without an answer of the
    backbone end ten times as far from each other.
    """
    source, target = rotated_moons(35)
    found = {
        cls: on_moons("swd" if cls else "source_only", cls, 500, source, target)
        for cls in (None, methods.SWD, Unanswered)
    }
    right = {
        cls: sum((m.logits(target.x).argmax(1) == target.y).double().mean().item() for m in group)
        for cls, group in found.items()
    }
    assert right[methods.SWD] > right[None], right
    answered, unanswered = (
        [m.diagnostics(m.features(source.x), m.features(target.x))["target_discrepancy"] for m in found[cls]]
        for cls in (methods.SWD, Unanswered)
    )
    assert all(a < u for a, u in zip(answered, unanswered)), (
        answered,
        unanswered,
    )  # same start, same batches
