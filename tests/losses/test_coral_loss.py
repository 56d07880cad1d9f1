"""Deep CORAL."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import coral


def batches(n=12, m=9, d=4, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    xs, xt = torch.randn(n, d, generator=g, dtype=dtype), 2 * torch.randn(m, d, generator=g, dtype=dtype) + 1
    return xs.requires_grad_(), xt.requires_grad_()


def test_by_hand():
    xs, xt = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.tensor([[5.0, -2.0], [5.0, 2.0]])
    assert float(coral(xs, xt)) == pytest.approx((2**2 + 8**2) / (4 * 2**2))


def test_against_numpy_and_the_metric():
    from dakit.metrics import coral_distance

    xs, xt = batches()
    expected = np.square(np.cov(xs.detach().T) - np.cov(xt.detach().T)).sum() / (4 * 16)
    assert float(coral(xs, xt)) == pytest.approx(expected, rel=1e-12)
    assert coral_distance(xs, xt) == pytest.approx(expected, rel=1e-12)


def test_limits_and_invariances():
    xs, xt = batches()
    value = float(coral(xs, xt))
    assert float(coral(xs, xs)) == 0
    assert float(coral(xs, xs + 3)) == pytest.approx(0, abs=1e-20)  # blind to a translation
    assert float(coral(xt, xs)) == pytest.approx(value)
    assert float(coral(2 * xs, 2 * xt)) == pytest.approx(16 * value)
    a, b = xs.detach().float() + 50, xt.detach().float() + 50
    assert float(coral(a, b)) == pytest.approx(float(coral(a.double(), b.double())), rel=1e-4)


def test_gradient():
    assert gradcheck(coral, batches(5, 4, 3))
    # In closed form: (Cs - Ct) times the centred rows, over d² (n - 1).
    xs, xt = batches()
    (found,) = torch.autograd.grad(coral(xs, xt), xs)
    with torch.no_grad():
        expected = (xs - xs.mean(0)) @ (torch.cov(xs.T) - torch.cov(xt.T)) / (16 * (len(xs) - 1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("a", "b"), [((3, 2), (3, 4)), ((1, 2), (3, 2)), ((3,), (3,))])
def test_bad_shapes(a, b):
    with pytest.raises(ValueError, match="coral needs batches of shape"):
        coral(torch.zeros(a), torch.zeros(b))
