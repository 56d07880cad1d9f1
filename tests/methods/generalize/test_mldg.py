"""MLDG: its gradient by finite differences and by hand, both orders, and the limits without a virtual step."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from dakit import methods
from dakit.training import fit
from tests.methods.generalize.toys import SOURCES, batch_of, takes_the_path_of_erm
from tests.training.toys import QUICK, same, weights


def small(sources=SOURCES, **hyper):
    net = {"name": "mlp", "hidden": (5,), "activation": "sigmoid"}
    return methods.build("mldg", sources, backbone=net, **hyper).double()


def batch(sources=SOURCES):
    b = batch_of(sources)
    b.x = b.x.double()
    return b


def seeded(method, b, seed=0):
    """The losses with the split that this seed draws."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return method.losses(b, None, 0.5)


def split_of(seed, m=3, num_test=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        order = torch.randperm(m).tolist()
    return order[num_test:], order[:num_test]


def risk(method, parts):
    return torch.stack([cross_entropy(method.logits(p.x), p.y) for p in parts]).mean()


def two_steps(method, b, train, test, alpha):
    """F(θ), F'(θ) and, after a step really taken on a copy, G and G'."""
    parts = b.parts()
    parameters = list(method.parameters())
    before = risk(method, [parts[i] for i in train])
    slopes = torch.autograd.grad(before, parameters)
    kept = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, s in zip(parameters, slopes):
            p -= alpha * s
    after = risk(method, [parts[i] for i in test])
    slopes_after = torch.autograd.grad(after, parameters)
    with torch.no_grad():
        for p, k in zip(parameters, kept):
            p.copy_(k)
    return before.item(), slopes, after.item(), slopes_after


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("num_test", [1, 2])
def test_the_losses_by_a_step_really_taken(second_order, num_test):
    method = small(inner_lr=0.7, beta=0.4, num_test=num_test, second_order=second_order)
    terms = seeded(method, batch(), 3)
    before, _, after, _ = two_steps(method, batch(), *split_of(3, num_test=num_test), 0.7)
    assert list(terms) == ["label", "meta_test"]
    assert terms["label"].item() == pytest.approx(before, rel=1e-10)
    assert terms["meta_test"].item() == pytest.approx(0.4 * after, rel=1e-10)


def test_first_order_gradient_is_the_sum_of_both_slopes():
    method = small(inner_lr=0.7, beta=0.4, second_order=False)
    _, first, _, second = two_steps(method, batch(), *split_of(3), 0.7)
    terms = seeded(method, batch(), 3)
    found = torch.autograd.grad(sum(terms.values()), list(method.parameters()))
    for g, a, b in zip(found, first, second):
        assert torch.allclose(g, a + 0.4 * b, atol=1e-12)


def test_second_order_gradient_by_finite_differences():
    """And the first-order one is another, so that the option does something."""
    gradients = []
    for second_order in (True, False):
        method = small(inner_lr=2.0, beta=0.4, second_order=second_order)
        gradients.append(torch.autograd.grad(sum(seeded(method, batch(), 3).values()), method.head.weight)[0])
    differences = torch.zeros_like(method.head.weight)
    h = 1e-5
    for at in range(differences.numel()):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                method.head.weight.view(-1)[at] += sign * h
            ends.append(sum(v.item() for v in seeded(method, batch(), 3).values()))
            with torch.no_grad():
                method.head.weight.view(-1)[at] -= sign * h
        differences.view(-1)[at] = (ends[0] - ends[1]) / (2 * h)
    assert torch.allclose(gradients[0], differences, atol=1e-7)
    assert not torch.allclose(gradients[1], differences, atol=1e-4)


def test_to_first_order_it_rewards_gradients_that_agree():
    """G(θ - α F') = G - α F'·G' + O(α²): the paper's reading of its objective."""
    alpha = 1e-4
    method = small(inner_lr=alpha)
    terms = seeded(method, batch(), 3)
    train, test = split_of(3)
    _, f, _, _ = two_steps(method, batch(), train, test, 0.0)
    parts = batch().parts()
    g_value = risk(method, [parts[i] for i in test])
    g = torch.autograd.grad(g_value, list(method.parameters()))
    product = sum((a * b).sum() for a, b in zip(f, g)).item()
    assert (g_value.item() - terms["meta_test"].item()) / alpha == pytest.approx(product, rel=1e-3)


def test_every_split_is_drawn():
    method, b = small(beta=0.0), batch()
    seen = {round(seeded(method, b, seed)["label"].item(), 9) for seed in range(30)}
    expected = {
        round(risk(method, [b.parts()[i] for i in pair]).item(), 9) for pair in ((0, 1), (0, 2), (1, 2))
    }
    assert seen == expected


def test_without_a_virtual_step_two_sources_take_the_path_of_erm_at_twice_the_rate():
    """F + G is then the sum of both risks, whichever is which."""
    assert takes_the_path_of_erm("mldg", SOURCES[:2], erm_lr=0.1, inner_lr=0.0)
    assert not takes_the_path_of_erm("mldg", SOURCES[:2], erm_lr=0.1, inner_lr=1.0)


def test_a_seed_repeats_the_splits():
    runs = [weights(fit("mldg", SOURCES, None, seed=s, **QUICK)) for s in (2, 2)]
    assert same(*runs)


def test_frozen_weights_are_left_alone():
    method = small(inner_lr=0.5)
    method.backbone.requires_grad_(False)
    sum(seeded(method, batch()).values()).backward()
    assert method.head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in method.backbone.parameters())


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="num_test=2 leaves none of 2 source domains for meta-training"):
        small(num_test=2).losses(batch(SOURCES[:2]), None, 0.0)
    with pytest.raises(ValueError, match="beta must be a number of at least 0, got -1"):
        small(beta=-1)
    with pytest.raises(ValueError, match="num_test must be an integer of at least 1, got 0"):
        small(num_test=0)
    with pytest.raises(ValueError, match="MLDG needs at least 2 source domains, got 1"):
        fit("mldg", SOURCES[0], None, **QUICK)


def test_it_learns_every_source():
    runs = fit("mldg", SOURCES, None, seeds=3, **{**QUICK, "steps": 150, "snapshots": 0})
    assert min(r.evaluate(d).accuracy for r in runs for d in SOURCES) > 0.9  # blobs 4 apart: Bayes 0.977
