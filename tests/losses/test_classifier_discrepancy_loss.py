"""The disagreement of two classifiers: values, ends, and that it is a metric."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import classifier_discrepancy


def logits(seed, n=6, k=3):
    return torch.from_numpy(2 * np.random.default_rng(seed).normal(size=(n, k)))


def test_against_a_loop():
    a, b = logits(0), logits(1)
    p, q = ((z.exp() / z.exp().sum(1, keepdim=True)).tolist() for z in (a, b))
    value = sum(abs(p[i][j] - q[i][j]) for i in range(6) for j in range(3)) / 18
    assert classifier_discrepancy(a, b).item() == pytest.approx(value)


@pytest.mark.parametrize("k", [2, 5])
def test_its_two_ends(k):
    sure = 500.0 * torch.eye(k)
    assert classifier_discrepancy(sure, sure.roll(1, 0)).item() == pytest.approx(2 / k)
    z = logits(0, 4, k)
    assert classifier_discrepancy(z, z).item() == 0.0
    # A constant added to all scores of an example changes no probability.
    assert classifier_discrepancy(z, z + 3.0).item() == pytest.approx(0.0, abs=1e-12)


def test_it_is_a_metric():
    for seed in range(10):
        a, b, c = (logits(3 * seed + i) for i in range(3))
        ab, ba, ac, cb = (classifier_discrepancy(*z).item() for z in ((a, b), (b, a), (a, c), (c, b)))
        assert ab == ba
        assert 0 < ab <= ac + cb


def test_it_is_blind_to_the_order_of_rows_and_classes():
    a, b = logits(0), logits(1)
    value = classifier_discrepancy(a, b)
    torch.testing.assert_close(classifier_discrepancy(a.flip(0, 1), b.flip(0, 1)), value)
    assert not torch.isclose(classifier_discrepancy(a, b.flip(0)), value)


def test_gradients():
    a, b = logits(0).requires_grad_(), logits(1).requires_grad_()
    assert gradcheck(classifier_discrepancy, (a, b))
    (g,) = torch.autograd.grad(classifier_discrepancy(a, a.detach().clone()), a)
    assert not g.any()
    huge = torch.tensor([[1e30, -1e30]], requires_grad=True)
    value = classifier_discrepancy(huge, -huge.detach())
    value.backward()
    assert value.item() == 1.0
    assert torch.isfinite(huge.grad).all()


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2,), (2,)), ((0, 3), (0, 3))])
def test_bad_shapes_are_told(shapes):
    with pytest.raises(ValueError, match=r"logits of one shape \(n, k\) with at least one example"):
        classifier_discrepancy(*(torch.zeros(s) for s in shapes))
