"""Estimates of accuracy without labels: exact on the source, right where calibration holds, blind to concepts."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from dakit.metrics.expected_accuracy import (
    average_confidence,
    average_thresholded_confidence,
    difference_of_confidences,
    generalised_disagreement,
)

WITH_SOURCE = [difference_of_confidences, average_thresholded_confidence]


def domain(n, centre, seed, *, flip=0.0, sharpness=1.0):
    """x ~ N(centre, 1), P(y = 1 | x) = sigmoid(2x): covariate shift moves ``centre`` and keeps calibration.

    ``flip`` turns that share of labels over (the concept moves); ``sharpness`` other than 1 spoils calibration.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(centre, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * x))).astype(int)
    y = np.where(rng.random(n) < flip, 1 - y, y)
    p = 1 / (1 + np.exp(-2 * sharpness * x))
    return np.column_stack([1 - p, p]), y


def accuracy(probs, y):
    return (probs.argmax(1) == y).mean()


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    probs_s, ys = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]], [0, 1, 1, 1]  # right: yes, yes, no, yes
    probs_t = [[0.95, 0.05], [0.35, 0.65], [0.45, 0.55]]
    assert average_confidence(probs_t).value == pytest.approx((0.95 + 0.65 + 0.55) / 3)
    # 0.75 - (0.75 - 2.15 / 3)
    assert difference_of_confidences(probs_s, ys, probs_t).value == pytest.approx(2.15 / 3)
    # One error: one source confidence may lie below the threshold, 0.7. One target confidence reaches it.
    assert average_thresholded_confidence(probs_s, ys, probs_t).value == pytest.approx(1 / 3)
    assert generalised_disagreement(probs_t, [[0.6, 0.4], [0.6, 0.4], [0.3, 0.7]]).value == pytest.approx(
        2 / 3
    )


def test_threshold_against_a_search():
    probs_s, ys = domain(101, 0, 0)
    probs_t, _ = domain(57, 0.5, 1)
    for score, f in {
        "confidence": lambda p: p.max(1),
        "negentropy": lambda p: (p * np.log(p)).sum(1),
    }.items():
        s, t = f(probs_s), f(probs_t)
        error = 1 - accuracy(probs_s, ys)
        threshold = min(s, key=lambda c: abs((s < c).mean() - error))
        found = average_thresholded_confidence(probs_s, ys, probs_t, score=score)
        assert found.value == pytest.approx((t >= threshold).mean())


# -- exact on the source ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 5.0])
@pytest.mark.parametrize("estimate", WITH_SOURCE)
def test_exact_on_the_source_itself(estimate, sharpness):
    probs, y = domain(300, 0.3, 0, sharpness=sharpness)
    assert estimate(probs, y, probs).value == pytest.approx(accuracy(probs, y), abs=1e-12)


@pytest.mark.parametrize("k", [2, 5])
def test_exact_on_the_source_with_negentropy(k):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(k), 200)
    y = rng.integers(0, k, 200)
    found = average_thresholded_confidence(probs, y, probs, score="negentropy")
    assert found.value == pytest.approx(accuracy(probs, y))


def test_all_right_and_all_wrong():
    probs, _ = domain(50, 0, 0)
    for estimate in WITH_SOURCE:
        assert estimate(probs, probs.argmax(1), probs).value == pytest.approx(1)
        assert estimate(probs, probs.argmin(1), probs).value == pytest.approx(0)


# -- where they are right -----------------------------------------------------------------------------------


@pytest.mark.parametrize("centre", [1.0, 2.0])
def test_covariate_shift_that_keeps_calibration(centre):
    n = 40_000
    probs_s, ys = domain(n, 0, 0)
    probs_t, yt = domain(n, centre, 1)
    truth = accuracy(probs_t, yt)
    assert abs(truth - accuracy(probs_s, ys)) > 0.02
    # Five standard errors of a difference of such means.
    close = 5 * np.sqrt(3 * 0.25 / n)
    assert average_confidence(probs_t).value == pytest.approx(truth, abs=close)
    assert difference_of_confidences(probs_s, ys, probs_t).value == pytest.approx(truth, abs=close)


def test_thresholds_move_the_right_way():
    # ATC is not unbiased under covariate shift; it does better here than "as on the source".
    probs_s, ys = domain(40_000, 0, 0)
    probs_t, yt = domain(40_000, 1.5, 1)
    found, before, truth = (
        average_thresholded_confidence(probs_s, ys, probs_t, bootstrap=0).value,
        accuracy(probs_s, ys),
        accuracy(probs_t, yt),
    )
    assert abs(found - truth) < 0.5 * abs(before - truth)


def test_doc_allows_for_constant_overconfidence_where_average_confidence_does_not():
    probs_s, ys = domain(20_000, 0, 0, sharpness=5)
    probs_t, yt = domain(20_000, 0, 1, sharpness=5)
    truth = accuracy(probs_t, yt)
    assert abs(average_confidence(probs_t, bootstrap=0).value - truth) > 0.1
    assert abs(difference_of_confidences(probs_s, ys, probs_t, bootstrap=0).value - truth) < 0.015


def test_agreement_of_calibrated_classifiers_that_sample_their_answer():
    # Two classifiers that draw from the same calibrated ensemble: E[agreement] = E[Σ p²] = E[accuracy].
    rng = np.random.default_rng(0)
    p, y = domain(50_000, 0, 0)
    a, b = (np.eye(2)[(rng.random(50_000) < p[:, 1]).astype(int)] for _ in range(2))
    assert generalised_disagreement(a, b, bootstrap=0).value == pytest.approx(accuracy(a, y), abs=0.01)


# -- where they fail ----------------------------------------------------------------------------------------


def test_all_are_blind_to_a_flipped_concept():
    probs_s, ys = domain(5000, 0, 0)
    probs_t, yt = domain(5000, 0, 1)
    _, flipped = domain(5000, 0, 1, flip=1.0)
    assert accuracy(probs_t, yt) > 0.75
    assert accuracy(probs_t, flipped) < 0.25
    for estimate in WITH_SOURCE:
        found = estimate(probs_s, ys, probs_t)
        assert found.value > 0.7  # half a unit off
        assert found.interval[0] > accuracy(probs_t, flipped) + 0.4  # and sure of it
    assert average_confidence(probs_t).interval[0] > 0.7
    assert generalised_disagreement(probs_t, probs_t).value == 1


# -- intervals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", WITH_SOURCE)
def test_intervals_cover_the_estimate_of_endless_samples(estimate):
    limit = estimate(*domain(400_000, 0, 0), domain(400_000, 0.5, 1)[0], bootstrap=0).value
    trials = 150
    inside = 0
    for seed in range(trials):
        found = estimate(*domain(250, 0, 2 * seed + 10), domain(200, 0.5, 2 * seed + 11)[0], seed=seed)
        inside += found.interval[0] <= limit <= found.interval[1]
    assert binom.ppf(0.001, trials, 0.93) <= inside <= binom.ppf(0.999, trials, 0.98)


def test_standard_error_of_a_mean():
    probs, _ = domain(400, 0, 0)
    found = average_confidence(probs, bootstrap=2000)
    assert found.stderr == pytest.approx(probs.max(1).std() / 20, rel=0.06)
    assert found.interval[0] < found.value < found.interval[1]
    none = average_confidence(probs, bootstrap=0)
    assert np.isnan([none.stderr, *none.interval]).all()
    assert float(none) == found.value


# -- limits and invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", WITH_SOURCE)
def test_order_names_dtype_and_tensors(estimate):
    (probs_s, ys), (probs_t, _) = domain(200, 0, 0), domain(150, 0.5, 1)
    found = estimate(probs_s, ys, probs_t)
    order = np.random.default_rng(0).permutation(200)
    assert estimate(probs_s[order], ys[order], probs_t[::-1].copy()).value == pytest.approx(
        found.value, abs=1e-12
    )
    assert estimate(probs_s[:, ::-1].copy(), 1 - ys, probs_t[:, ::-1].copy()).value == pytest.approx(
        found.value
    )
    named = estimate(probs_s, np.array(["no", "yes"])[ys], probs_t)
    assert named == found
    assert estimate(torch.from_numpy(probs_s), torch.from_numpy(ys), torch.from_numpy(probs_t)) == found
    assert estimate(probs_s.astype(np.float32), ys, probs_t).value == pytest.approx(found.value, abs=1e-6)
    assert found.interval == estimate(probs_s, ys, probs_t).interval
    assert found.interval != estimate(probs_s, ys, probs_t, seed=1).interval


def test_constant_confidence():
    # All source scores are equal: the threshold is theirs (all reach it) or above (none), whichever is nearer.
    probs = np.tile([0.7, 0.3], (10, 1))
    for right, value in ((7, 1.0), (3, 0.0)):
        y = np.array([0] * right + [1] * (10 - right))
        assert average_thresholded_confidence(probs, y, probs).value == value
        assert difference_of_confidences(probs, y, probs).value == pytest.approx(right / 10)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", WITH_SOURCE)
def test_bad_input(estimate):
    probs, y = domain(20, 0, 0)
    with pytest.raises(ValueError, match="softmax"):
        estimate(probs, y, np.log(probs))
    with pytest.raises(ValueError, match="probs_t must have 2 columns"):
        estimate(probs, y, np.full((5, 3), 1 / 3))
    with pytest.raises(ValueError, match="one label for each of 20 rows"):
        estimate(probs, y[:3], probs)
    with pytest.raises(ValueError, match="bootstrap must be at least 1"):
        estimate(probs, y, probs, bootstrap=-1)
    with pytest.raises(ValueError, match="level must lie strictly between"):
        estimate(probs, y, probs, level=0)


def test_bad_options():
    probs, y = domain(20, 0, 0)
    with pytest.raises(ValueError, match="score must be 'confidence' or 'negentropy', got 'margin'"):
        average_thresholded_confidence(probs, y, probs, score="margin")
    with pytest.raises(ValueError, match="same examples, but have 20 and 19 rows"):
        generalised_disagreement(probs, probs[1:])
    with pytest.raises(ValueError, match="probs_t must hold probabilities"):
        average_confidence([[3.0, 1.0]])
