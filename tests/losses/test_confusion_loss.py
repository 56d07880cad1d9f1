"""Class confusion against loops, at its ends, and where it must not reward collapse."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import class_confusion, entropy


def logits(n, k, seed=0, scale=2.0):
    return torch.from_numpy(scale * np.random.default_rng(seed).normal(size=(n, k)))


def by_loop(z, temperature):
    """The paper's equations 3 to 7, entry by entry."""
    n, k = z.shape
    y = [[math.exp(v / temperature) for v in row] for row in z.tolist()]
    y = [[v / sum(row) for v in row] for row in y]
    w = [1 + math.exp(sum(v * math.log(v) for v in row)) for row in y]
    w = [n * v / sum(w) for v in w]
    c = [[sum(y[i][j] * w[i] * y[i][m] for i in range(n)) for m in range(k)] for j in range(k)]
    return sum(c[j][m] / sum(c[j]) for j in range(k) for m in range(k) if m != j) / k


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(("n", "k"), [(7, 3), (2, 5), (1, 2)])
def test_against_the_equations(n, k, temperature):
    z = logits(n, k)
    assert class_confusion(z, temperature=temperature).item() == pytest.approx(by_loop(z, temperature))


def test_by_hand():
    # One sure example of class 0 (weight 2) and one uniform (weight 3/2), scaled to 8/7 and 6/7.
    z = torch.tensor([[200.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    c00, c01, c11 = 8 / 7 + 6 / 28, 6 / 28, 6 / 28
    expected = 0.5 * (c01 / (c00 + c01) + c01 / (c01 + c11))
    assert class_confusion(z, temperature=1.0).item() == pytest.approx(expected)


@pytest.mark.parametrize("k", [2, 5])
def test_its_two_ends(k):
    assert class_confusion(torch.zeros(6, k)).item() == pytest.approx(1 - 1 / k)
    sure = 500.0 * torch.eye(k).repeat(2, 1)
    assert class_confusion(sure).item() == pytest.approx(0.0, abs=1e-6)
    for seed in range(20):
        assert -1e-9 <= class_confusion(logits(9, k, seed, scale=3.0)).item() <= 1 - 1 / k + 1e-9


def test_a_collapse_to_one_class_is_not_rewarded_as_entropy_would():
    collapsed = torch.tensor([[40.0, 0.0, 0.0]]).repeat(6, 1)
    assert entropy(collapsed).item() == pytest.approx(0.0, abs=1e-6)
    assert class_confusion(collapsed, temperature=1.0).item() == pytest.approx(2 / 3, abs=1e-6)
    # The limit in which the other probabilities are exactly 0 in this precision.
    assert class_confusion(1e4 * collapsed, temperature=1.0).item() == pytest.approx(2 / 3, abs=1e-6)


def test_order_of_rows_and_of_classes_does_not_matter_nor_a_shift_of_a_row():
    z = logits(8, 4)
    value = class_confusion(z)
    torch.testing.assert_close(class_confusion(z.flip(0)), value)
    torch.testing.assert_close(class_confusion(z[:, [2, 0, 3, 1]]), value)
    torch.testing.assert_close(class_confusion(z + torch.arange(8.0)[:, None]), value)
    torch.testing.assert_close(class_confusion(z.repeat(3, 1)), value)


def test_temperature_divides_the_scores():
    z = logits(8, 4)
    torch.testing.assert_close(class_confusion(5 * z, temperature=5.0), class_confusion(z, temperature=1.0))
    torch.testing.assert_close(class_confusion(z, temperature=1e9), torch.tensor(0.75, dtype=z.dtype))


def test_the_gradient_takes_the_weights_as_given():
    z = logits(5, 3).requires_grad_()
    y = (z / 2.5).softmax(1)
    w = 1 + (y * y.log()).sum(1).exp()
    w = (5 * w / w.sum()).tolist()

    def with_fixed_weights(z):
        y = (z / 2.5).softmax(1)
        c = y.T @ torch.diag(torch.tensor(w, dtype=z.dtype)) @ y
        c = c / c.sum(1, keepdim=True)
        return (c.sum() - c.trace()) / 3

    assert gradcheck(with_fixed_weights, (z,))
    (expected,) = torch.autograd.grad(with_fixed_weights(z), z)
    (found,) = torch.autograd.grad(class_confusion(z), z)
    torch.testing.assert_close(found, expected)


def test_float32_agrees_and_huge_scores_stay_finite():
    z = logits(50, 6)
    assert class_confusion(z.float()).item() == pytest.approx(class_confusion(z).item(), abs=1e-6)
    huge = torch.tensor([[1e30, -1e30], [-1e30, 1e30], [1e30, 0.0]], requires_grad=True)
    value = class_confusion(huge)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(huge.grad).all()


def test_bad_input_is_told():
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="temperature must be positive"):
            class_confusion(torch.zeros(2, 2), temperature=temperature)
    with pytest.raises(
        ValueError, match=r"logits must have shape \(n, k\) with at least one example, got \(4,\)"
    ):
        class_confusion(torch.zeros(4))
    with pytest.raises(ValueError, match="at least one example"):
        class_confusion(torch.zeros(0, 3))
