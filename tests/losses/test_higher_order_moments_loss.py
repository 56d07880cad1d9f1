"""Higher-order moments: the tensors themselves, the kernel that stands for them, sampled entries."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import coral, higher_order_moments


def batches(n=12, m=9, d=3, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    xs = torch.randn(n, d, generator=g, dtype=dtype).tanh()
    xt = (torch.randn(m, d, generator=g, dtype=dtype) ** 2 - 0.5).tanh()
    return xs.requires_grad_(), xt.requires_grad_()


def by_loops(xs, xt, order, central):
    """Every entry of both tensors."""
    xs, xt = xs.detach().numpy(), xt.detach().numpy()
    if central:
        xs, xt = xs - xs.mean(0), xt - xt.mean(0)
    entries = itertools.product(range(xs.shape[1]), repeat=order)
    return np.mean(
        [(np.prod(xs[:, e], 1).mean() - np.prod(xt[:, e], 1).mean()) ** 2 for e in map(list, entries)]
    )


def all_entries(d, order):
    return torch.tensor(list(itertools.product(range(d), repeat=order)))


def test_by_hand():
    # Two features, of which the source's go together and the target's do not: second moments [[1, 1], [1, 1]] and I.
    xs = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    xt = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert higher_order_moments(xs, xt, order=2).item() == pytest.approx(2 / 4)
    assert higher_order_moments(xs, xt, order=3).item() == 0  # odd moments of both are 0


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("central", [True, False])
def test_against_the_tensors_entry_by_entry(order, central):
    xs, xt = batches()
    expected = by_loops(xs, xt, order, central)
    assert higher_order_moments(xs, xt, order=order, central=central).item() == pytest.approx(
        expected, rel=1e-9, abs=1e-15
    )
    every = higher_order_moments(xs, xt, order=order, central=central, indices=all_entries(3, order))
    assert every.item() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_order_one_is_the_distance_of_the_means_and_order_two_coral():
    xs, xt = batches()
    means = (xs.mean(0) - xt.mean(0)).square().sum() / 3
    assert higher_order_moments(xs, xt, order=1, central=False).item() == pytest.approx(means.item())
    assert higher_order_moments(xs, xt, order=1).item() == pytest.approx(0, abs=1e-15)
    # n in place of n - 1: a batch twice over, of 2 n rows, has coral's denominators on both sides up to a known factor.
    xt = xt[:9]
    xs = xs[:9]
    expected = 4 * coral(xs, xt) * (8 / 9) ** 2
    assert higher_order_moments(xs, xt, order=2).item() == pytest.approx(expected.item())


# -- what makes it this loss --------------------------------------------------------------------------------


def test_the_third_order_sees_a_skew_that_covariances_do_not():
    skewed = torch.tensor([[-1.0], [-1.0], [2.0]])
    assert higher_order_moments(skewed, -skewed, order=2).item() == 0
    assert higher_order_moments(skewed, -skewed).item() == 16


def test_it_sees_what_three_features_do_together_and_no_two_of_them():
    corners = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)))
    even = corners[corners.prod(1) > 0]  # the parity: any two features are independent
    assert higher_order_moments(even, corners, order=2).item() == 0
    assert higher_order_moments(even, corners).item() == pytest.approx(math.factorial(3) / 27)


def test_random_entries_are_right_on_average():
    xs, xt = batches()
    g = torch.Generator().manual_seed(0)
    values = [
        higher_order_moments(xs, xt, indices=torch.randint(3, (20, 3), generator=g)).item()
        for _ in range(400)
    ]
    exact = higher_order_moments(xs, xt).item()
    assert abs(np.mean(values) - exact) < 4 * np.std(values) / 20
    assert np.std(values) > 0.05 * exact


def test_limits_and_invariances():
    xs, xt = batches()
    value = higher_order_moments(xs, xt).item()
    assert value > 0
    assert higher_order_moments(xs, xs).item() == pytest.approx(0, abs=1e-16)
    assert higher_order_moments(xt, xs).item() == pytest.approx(value)
    assert higher_order_moments(xs.flip(0), xt).item() == pytest.approx(value)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double()).Q
    assert higher_order_moments(xs @ turn, xt @ turn).item() == pytest.approx(value)
    assert higher_order_moments(xs + 5, xt - 2).item() == pytest.approx(value)
    assert higher_order_moments(2 * xs, 2 * xt).item() == pytest.approx(2**6 * value)
    single = higher_order_moments(xs.float(), xt.float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("indices", [None, torch.tensor([[0, 1, 2], [2, 2, 0]])])
@pytest.mark.parametrize("central", [True, False])
def test_gradient(indices, central):
    xs, xt = batches(5, 4)
    assert gradcheck(lambda a, b: higher_order_moments(a, b, central=central, indices=indices), (xs, xt))


def test_bad_input():
    x = torch.zeros(3, 2)
    for a, b in ((x, torch.zeros(3, 4)), (x[0], x), (x[:0], x)):
        with pytest.raises(
            ValueError, match=r"batches of shape \(n, d\) and \(m, d\), at least 1 example each"
        ):
            higher_order_moments(a, b)
    for order in (0, 2.5, True):
        with pytest.raises(ValueError, match="must be a whole number of at least 1, got"):
            higher_order_moments(x, x, order=order)
    with pytest.raises(
        ValueError, match=r"order 3 need indices of shape \(N, 3\), at least one row, got \(4, 2\)"
    ):
        higher_order_moments(x, x, indices=torch.zeros(4, 2, dtype=torch.int64))
