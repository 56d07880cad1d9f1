"""Cross-entropy and entropy."""

import math

import pytest
import torch
from scipy.stats import entropy as scipy_entropy
from torch.autograd import gradcheck

from dakit.losses import cross_entropy, entropy


def logits(n=6, k=4):
    return torch.randn(
        n, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True
    )


def test_cross_entropy_by_hand():
    z = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])  # probabilities 1/4, 3/4 and 1/2, 1/2
    y = torch.tensor([1, 0])
    assert float(cross_entropy(z, y)) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    # Smoothing 0.2 between two classes: 0.9 on the label and 0.1 on the other.
    smooth = (0.9 * math.log(4 / 3) + 0.1 * math.log(4) + math.log(2)) / 2
    assert float(cross_entropy(z, y, label_smoothing=0.2)) == pytest.approx(smooth)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_against_a_loop(smoothing):
    z, y = logits(), torch.tensor([0, 3, 1, 1, 2, 0])
    p = z.softmax(1).tolist()
    q = [[smoothing / 4 + (1 - smoothing) * (k == int(label)) for k in range(4)] for label in y]
    expected = -sum(a * math.log(b) for qs, ps in zip(q, p) for a, b in zip(qs, ps)) / 6
    assert float(cross_entropy(z, y, label_smoothing=smoothing)) == pytest.approx(expected)
    assert gradcheck(lambda s: cross_entropy(s, y, label_smoothing=smoothing), z)


def test_entropy_against_scipy():
    z = logits()
    assert float(entropy(z)) == pytest.approx(scipy_entropy(z.detach().softmax(1), axis=1).mean())
    assert gradcheck(entropy, z)


def test_entropy_runs_over_classes_not_over_the_batch():
    sure_but_different = torch.eye(3) * 50
    assert float(entropy(sure_but_different)) == pytest.approx(0, abs=1e-6)
    assert float(entropy(torch.zeros(3, 5))) == pytest.approx(math.log(5))
    z = logits()
    assert float(entropy(z + 100)) == pytest.approx(float(entropy(z)))


def test_entropy_with_classes_ruled_out():
    z = torch.tensor([[0.0, 0.0, -torch.inf], [1e4, -1e4, 0.0]], requires_grad=True)
    value = entropy(z)
    value.backward()
    assert float(value) == pytest.approx(math.log(2) / 2)
    assert torch.isfinite(z.grad).all()


def test_entropy_does_not_hide_scores_that_are_no_numbers():
    assert math.isnan(float(entropy(torch.tensor([[0.0, 1.0], [torch.nan, 0.0]]))))


def test_bad_input():
    z = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="one label for each of the 3 rows"):
        cross_entropy(z, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\], got 1.5"):
        cross_entropy(z, torch.zeros(3, dtype=torch.long), label_smoothing=1.5)
    for bad in (torch.zeros(0, 3), torch.zeros(3), torch.zeros(2, 3, 4)):
        with pytest.raises(ValueError, match="logits must have shape"):
            entropy(bad)
