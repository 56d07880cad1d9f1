"""DeepJDOT: the plan, what flows through it, its limits, and what it reaches."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from dakit import losses, methods
from dakit.methods.method import Batch
from dakit.training import fit
from tests.methods.align.deep_toys import mean_accuracy, moved_along_the_classes, runs
from tests.methods.pairs import batch_pair
from tests.training.toys import QUICK, blobs, poisoned, same, weights

SOURCE, TARGET = blobs(), blobs(100, shift=2.0, seed=1, name="moved")
STRONG = {"alpha": 0.1, "lambda_t": 0.5}


def small(seed=0, **options):
    small_net = {"name": "mlp", "hidden": (6,)}
    return methods.build("deepjdot", SOURCE, backbone=small_net, seed=seed, **{**STRONG, **options})


def costs(method, source, target):
    """Pair by pair: squared distances, and minus log probabilities of the source's labels on the target."""
    fs, ft, zt = method.features(source.x), method.features(target.x), method.logits(target.x)
    distance = torch.stack([(fs[i] - ft).square().sum(1) for i in range(len(fs))])
    transfer = torch.stack([-zt.log_softmax(1)[:, y] for y in source.y])
    return distance, transfer


# -- the plan ---------------------------------------------------------------------------------------------------


def test_the_plan_of_equal_batches_is_the_best_of_all_assignments():
    cost = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    plan = small().plan(cost)
    best = min(itertools.permutations(range(5)), key=lambda p: sum(cost[i, j] for i, j in enumerate(p)))
    expected = torch.zeros(5, 5)
    expected[range(5), best] = 0.2
    torch.testing.assert_close(plan, expected)


def test_the_plan_of_unequal_batches_solves_the_linear_program():
    cost = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    plan = small().plan(cost)
    rows, columns = np.kron(np.eye(4), np.ones(6)), np.kron(np.ones(4), np.eye(6))
    sums = np.r_[np.full(4, 1 / 4), np.full(6, 1 / 6)]
    least = linprog(cost.double().flatten().numpy(), A_eq=np.r_[rows, columns], b_eq=sums).fun
    assert (plan * cost).sum().item() == pytest.approx(least, rel=1e-5)
    torch.testing.assert_close(plan.sum(1), torch.full((4,), 1 / 4))
    torch.testing.assert_close(plan.sum(0), torch.full((6,), 1 / 6))


def test_much_entropy_gives_the_even_plan_and_little_the_exact_one():
    cost = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(small(entropy=1e4).plan(cost), torch.full((5, 5), 1 / 25), atol=1e-5, rtol=0)
    torch.testing.assert_close(small(entropy=1e-3).plan(cost), small().plan(cost), atol=1e-3, rtol=0)
    middle = small(entropy=0.1).plan(cost)
    torch.testing.assert_close(middle.sum(1), torch.full((5,), 0.2))
    # Optimal: log γ + C / ε is a sum of one number a row and one a column.
    potential = middle.log() + cost / 0.1
    centred = potential - potential.mean(0) - potential.mean(1, keepdim=True) + potential.mean()
    assert centred.abs().max() < 1e-3


@pytest.mark.parametrize(
    "options", [{}, {"entropy": 0.01}, {"entropy": 1.0}, {"entropy": 0.01, "marginals": 0.1}]
)
def test_far_pairs_give_numbers(options):
    """Costs of 10^4 ε and more, where exp(-c / ε) is 0."""
    cost = 1e4 * torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    plan = small(**options).plan(cost)
    assert torch.isfinite(plan).all()
    assert (plan >= 0).all()
    if "marginals" not in options:
        torch.testing.assert_close(plan.sum(1), torch.full((5,), 0.2), atol=1e-4, rtol=0)


def test_what_a_row_or_column_costs_in_all_its_pairs_changes_no_plan():
    g = torch.Generator().manual_seed(0)
    cost, rows, columns = (torch.rand(*s, generator=g) for s in ((5, 6), (5, 1), (1, 6)))
    for options in ({}, {"entropy": 0.1}):
        plan = small(**options).plan(cost)
        torch.testing.assert_close(small(**options).plan(cost + rows + 3 * columns), plan, atol=1e-5, rtol=0)


def test_free_marginals_leave_out_what_is_far_from_everything():
    cost = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    cost[0] += 20.0  # a source example like no target example
    bound, free = small(entropy=0.1).plan(cost), small(entropy=0.1, marginals=0.5).plan(cost)
    assert bound[0].sum().item() == pytest.approx(0.2, rel=1e-3)
    assert free[0].sum() < 0.01
    assert free[1:].sum(1).min() > 0.05
    tight = small(entropy=0.1, marginals=1e4).plan(cost[1:])
    torch.testing.assert_close(tight, small(entropy=0.1).plan(cost[1:]), atol=1e-3, rtol=0)


# -- what makes it DeepJDOT -------------------------------------------------------------------------------------


def test_the_losses_by_hand():
    method = small()
    source, target = batch_pair()
    terms = method.losses(source, target, 0.5)
    distance, transfer = costs(method, source, target)
    plan = method.plan(0.1 * distance + 0.5 * transfer)
    assert list(terms) == ["label", "distance", "transfer"]
    torch.testing.assert_close(terms["distance"], 0.1 * (plan * distance).sum(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(terms["transfer"], 0.5 * (plan * transfer).sum(), rtol=1e-4, atol=1e-6)
    label = -torch.log_softmax(method.logits(source.x), dim=1)[torch.arange(12), source.y].mean()
    torch.testing.assert_close(terms["label"], label)


def test_labels_decide_the_pairs_where_features_do_not():
    y, predicted = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([1, 0, 1, 0, 0, 1])
    still = torch.zeros(6, 2)
    distance, transfer = losses.joint_transport_costs(still, still, y, 5.0 * torch.eye(2)[predicted])
    assert not distance.any()
    carried = small().plan(transfer).T @ torch.eye(2)[y]  # labels that the plan brings to each target example
    torch.testing.assert_close(6 * carried, torch.eye(2)[predicted])


def test_both_weights_zero_take_the_path_of_source_only():
    adapted = weights(
        fit(methods.build("deepjdot", SOURCE, alpha=0.0, lambda_t=0.0), SOURCE, TARGET, **QUICK)
    )
    for k, v in weights(fit("source_only", SOURCE, TARGET, **QUICK)).items():
        assert torch.allclose(adapted[k], v, atol=1e-5), k


def test_with_one_example_a_batch_the_pair_is_given():
    method = small()
    source, target = batch_pair(1)
    terms = method.losses(source, target, 0.5)
    distance, transfer = costs(method, source, target)
    torch.testing.assert_close(terms["distance"], 0.1 * distance.sum(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(terms["transfer"], 0.5 * transfer.sum(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"entropy": 0.05}, {"entropy": 0.05, "marginals": 0.5}])
def test_gradients_are_those_with_the_plan_held(options):
    method = small(**options)
    source, target = batch_pair()
    terms = method.losses(source, target, 0.5)
    distance, transfer = costs(method, source, target)
    plan = method.plan(0.1 * distance + 0.5 * transfer)
    held = (plan * (0.1 * distance + 0.5 * transfer)).sum()
    parameters = [*method.backbone.parameters(), *method.head.parameters()]
    got = torch.autograd.grad(terms["distance"] + terms["transfer"], parameters)
    for a, b in zip(got, torch.autograd.grad(held, parameters)):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_the_distance_moves_the_features_and_the_transfer_the_head_too():
    method, (source, target) = small(), batch_pair()
    terms = method.losses(source, target, 0.5)
    head = method.head.weight
    assert torch.autograd.grad(terms["distance"], head, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(terms["transfer"], head)[0].any()
    xs, xt = (b.x.detach().requires_grad_() for b in (source, target))
    terms = method.losses(Batch(xs, source.y, source.index, 0), Batch(xt, None, target.index, 1), 0.5)
    gs, gt = torch.autograd.grad(terms["transfer"], (xs, xt))
    assert not gs.any()  # the source lends its labels only
    assert gt.any()


def test_target_labels_change_nothing_and_equal_seeds_give_equal_bits():
    made = [weights(fit(small, SOURCE, t, seed=2, **QUICK)) for t in (TARGET, TARGET, poisoned(TARGET))]
    assert same(made[0], made[1])
    assert same(made[0], made[2])


def test_bad_hyperparameters_are_told():
    for name in ("alpha", "lambda_t", "entropy"):
        with pytest.raises(ValueError, match=f"{name} must be a number of at least 0, got -1"):
            small(**{name: -1})
    with pytest.raises(ValueError, match="marginals must be a number of more than 0, got 0"):
        small(marginals=0, entropy=1.0)
    with pytest.raises(ValueError, match="give an entropy > 0 too"):
        small(marginals=1.0)


# -- it works ---------------------------------------------------------------------------------------------------


def test_it_learns_over_seeds():
    """With weights that suit the short features of a small network; the paper's leave source_only as it is there."""
    source, target = moved_along_the_classes()
    plain, adapted = runs("source_only", source, target), runs("deepjdot", source, target, **STRONG)
    assert mean_accuracy(adapted, target) > mean_accuracy(plain, target)
