"""Batch spectral penalty: its value by a singular value decomposition, and a gradient that stays finite."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import batch_spectral


def batches(n=12, m=9, d=4, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs, xt = torch.randn(n, d, generator=g, dtype=dtype), 2 * torch.randn(m, d, generator=g, dtype=dtype) + 1
    return xs.requires_grad_(), xt.requires_grad_()


def test_by_hand():
    xs, xt = torch.diag(torch.tensor([3.0, 1.0])), torch.tensor([[0.0, 2.0], [1.0, 0.0]])
    assert batch_spectral(xs, xt).item() == pytest.approx(9 + 4)
    assert batch_spectral(xs, xt, k=2).item() == pytest.approx(9 + 1 + 4 + 1)


@pytest.mark.parametrize(("n", "d"), [(12, 4), (4, 12), (6, 6)])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_against_numpys_singular_values(n, d, k):
    xs, xt = batches(n, n + 1, d)
    expected = sum(np.sum(np.linalg.svd(x.detach().numpy(), compute_uv=False)[:k] ** 2) for x in (xs, xt))
    assert batch_spectral(xs, xt, k=k).item() == pytest.approx(expected, rel=1e-10)


def test_against_power_iteration():
    """The largest eigenvalue by nothing but products."""
    xs, xt = batches()
    expected = 0.0
    for x in (xs, xt):
        v = torch.ones(4, dtype=torch.float64)
        for _ in range(500):
            v = x.detach().T @ (x.detach() @ v)
            v = v / v.norm()
        expected += (x.detach() @ v).square().sum().item()
    assert batch_spectral(xs, xt).item() == pytest.approx(expected, rel=1e-8)


def test_all_singular_values_are_the_frobenius_norm():
    xs, xt = batches()
    assert batch_spectral(xs, xt, k=4).item() == pytest.approx(
        (xs.square().sum() + xt.square().sum()).item(), rel=1e-12
    )


def test_invariances():
    xs, xt = batches()
    value = batch_spectral(xs, xt).item()
    turn = torch.linalg.qr(
        torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ).Q
    assert batch_spectral(xs @ turn, xt @ turn).item() == pytest.approx(value, rel=1e-10)
    assert batch_spectral(xt, xs).item() == pytest.approx(value, rel=1e-12)
    assert batch_spectral(xs.flip(0), xt.flip(0)).item() == pytest.approx(value, rel=1e-10)
    assert batch_spectral(3 * xs, 3 * xt).item() == pytest.approx(9 * value, rel=1e-10)
    assert batch_spectral(xs.float(), xt.float()).item() == pytest.approx(value, rel=1e-5)
    assert (
        batch_spectral(xs + 10, xt).item() > 10 * value
    )  # not centred: a mean is a direction like any other


# -- gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(5, 3), (3, 5)])
@pytest.mark.parametrize("k", [1, 2])
def test_gradient(n, d, k):
    assert gradcheck(lambda a, b: batch_spectral(a, b, k=k), batches(n, n + 1, d))


@pytest.mark.parametrize(("n", "d"), [(12, 4), (4, 12)])
def test_the_gradient_lies_along_the_leading_directions_only(n, d):
    xs, xt = batches(n, n, d)
    (g,) = torch.autograd.grad(batch_spectral(xs, xt, k=2), xs)
    u, s, vh = torch.linalg.svd(xs.detach(), full_matrices=False)
    torch.testing.assert_close(g, 2 * (u[:, :2] * s[:2]) @ vh[:2])
    assert (u[:, 2:].T @ g).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_finite_where_singular_values_meet(dtype):
    for x in (
        torch.eye(4),  # all equal
        torch.diag(torch.tensor([1.0, 1.0 + 1e-7, 1.0 - 1e-7, 0.5])),  # nearly equal
        torch.ones(4, 4),  # rank 1, three zeros
        torch.tensor([[1.0, 2.0]]).repeat(4, 1),  # one example four times
    ):
        x = x.to(dtype).requires_grad_()
        (g,) = torch.autograd.grad(batch_spectral(x, x.detach()), x)
        assert torch.isfinite(g).all()
        # Along any unit leading direction the length is 2 σ_1.
        assert g.norm().item() == pytest.approx(2 * torch.linalg.matrix_norm(x, 2).item(), rel=1e-4)


def test_features_of_zero_cost_nothing_and_get_no_gradient():
    x = torch.zeros(5, 3, requires_grad=True)
    value = batch_spectral(x, torch.zeros(4, 3))
    value.backward()
    assert value.item() == 0
    assert (x.grad == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e30])
def test_numbers_that_are_not_finite_give_nan_and_no_error_of_the_solver(bad):
    xs = torch.ones(4, 3)
    xs[1, 2] = bad
    assert math.isnan(batch_spectral(xs, torch.ones(4, 3)).item())
    assert math.isnan(batch_spectral(torch.ones(4, 3), xs).item())


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [((3, 2), (3, 4)), ((0, 2), (3, 2)), ((3,), (3,))])
def test_bad_shapes(a, b):
    with pytest.raises(ValueError, match="batch_spectral needs batches of shape"):
        batch_spectral(torch.zeros(a), torch.zeros(b))


def test_bad_k():
    for k in (0, -1, 1.0, True):
        with pytest.raises(ValueError, match="k, the number of singular values, must be a whole number"):
            batch_spectral(*batches(), k=k)
    for shapes in ((12, 9, 4), (4, 9, 12), (9, 4, 12)):
        with pytest.raises(
            ValueError, match="k must not exceed 4, the singular values that batches of shape"
        ):
            batch_spectral(*batches(*shapes), k=5)
