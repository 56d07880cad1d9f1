"""Margin disparity: the two halves, their balance, and far ends."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import margin_disparity


def scores(n=6, m=5, k=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(r, k, generator=g, dtype=torch.float64).requires_grad_() for r in (n, m))
    return a, b, torch.arange(n) % k, torch.arange(m) % k


@pytest.mark.parametrize("gamma", [1.0, 4.0])
def test_against_loops(gamma):
    a, b, hs, ht = scores()
    p, q = ((z.exp() / z.exp().sum(1, keepdim=True)).tolist() for z in (a, b))
    agree = sum(-math.log(p[i][hs[i]]) for i in range(6)) / 6
    disagree = sum(-math.log(1 - q[j][ht[j]]) for j in range(5)) / 5
    assert margin_disparity(a, b, hs, ht, gamma=gamma).item() == pytest.approx(gamma * agree + disagree)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 4.0])
def test_alike_domains_leave_it_in_balance_at_gamma_over_one_plus_gamma(gamma):
    """The paper's σ∘M: where both domains have the same density the best second head gives h this probability."""
    h = torch.zeros(1, dtype=torch.int64)

    def value(p):
        z = torch.tensor([[math.log(p), math.log(1 - p)]], dtype=torch.float64)
        return margin_disparity(z, z, h, h, gamma=gamma).item()

    best = gamma / (1 + gamma)
    assert value(best) < min(value(best - 0.02), value(best + 0.02))
    z = torch.tensor([[math.log(best), math.log(1 - best)]], dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(margin_disparity(z, z, h, h, gamma=gamma), z)
    assert g.abs().max() < 1e-12


def test_it_pulls_to_agreement_on_the_source_and_away_on_the_target():
    a, b, hs, ht = scores()
    ga, gb = torch.autograd.grad(margin_disparity(a, b, hs, ht), (a, b))
    assert (ga.gather(1, hs[:, None]) < 0).all()
    assert (gb.gather(1, ht[:, None]) > 0).all()
    torch.testing.assert_close(ga.sum(1), torch.zeros(6).double(), atol=1e-12, rtol=0)


def test_far_ends_stay_exact():
    sure = torch.tensor([[200.0, 0.0]], requires_grad=True)
    h = torch.tensor([0])
    value = margin_disparity(torch.zeros(1, 2), sure, h, h, gamma=1.0)
    value.backward()
    assert value.item() == pytest.approx(
        200 + math.log(2)
    )  # log(1 - p) = -200, where 1 - p itself rounds to 0
    torch.testing.assert_close(sure.grad, torch.tensor([[1.0, -1.0]]))


def test_only_gamma_weighs_the_source():
    a, b, hs, ht = scores()
    one, two, three = (margin_disparity(a, b, hs, ht, gamma=g) for g in (1.0, 2.0, 3.0))
    torch.testing.assert_close(three - two, two - one)
    torch.testing.assert_close(two - one, torch.nn.functional.cross_entropy(a, hs))


def test_gradient():
    a, b, hs, ht = scores()
    assert gradcheck(lambda x, y: margin_disparity(x, y, hs, ht), (a, b))


def test_bad_input():
    z, h = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    for given in (
        (z, torch.zeros(3, 4), h, h),
        (z[:, :1], z[:, :1], h, h),
        (z, z, h[:2], h),
        (z[:0], z, h[:0], h),
    ):
        with pytest.raises(ValueError, match=r"scores of shape \(n, k\) and \(m, k\), k at least 2"):
            margin_disparity(*given)
    for gamma in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="gamma must be positive, got"):
            margin_disparity(z, z, h, h, gamma=gamma)
