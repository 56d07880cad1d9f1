"""Sliced Wasserstein discrepancy of two classifiers: values, a reference, and what it does not see."""

import numpy as np
import ot
import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from dakit.losses import classifier_discrepancy, sliced_wasserstein_discrepancy


def logits(seed, n=7, k=3):
    return torch.from_numpy(2 * np.random.default_rng(seed).normal(size=(n, k)))


def directions(k=3, r=16, seed=0):
    g = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(k, r, generator=g, dtype=torch.float64), dim=0)


def test_against_loops():
    a, b, u = logits(0), logits(1), directions()
    p, q = (z.softmax(1).numpy() for z in (a, b))
    value = 0.0
    for r in range(16):
        left, right = sorted((p @ u[:, r].numpy()).tolist()), sorted((q @ u[:, r].numpy()).tolist())
        value += sum((x - y) ** 2 for x, y in zip(left, right)) / 7 / 16
    assert sliced_wasserstein_discrepancy(a, b, u).item() == pytest.approx(value)


def test_it_is_the_square_of_what_pot_computes():
    a, b, u = logits(0), logits(1), directions()
    p, q = (z.softmax(1).numpy() for z in (a, b))
    expected = ot.sliced_wasserstein_distance(p, q, projections=u.numpy()) ** 2
    assert sliced_wasserstein_discrepancy(a, b, u).item() == pytest.approx(expected)


def test_two_classes_have_one_line_and_there_it_is_exact():
    """p moves along (1, -1): the value is the squared distance of sorted p_1, times the mean of (u_1 - u_2)²."""
    a, b, u = logits(0, k=2), logits(1, k=2), directions(2)
    p, q = (z.softmax(1)[:, 0].sort().values for z in (a, b))
    expected = (p - q).square().mean() * (u[0] - u[1]).square().mean()
    torch.testing.assert_close(sliced_wasserstein_discrepancy(a, b, u), expected)


# -- what makes it this loss --------------------------------------------------------------------------------


def test_it_compares_clouds_and_not_example_by_example():
    a, b, u = logits(0), logits(1), directions()
    shuffled = b[torch.randperm(7, generator=torch.Generator().manual_seed(0))]
    value = sliced_wasserstein_discrepancy(a, b, u)
    torch.testing.assert_close(sliced_wasserstein_discrepancy(a, shuffled, u), value)
    assert sliced_wasserstein_discrepancy(a, a.flip(0), u).item() == pytest.approx(0, abs=1e-12)
    assert classifier_discrepancy(a, a.flip(0)).item() > 0.1


def test_one_example_gives_the_squared_distance_over_k():
    a, b = logits(0, 1), logits(1, 1)
    expected = (a.softmax(1) - b.softmax(1)).square().sum() / 3
    torch.testing.assert_close(sliced_wasserstein_discrepancy(a, b, torch.eye(3).double()), expected)
    many = sliced_wasserstein_discrepancy(a, b, directions(r=200_000))
    assert many.item() == pytest.approx(expected.item(), rel=0.02)


def test_it_never_exceeds_the_wasserstein_distance_over_k():
    """By POT's exact transport, on average over directions."""
    for seed in range(5):
        a, b = logits(2 * seed), logits(2 * seed + 1)
        p, q = (z.softmax(1).numpy() for z in (a, b))
        exact = ot.emd2([], [], ot.dist(p, q))
        assert sliced_wasserstein_discrepancy(a, b, directions(r=20_000)).item() <= exact / 3 * 1.02


@pytest.mark.parametrize("k", [2, 5])
def test_its_ends(k):
    one, other = torch.zeros(4, k), torch.zeros(4, k)
    one[:, 0] = other[:, 1] = 500.0
    u = torch.zeros(k, 1)
    u[0], u[1] = 0.5**0.5, -(0.5**0.5)
    assert sliced_wasserstein_discrepancy(one, other, u).item() == pytest.approx(2)
    many = directions(k, 100_000).float()
    assert sliced_wasserstein_discrepancy(one, other, many).item() == pytest.approx(2 / k, rel=0.03)
    assert sliced_wasserstein_discrepancy(one, one, many[:, :9]).item() == 0


def test_gradients():
    a, b = logits(0).requires_grad_(), logits(1).requires_grad_()
    assert gradcheck(lambda x, y: sliced_wasserstein_discrepancy(x, y, directions()), (a, b))
    (g,) = torch.autograd.grad(sliced_wasserstein_discrepancy(a, a.detach(), directions()), a)
    assert not g.any()


def test_bad_input():
    u = torch.eye(3)
    for shapes in (((2, 3), (2, 4)), ((3,), (3,)), ((0, 3), (0, 3))):
        with pytest.raises(ValueError, match=r"logits of one shape \(n, k\) with at least one example"):
            sliced_wasserstein_discrepancy(*(torch.zeros(s) for s in shapes), u)
    for wrong in (torch.zeros(2, 3), torch.zeros(3), torch.zeros(3, 0)):
        with pytest.raises(
            ValueError, match=r"3 classes need directions of shape \(3, r\), at least one, got"
        ):
            sliced_wasserstein_discrepancy(torch.zeros(2, 3), torch.zeros(2, 3), wrong)
