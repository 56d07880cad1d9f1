"""IRM penalty and variance of the head's gradients: against automatic differentiation, and what they are blind to."""

import math

import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from dakit.losses import gradient_variance, irm_penalty


def batch(n=14, k=3, d=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(d, k, dtype=torch.float64)
    with torch.no_grad():
        for p in head.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
    f = torch.randn(n, d, generator=g, dtype=torch.float64)
    return head, f, torch.randint(k, (n,), generator=g)


# -- the IRM penalty ----------------------------------------------------------------------------------------------


def test_penalty_by_hand():
    """Two examples, logits ±a: p = σ(2a) for the class that a favours."""
    z = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    p = 1 / (1 + math.exp(-2))
    slopes = [2 * (p - 1), 2 * p]  # of an example that is right, and of one that is wrong
    y = torch.tensor([0, 1])
    assert irm_penalty(z, y).item() == pytest.approx((sum(slopes) / 2) ** 2)
    assert irm_penalty(z, y, halves=True).item() == pytest.approx(slopes[0] * slopes[1])
    assert irm_penalty(z, y, halves=True).item() < 0, "an unbiased estimate of a square may be negative"


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_penalty_and_its_gradient_against_a_dummy_classifier_under_autograd(smoothing):
    head, f, y = batch()
    w = torch.ones((), dtype=torch.float64, requires_grad=True)
    risk = cross_entropy(head(f) * w, y, label_smoothing=smoothing)
    (slope,) = torch.autograd.grad(risk, w, create_graph=True)
    found = irm_penalty(head(f), y, label_smoothing=smoothing)
    assert found.item() == pytest.approx(slope.square().item(), rel=1e-12)
    expected = torch.autograd.grad(slope.square(), list(head.parameters()))
    for a, b in zip(torch.autograd.grad(found, list(head.parameters())), expected):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


def test_penalty_of_halves_against_autograd():
    head, f, y = batch()
    slopes = []
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        w = torch.ones((), dtype=torch.float64, requires_grad=True)
        slopes += torch.autograd.grad(cross_entropy(head(f)[rows] * w, y[rows]), w)
    assert irm_penalty(head(f), y, halves=True).item() == pytest.approx((slopes[0] * slopes[1]).item())


def test_penalty_vanishes_at_the_best_scale_only():
    """75 of 100 agree with the feature: the best logit is log 3, whatever the risk there is."""
    y = (torch.arange(100) >= 75).long()
    best = math.log(3) / 2
    z = torch.tensor([[best, -best]], dtype=torch.float64).repeat(100, 1)
    assert irm_penalty(z, y).item() == pytest.approx(0, abs=1e-30)
    assert irm_penalty(2 * z, y).item() > 1e-3
    assert irm_penalty(z / 2, y).item() > 1e-3
    assert irm_penalty(0 * z, y).item() == 0, "logits of 0 have nothing to scale: the trivial way out"


def test_the_square_is_too_large_on_average_and_the_product_is_not():
    """Over many small batches of a population whose own penalty is known."""
    head, f, y = batch(4000)
    z = head(f).detach()
    g = torch.Generator().manual_seed(1)
    rows = [torch.randint(4000, (8,), generator=g) for _ in range(4000)]
    squares = torch.stack([irm_penalty(z[i], y[i]) for i in rows])
    products = torch.stack([irm_penalty(z[i], y[i], halves=True) for i in rows])
    truth = irm_penalty(z, y)
    standard_error = products.std() / len(rows) ** 0.5
    assert (products.mean() - truth).abs() < 4 * standard_error
    assert squares.mean() - truth > 4 * squares.std() / len(rows) ** 0.5


def test_penalty_passes_gradcheck():
    head, f, y = batch(6)
    z = head(f).detach().requires_grad_()
    assert torch.autograd.gradcheck(irm_penalty, (z, y))
    assert torch.autograd.gradcheck(lambda z: irm_penalty(z, y, halves=True), (z,))


# -- the variance of gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_variance_against_the_gradient_of_every_example(smoothing):
    head, f, y = batch()

    def risk(parameters, f, y):
        z = functional_call(head, parameters, (f[None],))
        return cross_entropy(z, y[None], label_smoothing=smoothing)

    parameters = {k: v.detach() for k, v in head.named_parameters()}
    one_each = vmap(grad(risk), in_dims=(None, 0, 0))(parameters, f, y)
    expected = torch.cat([one_each["weight"], one_each["bias"][:, :, None]], dim=2).var(dim=0, correction=0)
    found = gradient_variance(f, head(f), y, label_smoothing=smoothing)
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-14)


def test_variance_of_equal_examples_is_zero_and_does_not_feel_their_order_or_number():
    head, f, y = batch()
    one = gradient_variance(f[:1], head(f[:1]), y[:1])
    assert torch.allclose(one, torch.zeros_like(one), atol=1e-14)
    v = gradient_variance(f, head(f), y)
    twice = torch.cat([f.flip(0), f.flip(0)])
    assert torch.allclose(gradient_variance(twice, head(twice), y.flip(0).repeat(2)), v)
    assert v.min() >= 0


def test_variance_in_float32_with_features_far_from_zero():
    """The difference of two sums: not much is lost even where features are all near 100."""
    head, f, y = batch(64)
    f = f + 100
    z = 1e-3 * head(f)
    exact = gradient_variance(f, z, y)
    found = gradient_variance(f.float(), z.float(), y).double()
    assert torch.allclose(found, exact, rtol=1e-3)


def test_variance_passes_gradcheck():
    head, f, y = batch(5)
    f = f.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: gradient_variance(f, head(f), y), (f,))


# -- both ---------------------------------------------------------------------------------------------------------


def test_bad_input_is_told():
    z, y = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(
        ValueError, match=r"logits must have shape \(n, k\) and y shape \(n,\).*got \(3, 2\) and \(2,\)"
    ):
        irm_penalty(z, y[:2])
    with pytest.raises(ValueError, match=r"at least one example, got \(0, 2\)"):
        irm_penalty(z[:0], y[:0])
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\], got 2"):
        irm_penalty(z, y, label_smoothing=2)
    with pytest.raises(ValueError, match="two halves need at least 2 rows of logits, got 1"):
        irm_penalty(z[:1], y[:1], halves=True)
    with pytest.raises(ValueError, match=r"one row for each of the 3 rows of logits, got \(2, 4\)"):
        gradient_variance(torch.zeros(2, 4), z, y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    head, f, y = batch()
    z = head(f)
    on_gpu = irm_penalty(z.cuda(), y.cuda()), gradient_variance(f.cuda(), z.cuda(), y.cuda())
    for a, b in zip(on_gpu, (irm_penalty(z, y), gradient_variance(f, z, y))):
        torch.testing.assert_close(a.cpu(), b)
