"""Temperature, bias-corrected and vector scaling: closed forms, general optimisers, and separable data."""

import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from dakit.metrics.logit_scaling import bias_corrected_scaling, temperature_scaling, vector_scaling

SCALINGS = [temperature_scaling, bias_corrected_scaling, vector_scaling]


def examples(n=800, k=4, temperature=2.5, bias=0.0, seed=0):
    """Logits whose calibrated form is softmax(logits / temperature + bias)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 4
    p = softmax(logits / temperature + bias, axis=1)
    return logits, (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(0, k - 1)


def loss(logits, y):
    return -log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()


# -- by hand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [60, 75, 99])
def test_temperature_by_hand(right):
    # Equal predictions with logits (2, 0), right in a share s of the cases: s = 1 / (1 + exp(-2/T)).
    share = right / 100
    fit = temperature_scaling([[2.0, 0.0]] * 100, [0] * right + [1] * (100 - right))
    assert fit.temperature == pytest.approx(2 / np.log(share / (1 - share)), rel=1e-8)
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert fit.nll_after == pytest.approx(entropy)
    np.testing.assert_allclose(fit.probabilities([[2.0, 0.0]]), [[share, 1 - share]])


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_temperature_against_a_grid_and_the_truth(temperature):
    logits, y = examples(20_000, temperature=temperature)
    fit = temperature_scaling(logits, y)
    assert fit.temperature == pytest.approx(temperature, rel=0.05)
    grid = fit.temperature * np.array([0.98, 0.999, 1.001, 1.02])
    assert fit.nll_after < min(loss(logits / t, y) for t in grid)
    assert fit.nll_after == pytest.approx(loss(logits / fit.temperature, y), rel=1e-12)
    assert fit.nll_before == pytest.approx(loss(logits, y), rel=1e-12)


def test_two_classes_are_logistic_regression():
    # With k = 2, bias-corrected scaling is logistic regression on the difference of the logits.
    logits, y = examples(k=2, bias=np.array([0.0, 1.0]))
    fit = bias_corrected_scaling(logits, y)
    reference = LogisticRegression(C=1e10, tol=1e-10).fit(logits[:, 1:] - logits[:, :1], y)
    assert fit.scale == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    assert fit.bias[1] - fit.bias[0] == pytest.approx(reference.intercept_[0], rel=1e-4)


@pytest.mark.parametrize("scaling", [bias_corrected_scaling, vector_scaling])
def test_against_a_general_optimiser(scaling):
    logits, y = examples(400, 3, bias=np.array([0.5, 0, -1.0]))
    z = logits - logits.max(1, keepdims=True)
    a = 1 if scaling is bias_corrected_scaling else 3
    best = minimize(lambda p: loss(z * p[:a] + p[a:], y), np.r_[np.ones(a), np.zeros(3)], tol=1e-10)
    fit = scaling(logits, y)
    assert fit.nll_after == pytest.approx(best.fun, abs=1e-8)
    np.testing.assert_allclose(np.atleast_1d(fit.scale), best.x[:a], rtol=1e-3)


# -- what makes it this method ------------------------------------------------------------------------------


def test_temperature_keeps_the_predicted_class():
    logits, y = examples()
    fit = temperature_scaling(logits, y)
    np.testing.assert_array_equal(fit.probabilities(logits).argmax(1), logits.argmax(1))
    assert (fit.bias == 0).all()


def test_bias_makes_the_mean_probabilities_those_of_the_labels():
    logits, y = examples(bias=np.array([1.0, 0, 0, -1.0]))
    means = bias_corrected_scaling(logits, y).probabilities(logits).mean(0)
    np.testing.assert_allclose(means, np.bincount(y) / len(y), atol=1e-6)


def test_richer_scalings_fit_better():
    logits, y = examples(300)
    fits = [scaling(logits, y) for scaling in SCALINGS]
    assert fits[0].nll_before > fits[0].nll_after > fits[1].nll_after > fits[2].nll_after
    assert [fit.kind for fit in fits] == ["temperature", "bias-corrected", "vector"]
    with pytest.raises(AttributeError, match="no single temperature"):
        _ = fits[2].temperature


# -- limits and invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", SCALINGS)
def test_all_right_is_told_and_stays_finite(scaling):
    logits = np.eye(3)[np.arange(30) % 3] * 2.0
    with pytest.warns(UserWarning, match="no maximum between the scales"):
        fit = scaling(logits, np.arange(30) % 3)
    assert fit.at_bound
    assert 0 <= fit.nll_after < 1e-5
    assert np.isfinite(fit.probabilities(logits)).all()


def test_logits_against_the_labels_give_the_largest_temperature():
    with pytest.warns(UserWarning, match="say nothing"):
        fit = temperature_scaling([[2.0, 0.0]] * 4, [1, 1, 1, 0])
    assert fit.temperature == pytest.approx(1e3)
    assert fit.nll_after == pytest.approx(np.log(2), rel=1e-2)


def test_equal_logits_have_temperature_one():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = temperature_scaling(np.full((6, 3), 1e30), [0, 1, 2, 0, 1, 2])
    assert fit.temperature == 1
    assert fit.nll_after == pytest.approx(np.log(3))


def test_scale_shift_order_and_dtype():
    logits, y = examples()
    fit = temperature_scaling(logits, y)
    assert temperature_scaling(logits * 7, y).temperature == pytest.approx(7 * fit.temperature, rel=1e-8)
    moved = logits + np.arange(len(y))[:, None]
    assert temperature_scaling(moved, y).temperature == pytest.approx(fit.temperature, rel=1e-8)
    single = temperature_scaling(torch.from_numpy(logits).float(), torch.from_numpy(y))
    assert single.temperature == pytest.approx(fit.temperature, rel=1e-5)
    for scaling in SCALINGS:
        a, b = scaling(logits, y), scaling(logits[::-1].copy(), y[::-1])
        np.testing.assert_allclose(a.probabilities(logits), b.probabilities(logits), atol=1e-6)
        named = scaling(logits, np.array(list("dcba"))[y], classes="dcba")
        np.testing.assert_array_equal(a.scale, named.scale)


def test_huge_logits():
    logits, y = examples(200)
    with pytest.warns(UserWarning, match="scales"):
        fit = temperature_scaling(logits * 1e30, y)  # the best temperature would be 2.5e30
    assert fit.temperature == pytest.approx(1e3)
    assert np.isfinite(fit.nll_after)


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    for scaling in SCALINGS:
        with pytest.raises(ValueError, match="NaN"):
            scaling([[np.nan, 0.0], [1.0, 0.0]], [0, 1])
        with pytest.raises(ValueError, match="column numbers 0 to 1"):
            scaling([[1.0, 0.0], [1.0, 0.0]], [2, 2])
    for scaling in SCALINGS[1:]:
        with pytest.raises(ValueError, match="class 1 has none"):
            scaling([[1.0, 0.0], [1.0, 0.0]], [0, 0])
    with pytest.raises(ValueError, match="must have 2 columns"):
        temperature_scaling([[2.0, 0.0]] * 4, [0, 0, 0, 1]).probabilities([[1.0, 2.0, 3.0]])
