"""Entropy of the mean prediction: by hand, at its ends, and beside the entropy of each example."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import entropy, marginal_entropy


def logits(n, k, seed=0, scale=2.0):
    return torch.from_numpy(scale * np.random.default_rng(seed).normal(size=(n, k)))


def test_by_hand():
    z = torch.tensor([[0.75, 0.25], [0.25, 0.75], [1.0, 0.0]], dtype=torch.float64).log()
    m = (2 / 3, 1 / 3)
    assert marginal_entropy(z).item() == pytest.approx(-sum(p * math.log(p) for p in m))


@pytest.mark.parametrize(("n", "k"), [(7, 3), (2, 5), (1, 2)])
def test_against_a_loop(n, k):
    z = logits(n, k)
    shares = [0.0] * k
    for row in z.tolist():
        e = [math.exp(v) for v in row]
        shares = [s + v / sum(e) / n for s, v in zip(shares, e)]
    assert marginal_entropy(z).item() == pytest.approx(-sum(s * math.log(s) for s in shares))


def test_its_ends():
    assert marginal_entropy(torch.zeros(3, 4)).item() == pytest.approx(math.log(4))
    assert marginal_entropy(200 * torch.eye(4)).item() == pytest.approx(math.log(4))
    one_class = torch.tensor([[200.0, 0.0, -200.0]]).repeat(5, 1).requires_grad_()
    value = marginal_entropy(one_class)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(one_class.grad).all()
    ruled_out = torch.tensor([[0.0, 0.0, -torch.inf]], requires_grad=True)
    value = marginal_entropy(ruled_out)
    value.backward()
    assert value.item() == pytest.approx(math.log(2))
    assert torch.isfinite(ruled_out.grad).all()


def test_the_information_of_predictions_is_not_negative_and_zero_where_all_are_alike():
    for seed in range(10):
        z = logits(9, 4, seed)
        assert marginal_entropy(z) - entropy(z) > 0
    same = logits(1, 4).repeat(6, 1)
    assert (marginal_entropy(same) - entropy(same)).item() == pytest.approx(0.0, abs=1e-12)


def test_order_does_not_matter_and_gradients_are_right():
    z = logits(6, 3)
    torch.testing.assert_close(marginal_entropy(z.flip(0)), marginal_entropy(z))
    torch.testing.assert_close(marginal_entropy(z.flip(1)), marginal_entropy(z))
    torch.testing.assert_close(marginal_entropy(z.repeat(2, 1)), marginal_entropy(z))
    torch.testing.assert_close(marginal_entropy(z.float()).double(), marginal_entropy(z), atol=1e-6, rtol=0)
    assert gradcheck(marginal_entropy, (z.requires_grad_(),))


def test_bad_input_is_told():
    for bad in (torch.zeros(4), torch.zeros(0, 3), torch.zeros(2, 3, 4)):
        with pytest.raises(ValueError, match=r"logits must have shape \(n, k\) with at least one example"):
            marginal_entropy(bad)
