"""MMD between joint distributions: the product kernel over layers."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dakit.losses import joint_mmd, mmd

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]


def layers(n=12, m=9, d=3, k=4, dtype=torch.float64, seed=0):
    """Features and softmax outputs of two batches."""
    g = torch.Generator().manual_seed(seed)

    def draw(rows, shift):
        f = torch.randn(rows, d, generator=g, dtype=dtype) + shift
        p = torch.softmax(2 * torch.randn(rows, k, generator=g, dtype=dtype) + shift * torch.arange(k), dim=1)
        return [f.requires_grad_(), p.detach().requires_grad_()]

    return draw(n, 0.0), draw(m, 0.5)


def by_loops(xs, xt, bandwidths, unbiased):
    """Every pair of examples, every layer, every bandwidth."""
    xs, xt = ([layer.detach().numpy() for layer in x] for x in (xs, xt))

    def k(a, i, b, j):
        value = 1.0
        for u, v, scales in zip(a, b, bandwidths):
            value *= np.mean([math.exp(-np.sum((u[i] - v[j]) ** 2) / s) for s in scales])
        return value

    def within(a):
        n = len(a[0])
        return np.mean([k(a, i, a, j) for i in range(n) for j in range(n) if i != j or not unbiased])

    across = np.mean([k(xs, i, xt, j) for i in range(len(xs[0])) for j in range(len(xt[0]))])
    return within(xs) + within(xt) - 2 * across


def test_by_hand():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.0]])
    e = math.exp(-1)
    assert float(joint_mmd([a, a], [a, b], bandwidths=[1.0, 1.0])) == pytest.approx((1 - e) ** 2)
    assert float(joint_mmd([a, a], [a, b], bandwidths=[1.0, 1.0], unbiased=True)) == pytest.approx(
        2 * e**2 - 2 * e
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_against_an_explicit_loop(unbiased):
    xs, xt = layers()
    scales = [FIVE, [0.5, 1.0]]
    value = joint_mmd(xs, xt, bandwidths=scales, unbiased=unbiased)
    assert value.item() == pytest.approx(by_loops(xs, xt, scales, unbiased), rel=1e-10)


@pytest.mark.parametrize("unbiased", [True, False])
def test_gaussians_multiply_to_the_gaussian_of_the_stacked_layers(unbiased):
    xs, xt = layers()
    stacked = [torch.cat([f / math.sqrt(3.0), p / math.sqrt(0.7)], dim=1) for f, p in (xs, xt)]
    expected = float(mmd(*stacked, bandwidths=1.0, unbiased=unbiased))
    found = float(joint_mmd(xs, xt, bandwidths=[3.0, 0.7], unbiased=unbiased))
    assert found == pytest.approx(expected, rel=1e-10)
    # Not so for means over several bandwidths: their product has the mixed pairs as well.
    assert float(joint_mmd(xs, xt, bandwidths=[FIVE, FIVE])) != pytest.approx(
        float(mmd(*(torch.cat(x, dim=1) for x in (xs, xt)), bandwidths=FIVE)), rel=1e-3
    )


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
@pytest.mark.parametrize("bandwidths", [None, [FIVE]])
def test_one_layer_is_the_mmd(kernel, bandwidths):
    (f, _), (g, _) = layers()
    expected = mmd(f, g, kernel=kernel, bandwidths=bandwidths and bandwidths[0])
    assert torch.equal(joint_mmd([f], [g], kernel=kernel, bandwidths=bandwidths), expected)


# -- what makes it joint ------------------------------------------------------------------------------------


def test_it_sees_what_the_layers_apart_do_not():
    (f, p), _ = layers()
    other = p[torch.arange(len(p)).roll(1)]  # the same predictions, given to other features
    assert float(mmd(f, f) + mmd(p, other)) == pytest.approx(0, abs=1e-12)
    assert float(joint_mmd([f, p], [f, other])) > 1e-3


def test_a_layer_that_is_constant_changes_nothing():
    (f, _), (g, _) = layers()
    constant = [torch.full((len(x), 2), 0.5, dtype=f.dtype) for x in (f, g)]
    assert float(joint_mmd([f, constant[0]], [g, constant[1]])) == pytest.approx(float(mmd(f, g)), rel=1e-12)


def test_limits_and_invariances():
    xs, xt = layers()
    value = float(joint_mmd(xs, xt))
    assert value > 0
    assert float(joint_mmd(xs, xs)) == pytest.approx(0, abs=1e-12)
    assert float(joint_mmd(xt, xs)) == pytest.approx(value, rel=1e-12)
    assert float(joint_mmd(xs[::-1], xt[::-1])) == pytest.approx(value, rel=1e-12)
    order = torch.randperm(len(xt[0]), generator=torch.Generator().manual_seed(0))
    assert float(joint_mmd(xs, [layer[order] for layer in xt])) == pytest.approx(value, rel=1e-12)
    moved = [[7 * f + 30, p] for f, p in (xs, xt)]
    assert float(joint_mmd(*moved)) == pytest.approx(value, rel=1e-9)
    single = [[layer.float() for layer in x] for x in (xs, xt)]
    assert float(joint_mmd(*single)) == pytest.approx(value, rel=1e-4)


def test_the_unbiased_estimate_is_zero_on_average_without_a_shift():
    values = []
    for seed in range(300):
        (f, p), _ = layers(n=24, seed=seed)
        values.append(
            float(joint_mmd([f[:12], p[:12]], [f[12:], p[12:]], bandwidths=[4.0, 1.0], unbiased=True))
        )
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(300)


# -- gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unbiased", [True, False])
def test_gradient(unbiased):
    (f, p), (g, q) = layers(5, 4)
    assert gradcheck(
        lambda a, b, c, d: joint_mmd([a, b], [c, d], bandwidths=[[1.0, 3.0], 0.5], unbiased=unbiased),
        (f, p, g, q),
    )


def test_collapsed_layers_give_zero_and_no_nan():
    x = torch.ones(4, 3, requires_grad=True)
    value = joint_mmd([x, x], [torch.ones(5, 3)] * 2)
    value.backward()
    assert float(value) == 0
    assert (x.grad == 0).all()


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_layers():
    x, y = torch.zeros(3, 2), torch.zeros(4, 2)
    for xs, xt in ((x, y), ([x], [y, y]), ([], [])):
        with pytest.raises(ValueError, match="two lists with one tensor a layer and as many layers in each"):
            joint_mmd(xs, xt)
    for xs, xt in (([x, y], [y, y]), ([x], [torch.zeros(4, 3)]), ([x[:1]], [y]), ([x[0]], [y[0]])):
        with pytest.raises(ValueError, match="at least 2 examples each and the same n and m in all, got"):
            joint_mmd(xs, xt)
    for bandwidths in ([1.0], 1.0):
        with pytest.raises(ValueError, match="bandwidths for each of its 2 layers, one entry a layer"):
            joint_mmd([x, x], [y, y], bandwidths=bandwidths)
    with pytest.raises(ValueError, match="kernel must be 'rbf', 'laplace' or 'imq', got 'linear'"):
        joint_mmd([x], [y], kernel="linear")
