"""Importance weights, IWCV and DEV."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from dakit.metrics import dev, effective_sample_size, importance_weights, iwcv


def shifted(n=2000, shift=0.7, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift * np.eye(d)[0]


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    losses, weights = [1.0, 2.0, 3.0], [0.5, 1.0, 1.5]
    result = iwcv(losses, weights)
    terms = np.array([0.5, 2.0, 4.5])
    assert result.value == pytest.approx(7 / 3)
    assert result.stderr == pytest.approx(terms.std(ddof=1) / math.sqrt(3))
    assert result.interval == pytest.approx(
        (7 / 3 - norm.ppf(0.975) * result.stderr, 7 / 3 + norm.ppf(0.975) * result.stderr)
    )
    # The mean weight is 1, so that the control variate changes nothing but the error.
    corrected = dev(losses, weights)
    assert corrected.value == pytest.approx(7 / 3)
    assert corrected.stderr < result.stderr / 5


def test_dev_against_the_formula_of_the_paper():
    rng = np.random.default_rng(0)
    losses, weights = rng.exponential(size=50), rng.lognormal(size=50)
    weighted = losses * weights
    cov = np.cov(weighted, weights, ddof=1)
    eta = -cov[0, 1] / cov[1, 1]
    expected = weighted.mean() + eta * weights.mean() - eta
    assert dev(losses, weights).value == pytest.approx(expected)


# -- what makes them estimates of the target risk -----------------------------------------------------------


def test_unbiased_with_the_true_ratio_and_dev_less_noisy():
    # Source N(0, 1), target N(1/2, 1): the ratio is exp(x/2 - 1/8). The loss x² has target mean 1 + 1/4.
    rng = np.random.default_rng(1)
    found = np.empty((400, 3))
    for row in found:
        x = rng.normal(size=300)
        w = np.exp(x / 2 - 1 / 8)
        a, b = iwcv(x**2, w), dev(x**2, w)
        row[:] = a.value, b.value, a.interval[0] <= 1.25 <= a.interval[1]
    error = found[:, 0].std() / 20
    assert abs(found[:, 0].mean() - 1.25) < 4 * error
    assert abs(found[:, 1].mean() - 1.25) < 0.02  # its bias is of order 1/v
    assert found[:, 1].std() < 0.9 * found[:, 0].std()
    assert 0.88 < found[:, 2].mean() <= 0.99  # of intervals at 95 %, with skewed terms


def test_weights_against_the_true_ratio():
    zs, zt = shifted(20000)
    at = np.random.default_rng(3).normal(size=(200, 3))
    true = np.exp(0.7 * at[:, 0] - 0.7**2 / 2)
    np.testing.assert_allclose(importance_weights(zs, zt, at), true, rtol=0.12)
    # Their mean over the source is 1, also with unequal sample sizes.
    assert importance_weights(zs, zt[:3000], zs).mean() == pytest.approx(1, abs=0.05)


def test_the_chain_estimates_the_target_risk():
    zs, zt = shifted(4000)
    zv, _ = shifted(4000, seed=9)
    risk = dev(np.exp(zv[:, 0]) / 3, importance_weights(zs, zt, zv))
    truth = float(np.exp(zt[:, 0]).mean() / 3)
    plain = float(np.exp(zv[:, 0]).mean() / 3)
    assert abs(risk.value - truth) < 0.25 * abs(plain - truth)


# -- limits and invariances ---------------------------------------------------------------------------------


def test_equal_weights_are_the_plain_mean():
    rng = np.random.default_rng(0)
    losses = rng.exponential(size=30)
    for estimate in (iwcv, dev):
        assert estimate(losses, np.ones(30)).value == pytest.approx(losses.mean())
        assert estimate(losses, np.full(30, 1 + 1e-13)).value == pytest.approx(losses.mean())
        order = rng.permutation(30)
        w = rng.lognormal(size=30)
        assert estimate(losses[order], w[order]).value == pytest.approx(estimate(losses, w).value)
        assert estimate(3 * losses, w).value == pytest.approx(3 * estimate(losses, w).value)
        assert estimate(torch.from_numpy(losses), torch.from_numpy(w)).value == estimate(losses, w).value
    assert dev(np.full(30, 2.0), rng.lognormal(size=30)).value == pytest.approx(
        2.0
    )  # a constant loss, exactly


def test_weights_are_indifferent_to_units_and_dead_features():
    zs, zt = shifted(300)
    at = zs[:50]
    expected = importance_weights(zs, zt, at)
    scale, offset = np.array([1e20, 1.0, 1e-20]), np.array([1e20, 50.0, 0.0])
    found = importance_weights(*(z * scale + offset for z in (zs, zt, at)))
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    dead = [np.c_[z, np.full(len(z), 0.1)] for z in (zs, zt, at)]
    np.testing.assert_allclose(importance_weights(*dead), expected, rtol=1e-6)
    np.testing.assert_allclose(importance_weights(zs * 0, zt * 0, at), 1.0)


def test_domains_far_apart_give_finite_weights():
    zs, zt = shifted(200, shift=1e6)
    w = importance_weights(zs, zt, np.r_[zs[:5], zt[:5] * 1e6], c=1e6)
    assert np.isfinite(w).all()
    assert w.max() <= math.exp(30) * 1.0001
    assert np.isfinite(dev(np.ones(10), w).value)


def test_effective_sample_size():
    assert effective_sample_size([2.0] * 7) == pytest.approx(7)
    assert effective_sample_size([1e90, 1.0, 1.0]) == pytest.approx(1)
    assert effective_sample_size([1.0, 2.0]) == pytest.approx(9 / 5)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", [iwcv, dev])
def test_bad_losses_and_weights(estimate):
    with pytest.raises(ValueError, match="each loss needs a weight, got 2 losses and 3 weights"):
        estimate([1.0, 2.0], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="at least 2 examples, got 1"):
        estimate([1.0], [1.0])
    with pytest.raises(ValueError, match="must not be negative"):
        estimate([1.0, 2.0], [1.0, -1.0])
    with pytest.raises(ValueError, match="not all 0"):
        estimate([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="NaN, infinite"):
        estimate([1.0, np.nan], [1.0, 1.0])
    with pytest.raises(ValueError, match="overflow"):
        estimate([1.0, 1e99], [1.0, 1e99])
    with pytest.raises(ValueError, match="level must lie"):
        estimate([1.0, 2.0], [1.0, 1.0], level=1.0)
    with pytest.raises(ValueError, match="one number per example"):
        estimate([[1.0, 2.0]], [1.0, 1.0])


def test_bad_features():
    zs, zt = shifted(20)
    with pytest.raises(ValueError, match="at has 2 features, but the samples have 3"):
        importance_weights(zs, zt, zs[:, :2])
    with pytest.raises(ValueError, match="c must be a positive number, got 0"):
        importance_weights(zs, zt, zs, c=0)
    with pytest.raises(ValueError, match="must not be negative"):
        effective_sample_size([-1.0, 1.0])
