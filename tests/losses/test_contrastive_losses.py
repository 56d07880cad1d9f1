"""SupCon and NT-Xent."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import nt_xent, supcon


def rows(n=8, d=3, seed=0):
    return torch.randn(
        n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True
    )


def supcon_by_loops(z, y, t):
    z = [[v / math.hypot(*row) for v in row] for row in z.tolist()]
    n, losses = len(z), []

    def similarity(i, j):
        return sum(a * b for a, b in zip(z[i], z[j])) / t

    for i in range(n):
        partners = [p for p in range(n) if p != i and y[p] == y[i]]
        if partners:
            below = math.log(sum(math.exp(similarity(i, a)) for a in range(n) if a != i))
            losses.append(-sum(similarity(i, p) - below for p in partners) / len(partners))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_supcon_against_loops(temperature):
    z, y = rows(), [0, 1, 1, 0, 2, 1, 3, 3]  # class 2 occurs once
    value = supcon(z, torch.tensor(y), temperature=temperature)
    assert float(value) == pytest.approx(supcon_by_loops(z, y, temperature))


def test_nt_xent_is_supcon_of_two_views():
    a, b = rows(5), rows(5, seed=1)
    expected = supcon_by_loops(torch.cat([a, b]), [*range(5), *range(5)], 0.5)
    assert float(nt_xent(a, b, temperature=0.5)) == pytest.approx(expected)
    assert float(nt_xent(b, a, temperature=0.5)) == pytest.approx(expected)


def test_by_hand():
    z = torch.tensor([[3.0, 0.0], [0.5, 0.0], [-1.0, 0.0], [-2.0, 0.0]])
    expected = math.log(1 + 2 * math.exp(-2))
    assert float(supcon(z, torch.tensor([0, 0, 1, 1]), temperature=1.0)) == pytest.approx(expected)
    assert float(nt_xent(z[[0, 2]], z[[1, 3]], temperature=1.0)) == pytest.approx(expected)


def test_length_and_order_change_nothing():
    z, y = rows(), torch.tensor([0, 1, 1, 0, 2, 1, 2, 0])
    value = float(supcon(z, y))
    order = torch.randperm(8)
    assert float(supcon(5 * z, y)) == pytest.approx(value)
    assert float(supcon(z[order], y[order])) == pytest.approx(value)
    assert float(supcon(z, 7 - y)) == pytest.approx(value)


def test_tight_classes_cost_less():
    y = torch.tensor([0, 0, 1, 1])
    tight = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]])
    assert float(supcon(tight, y)) < float(supcon(tight[[0, 2, 1, 3]], y))


def test_gradients():
    z, y = rows(6), torch.tensor([0, 1, 1, 0, 2, 0])
    assert gradcheck(lambda a: supcon(a, y, temperature=0.5), z)
    assert gradcheck(lambda a, b: nt_xent(a, b, temperature=0.5), (rows(4), rows(4, seed=1)))
    # The row without a partner is pushed away by the others, and an anchor never by itself.
    zero = torch.zeros(4, 2, requires_grad=True)
    supcon(zero, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(zero.grad).all()


def test_nobody_has_a_partner():
    z = rows(3)
    value = supcon(z, torch.tensor([0, 1, 2]))
    value.backward()
    assert float(value) == 0
    assert (z.grad == 0).all()


def test_small_temperature_stays_finite():
    z = rows().detach().float().requires_grad_()
    value = supcon(z, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]), temperature=1e-3)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(z.grad).all()


def test_bad_input():
    with pytest.raises(ValueError, match="supcon needs z of shape"):
        supcon(torch.zeros(3, 2), torch.zeros(4))
    with pytest.raises(ValueError, match="supcon needs z of shape"):
        supcon(torch.zeros(1, 2), torch.zeros(1))
    with pytest.raises(ValueError, match="two views"):
        nt_xent(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        nt_xent(torch.ones(3, 2), torch.ones(3, 2), temperature=0)
