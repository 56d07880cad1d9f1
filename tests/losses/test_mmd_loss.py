"""MMD as a loss: its value, its gradient, and where both stay finite."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from torch.autograd import gradcheck

from dakit.losses import median_bandwidth, mmd

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]


def batches(n=12, m=9, d=3, shift=0.5, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs, xt = torch.randn(n, d, generator=g, dtype=dtype), torch.randn(m, d, generator=g, dtype=dtype) + shift
    return xs.requires_grad_(), xt.requires_grad_()


def test_by_hand():
    xs, xt = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    e = math.exp
    across = (1 + e(-4) + 2 * e(-1)) / 4
    assert float(mmd(xs, xt, bandwidths=1.0)) == pytest.approx(
        (2 + 2 * e(-1)) / 4 + (2 + 2 * e(-4)) / 4 - 2 * across
    )
    assert float(mmd(xs, xt, bandwidths=1.0, unbiased=True)) == pytest.approx(
        e(-1) + e(-4) - 2 * across, abs=1e-6
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_against_scikit_learn(unbiased):
    xs, xt = batches()

    def k(a, b):
        return np.mean([rbf_kernel(a.detach(), b.detach(), gamma=1 / s) for s in FIVE], axis=0)

    xx, yy = k(xs, xs), k(xt, xt)
    if unbiased:
        inside = sum((m.sum() - len(m)) / (len(m) * (len(m) - 1)) for m in (xx, yy))
    else:
        inside = xx.mean() + yy.mean()
    value = mmd(xs, xt, bandwidths=FIVE, unbiased=unbiased)
    assert float(value) == pytest.approx(inside - 2 * k(xs, xt).mean(), rel=1e-10)


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_agrees_with_the_metric(kernel, unbiased):
    from dakit import metrics

    xs, xt = batches()
    expected = metrics.mmd(xs, xt, bandwidths=FIVE, kernel=kernel, unbiased=unbiased)
    assert float(mmd(xs, xt, bandwidths=FIVE, kernel=kernel, unbiased=unbiased)) == pytest.approx(
        expected, rel=1e-9
    )
    # And with its own bandwidths: 210 pairs, of which the loss takes the lower of the two middle ones.
    assert float(median_bandwidth(xs, xt)) == pytest.approx(metrics.median_heuristic(xs, xt), rel=0.05)
    by_default = mmd(xs, xt, kernel=kernel)
    scales = float(median_bandwidth(xs, xt)) * np.array([0.25, 0.5, 1, 2, 4])
    assert float(by_default) == pytest.approx(float(mmd(xs, xt, bandwidths=scales, kernel=kernel)), rel=1e-12)


def test_median_by_hand_and_by_numpy():
    assert float(median_bandwidth(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [3.0]]))) == 4.0
    xs, xt = batches(8, 7)
    pooled = torch.cat([xs, xt]).detach().numpy()
    pairs = np.sort(np.square(pooled[:, None] - pooled).sum(2)[np.triu_indices(15, 1)])
    assert float(median_bandwidth(xs, xt)) == pytest.approx(pairs[52], rel=1e-10)  # of 105


# -- limits and invariances ---------------------------------------------------------------------------------


def test_zero_for_equal_batches_and_never_negative():
    for seed in range(30):
        xs, xt = batches(dtype=torch.float32, shift=0, seed=seed)
        assert float(mmd(xs, xs)) == pytest.approx(0, abs=1e-6)
        assert float(mmd(xs, xt)) >= 0
        assert float(mmd(xs, xt)) == pytest.approx(float(mmd(xt, xs)), abs=1e-6)
    values = [float(mmd(*batches(shift=0, seed=s), bandwidths=2.0, unbiased=True)) for s in range(200)]
    assert min(values) < 0
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(200)


def test_translation_and_scale_change_nothing():
    xs, xt = batches()
    value = float(mmd(xs, xt))
    assert float(mmd(xs + 100, xt + 100)) == pytest.approx(value, rel=1e-8)
    assert float(mmd(xs * 7, xt * 7)) == pytest.approx(value, rel=1e-9)
    a, b = (t.detach().float() + 100 for t in (xs, xt))
    assert float(mmd(a, b)) == pytest.approx(float(mmd(a.double(), b.double())), rel=1e-4)


# -- gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_gradient(kernel, unbiased):
    xs, xt = batches(5, 4)
    assert gradcheck(
        lambda a, b: mmd(a, b, bandwidths=[1.0, 3.0], kernel=kernel, unbiased=unbiased), (xs, xt)
    )


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_is_finite_where_points_coincide(kernel, dtype):
    x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 5.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[1.0, 2.0], [0.1, 0.7], [0.1, 0.7]], dtype=dtype, requires_grad=True)
    mmd(x, y, kernel=kernel).backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(y.grad).all()
    assert x.grad.abs().sum() > 0


def test_collapsed_features_give_zero_and_no_nan():
    x = torch.ones(4, 3, requires_grad=True)
    value = mmd(x, torch.ones(5, 3))
    value.backward()
    assert float(value) == 0
    assert (x.grad == 0).all()


def test_no_gradient_flows_through_the_bandwidth():
    xs, xt = batches()
    scales = (median_bandwidth(xs, xt) * torch.tensor([0.25, 0.5, 1.0, 2.0, 4.0])).requires_grad_()
    by_default, given = mmd(xs, xt), mmd(xs, xt, bandwidths=scales)
    for a, b in zip(torch.autograd.grad(by_default, (xs, xt)), torch.autograd.grad(given, (xs, xt))):
        torch.testing.assert_close(a, b)
    assert not median_bandwidth(xs, xt).requires_grad
    with pytest.raises(RuntimeError):
        torch.autograd.grad(mmd(xs, xt, bandwidths=scales), scales)


def test_descent_finds_the_translation():
    xs = batches(40, 40)[0].detach()
    offset = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([offset], lr=2.0)
    for _ in range(100):
        sgd.zero_grad()
        mmd(xs + offset, xs + torch.tensor([2.0, -1.0, 0.5])).backward()
        sgd.step()
    torch.testing.assert_close(offset.detach().float(), torch.tensor([2.0, -1.0, 0.5]), atol=1e-3, rtol=0)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"), [((3, 2), (3, 4)), ((1, 2), (3, 2)), ((3,), (3,)), ((3, 2, 2), (3, 2, 2))]
)
def test_bad_shapes(a, b):
    with pytest.raises(ValueError, match="mmd needs batches of shape"):
        mmd(torch.zeros(a), torch.zeros(b))
    with pytest.raises(ValueError, match="at least 2 examples each"):
        median_bandwidth(torch.zeros(a), torch.zeros(b))


def test_unknown_kernel():
    with pytest.raises(ValueError, match="kernel must be 'rbf', 'laplace' or 'imq', got 'linear'"):
        mmd(torch.zeros(2, 2), torch.ones(2, 2), kernel="linear")
