"""Margin disparity discrepancy: the two players, the predictions between them, and what it reaches."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from dakit import methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.align.deep_toys import dimmed, mean_accuracy, moved_along_the_classes, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def small(seed=0, **options):
    small_net = {"name": "mlp", "hidden": (6,)}
    return methods.build(
        "mdd", SOURCE, backbone=small_net, seed=seed, **{"ramp": False, "hidden": 5, **options}
    )


def players(method):
    return {
        "f": list(method.backbone.parameters()),
        "y": list(method.head.parameters()),
        "a": list(method.adversary.parameters()),
    }


def by_hand(method, source, target, gamma):
    """Label loss and bracket, without a reversal."""
    fs, ft = method.backbone(source.x), method.backbone(target.x)
    hs, ht = method.head(fs).argmax(1), method.head(ft).argmax(1)
    ps, pt = method.adversary(fs).softmax(1), method.adversary(ft).softmax(1)
    rows = torch.arange(len(source)), torch.arange(len(target))
    bracket = -gamma * ps[rows[0], hs].log().mean() - (1 - pt[rows[1], ht]).log().mean()
    return F.cross_entropy(method.head(fs), source.y), bracket


# -- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [1.0, 4.0])
def test_the_losses_by_hand(gamma):
    method = small(gamma=gamma)
    source, target = batch_pair()
    terms = method.losses(source, target, 0.5)
    label, bracket = by_hand(method, source, target, gamma)
    assert list(terms) == ["label", "disparity"]
    torch.testing.assert_close(terms["label"], label)
    torch.testing.assert_close(terms["disparity"], bracket)


def test_a_second_head_that_knows_nothing():
    method = small(gamma=3.0)
    for p in method.adversary.parameters():
        p.data.zero_()
    assert method.losses(*batch_pair(), 0.5)["disparity"].item() == pytest.approx(4 * math.log(2))


def test_the_weight_grows():
    method = methods.build("mdd", SOURCE)
    assert method.eta_at(0.0) == 0.0
    assert method.eta_at(1.0) == pytest.approx(0.099991, abs=1e-6)
    assert small(eta=2.0).eta_at(0.0) == 2.0


# -- what makes it MDD ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.3, 2.0])
def test_one_step_is_the_two_player_step_and_not_the_joint_minimum(eta):
    joint = small(eta=eta)
    hand, wrong = copy.deepcopy(joint), copy.deepcopy(joint)
    source, target = batch_pair()
    sum(joint.losses(source, target, 0.5).values()).backward()
    torch.optim.SGD(joint.parameters(), lr=0.1).step()

    label, bracket = by_hand(hand, source, target, 4.0)
    p = players(hand)
    gradients = {
        "f": torch.autograd.grad(label - eta * bracket, p["f"], retain_graph=True),
        "y": torch.autograd.grad(label, p["y"], retain_graph=True),
        "a": torch.autograd.grad(bracket, p["a"]),
    }
    with torch.no_grad():
        for player, values in p.items():
            for value, gradient in zip(values, gradients[player]):
                value -= 0.1 * gradient
    for player, values in players(joint).items():
        for a, b in zip(values, p[player]):
            assert torch.allclose(a, b, atol=1e-6), player

    label, bracket = by_hand(wrong, source, target, 4.0)
    (label + bracket).backward()  # what it would be without the reversal
    torch.optim.SGD(wrong.parameters(), lr=0.1).step()
    for player, equal in (("f", False), ("y", True), ("a", True)):
        pairs = zip(players(joint)[player], players(wrong)[player])
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs) is equal, player


def test_backbone_and_second_head_pull_in_opposite_directions():
    method = small(eta=0.5)
    source, target = batch_pair()
    reversed_ = method.losses(source, target, 0.5)["disparity"]
    plain = by_hand(method, source, target, 4.0)[1]
    for player, factor in (("f", -0.5), ("a", 1.0)):
        p = players(method)[player]
        got = torch.autograd.grad(reversed_, p, retain_graph=True)
        for a, b in zip(got, torch.autograd.grad(plain, p, retain_graph=True)):
            torch.testing.assert_close(a, factor * b)
    assert torch.autograd.grad(reversed_, players(method)["y"], allow_unused=True) == (None, None)


def test_eta_zero_takes_the_path_of_source_only():
    adapted = weights(fit(methods.build("mdd", SOURCE, eta=0.0), SOURCE, TARGET, **QUICK))
    for key, value in weights(fit("source_only", SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(adapted[key], value, atol=1e-5), key
    start = methods.build("mdd", SOURCE).state_dict()
    assert not torch.allclose(adapted["adversary.0.weight"], start["adversary.0.weight"]), "it still learns"


def test_the_second_head_follows_predictions_not_labels():
    method = small()
    source, target = batch_pair()
    before = method.losses(source, target, 0.5)
    source.y = 1 - source.y
    after = method.losses(source, target, 0.5)
    assert torch.equal(after["disparity"], before["disparity"])
    assert not torch.isclose(after["label"], before["label"])


def test_alike_domains_leave_the_second_head_at_gamma_over_one_plus_gamma():
    """The balance of the paper: trained on one and the same batch for both domains, features held."""
    method = small(gamma=4.0, hidden=0)
    source, _ = batch_pair()
    same_rows = Batch(source.x, None, source.index, 1)
    optimiser = torch.optim.Adam(method.adversary.parameters(), lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        method.losses(source, same_rows, 0.5)["disparity"].backward()
        optimiser.step()
    f = method.features(source.x)
    p = method.adversary(f).softmax(1).gather(1, method.head(f).argmax(1)[:, None])
    assert p.mean().item() == pytest.approx(0.8, abs=0.03)


def test_the_label_loss_reads_the_source_and_the_disparity_both():
    method = small()
    source, target = batch_pair()
    for term, from_target in (("label", False), ("disparity", True)):
        xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
        terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
        gs, gt = torch.autograd.grad(terms[term], (xs, xt))
        assert gs.abs().sum() > 0
        assert (gt.abs().sum() > 0) == from_target, term


def test_diagnostics_count_contradictions():
    method = small(hidden=0)
    method.adversary.load_state_dict(method.head.state_dict())
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    assert method.diagnostics(x, x) == {"source_contradicted": 0.0, "target_contradicted": 0.0}
    for p in method.adversary.parameters():
        p.data.neg_()
    assert method.diagnostics(x, x) == {"source_contradicted": 1.0, "target_contradicted": 1.0}


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    made = [weights(fit("mdd", SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(made[0], made[1])
    assert same(made[0], made[2])


def test_bad_hyperparameters_are_told():
    with pytest.raises(ValueError, match="gamma must be a number of more than 0, got 0"):
        small(gamma=0)
    with pytest.raises(ValueError, match="eta must be a number of at least 0, got -1"):
        small(eta=-1)
    with pytest.raises(TypeError, match=r"hidden must be an integer of at least 0, got 2\.5"):
        small(hidden=2.5)


# -- it works ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [moved_along_the_classes, dimmed])
def test_it_learns_over_seeds(world):
    source, target = world()
    plain, adapted = runs("source_only", source, target), runs("mdd", source, target)
    assert mean_accuracy(adapted, target) > mean_accuracy(plain, target)
