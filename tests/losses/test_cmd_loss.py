"""Central moment discrepancy: its value, its bounds, its gradient."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.autograd import gradcheck

from dakit.losses import cmd


def batches(n=12, m=9, d=4, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs = torch.rand(n, d, generator=g, dtype=dtype)
    xt = torch.rand(m, d, generator=g, dtype=dtype) ** 2
    return xs.requires_grad_(), xt.requires_grad_()


def test_by_hand():
    xs, xt = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [0.5]])
    assert cmd(xs, xt).item() == pytest.approx(1 / 4 + 1 / 16)
    # Means 1/4 and 1/2; deviations ±1/4 and 0; the third moments are 0.
    xs = torch.tensor([[0.0], [0.5]])
    assert cmd(xs, xt, moments=3).item() == pytest.approx(1 / 4 + 1 / 16)
    assert cmd(xs, xt, moments=3, interval=(-1, 1)).item() == pytest.approx(1 / 8 + 1 / 64)


@pytest.mark.parametrize("moments", [1, 2, 5])
@pytest.mark.parametrize("interval", [(0.0, 1.0), (-1.0, 2.0)])
def test_against_scipy_order_by_order(moments, interval):
    xs, xt = batches()
    a, b, width = xs.detach().numpy(), xt.detach().numpy(), interval[1] - interval[0]
    expected = np.linalg.norm(a.mean(0) - b.mean(0)) / width
    for k in range(2, moments + 1):
        expected += np.linalg.norm(stats.moment(a, k) - stats.moment(b, k)) / width**k
    assert cmd(xs, xt, moments=moments, interval=interval).item() == pytest.approx(expected, rel=1e-10)


def test_it_converges_to_the_value_of_the_distributions():
    """Uniform on [0, 1] against the square of such a number; central moments from raw ones E u^2k = 1 / (2k + 1)."""
    uniform = [0.5, 1 / 12, 0.0, 1 / 80, 0.0]
    mean = 1 / 3
    square = [mean] + [
        sum(math.comb(k, j) * (-mean) ** (k - j) / (2 * j + 1) for j in range(k + 1)) for k in range(2, 6)
    ]
    expected = sum(abs(u - s) for u, s in zip(uniform, square))
    # At even spacing, not at random: the means are integrals by the midpoint rule.
    u = ((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000)[:, None]
    assert cmd(u, u**2).item() == pytest.approx(expected, rel=1e-5)


# -- what makes it this loss --------------------------------------------------------------------------------


def test_each_order_sees_what_the_orders_below_do_not():
    # Means equal, variances not; then equal means and variances, and a skew that differs.
    wide, narrow = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.25], [0.75]])
    assert cmd(wide, narrow, moments=1).item() == 0
    assert cmd(wide, narrow, moments=2).item() == pytest.approx(1 / 4 - 1 / 16)
    skewed = torch.tensor([[0.0], [0.0], [0.75]], dtype=torch.float64)
    mirrored = 0.5 - skewed
    assert cmd(skewed, mirrored, moments=2).item() == pytest.approx(0, abs=1e-12)
    third = 2 * stats.moment(skewed[:, 0].numpy(), 3)
    assert cmd(skewed, mirrored, moments=3).item() == pytest.approx(third)
    assert third > 0.01


def test_it_is_blind_to_how_features_go_together():
    same = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    opposite = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert cmd(same, opposite).item() == 0


def test_features_and_interval_may_be_shifted_and_scaled_together():
    z = [4 * x - 2 for x in batches()]
    by_sigmoid = cmd(*(torch.sigmoid(2 * x) for x in z), interval=(0, 1))
    by_tanh = cmd(*(torch.tanh(x) for x in z), interval=(-1, 1))
    assert by_sigmoid.item() == pytest.approx(by_tanh.item(), rel=1e-10)
    xs, xt = batches()
    large = cmd(1e6 * xs - 3, 1e6 * xt - 3, interval=(-3, 1e6 - 3))
    assert large.item() == pytest.approx(cmd(xs, xt).item(), rel=1e-8)


def test_limits_and_invariances():
    xs, xt = batches()
    value = cmd(xs, xt).item()
    assert value > 0
    assert cmd(xs, xs).item() == 0
    assert cmd(xt, xs).item() == pytest.approx(value, rel=1e-12)
    assert cmd(xs.flip(0), xt.flip(0)).item() == pytest.approx(value, rel=1e-12)
    assert cmd(xs.flip(1), xt.flip(1)).item() == pytest.approx(value, rel=1e-12)
    assert cmd(xs.float(), xt.float()).item() == pytest.approx(value, rel=1e-5)
    assert cmd(xs[:1], xt[:1]).item() == pytest.approx((xs[0] - xt[0]).norm().item())  # one example: a mean


def test_within_the_interval_each_order_is_bounded_and_outside_the_highest_drowns_the_rest():
    for seed in range(20):
        xs, xt = batches(seed=seed)
        assert cmd(xs.round(), xt.round()).item() <= 5 * math.sqrt(4)
    xs, xt = batches()
    far = [100 * x for x in (xs, xt)]
    share = 1 - cmd(*far, moments=4).item() / cmd(*far, moments=5).item()
    assert share > 0.9


# -- gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moments", [1, 2, 5])
def test_gradient(moments):
    assert gradcheck(lambda a, b: cmd(a, b, moments=moments, interval=(-1, 1)), batches(5, 4))


def test_equal_moments_have_the_gradient_zero_and_not_nan():
    xs, _ = batches()
    other = xs.detach().clone().requires_grad_()
    cmd(xs, other).backward()
    assert (xs.grad == 0).all()
    assert (other.grad == 0).all()


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [((3, 2), (3, 4)), ((0, 2), (3, 2)), ((3,), (3,)), ((3, 0), (3, 0))])
def test_bad_shapes(a, b):
    with pytest.raises(ValueError, match="cmd needs batches of shape"):
        cmd(torch.zeros(a), torch.zeros(b))


def test_bad_options():
    for moments in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="must be a whole number of at least 1, got"):
            cmd(*batches(), moments=moments)
    for interval in ((1, 0), (0, 0), (0, math.inf), (0, math.nan), (0,)):
        with pytest.raises(ValueError, match="a finite lower bound and a higher one"):
            cmd(*batches(), interval=interval)
