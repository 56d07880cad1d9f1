"""Maximum-likelihood label shift: EM against an optimiser, calibration, intervals."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import binom

from dakit.metrics.label_shift import bbse
from dakit.metrics.label_shift_em import mlls
from dakit.metrics.label_shift_result import UnidentifiableWarning
from tests.metrics.label_shift_worlds import gaussians, population

Q = np.array([0.6, 0.3, 0.1])


# -- by hand and in the population --------------------------------------------------------------------------


def test_by_hand():
    # Hard predictions that are always right: EM counts them.
    ys = np.arange(30) % 3
    found = mlls(ys, np.eye(3)[ys], np.eye(3)[[0, 0, 1, 1, 1, 2, 2, 2, 2, 2]], calibrate=None, bootstrap=0)
    np.testing.assert_allclose(found.priors, [0.2, 0.3, 0.5], atol=1e-7)
    np.testing.assert_allclose(found.weights, [0.6, 0.9, 1.5], atol=1e-6)


@pytest.mark.parametrize("target", [(1, 1, 1), (7, 2, 1), (1, 0, 9), (0, 0, 3)])
@pytest.mark.parametrize("calibrate", [None, "temperature", "bcts"])
def test_exact_in_the_population(target, calibrate):
    ys, probs_s, probs_t, yt = population((20, 30, 40), [40 * t for t in target])
    truth = np.bincount(yt, minlength=3) / len(yt)
    found = mlls(
        ys, probs_s, probs_t, calibrate=calibrate, bootstrap=0, tolerance=1e-12, max_iterations=20_000
    )
    np.testing.assert_allclose(found.priors, truth, atol=1e-4)


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_against_a_general_optimiser(seed):
    ys, probs_s, probs_t, _ = gaussians(200, 150, Q, seed)
    ratio = probs_t / probs_s.mean(0)
    best = minimize(
        lambda q: -np.log(np.maximum(ratio @ q, 1e-300)).mean(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-13},
    )
    found = mlls(ys, probs_s, probs_t, calibrate=None, bootstrap=0, tolerance=1e-10)
    np.testing.assert_allclose(found.priors, best.x, atol=2e-4)
    assert found.log_likelihood[-1] >= -best.fun - 1e-9


def test_against_plain_em():
    ys, probs_s, probs_t, _ = gaussians(200, 150, Q, 0)
    p = q = probs_s.mean(0)
    for _ in range(3000):
        r = probs_t * (q / p)
        q = (r / r.sum(1, keepdims=True)).mean(0)
    found = mlls(ys, probs_s, probs_t, calibrate=None, bootstrap=0, tolerance=1e-12)
    np.testing.assert_allclose(found.priors, q, atol=1e-5)


# -- what makes it maximum likelihood -----------------------------------------------------------------------


def test_the_likelihood_never_falls():
    for seed in range(10):
        found = mlls(*gaussians(100, 100, Q, seed, sharpness=2)[:3], bootstrap=0)
        assert (np.diff(found.log_likelihood) >= 0).all()
        assert found.iterations == len(found.log_likelihood) - 1 > 0


def test_better_than_bbse_when_calibrated():
    errors = {"mlls": [], "bbse": []}
    for seed in range(60):
        data = gaussians(500, 300, Q, seed)[:3]
        errors["mlls"].append(np.square(mlls(*data, calibrate=None, bootstrap=0).priors - Q).sum())
        errors["bbse"].append(np.square(bbse(*data, bootstrap=0).priors - Q).sum())
    assert np.mean(errors["mlls"]) < np.mean(errors["bbse"])


def test_calibration_repairs_an_overconfident_classifier():
    # A mild shift of classes: EM takes an overconfident classifier at its word.
    q = np.array([0.45, 0.35, 0.2])
    errors = {None: [], "temperature": [], "bcts": []}
    for seed in range(12):
        ys, probs_s, probs_t, _ = gaussians(1500, 1500, q, seed, sharpness=4)
        for calibrate, found in errors.items():
            priors = mlls(ys, probs_s, probs_t, calibrate=calibrate, bootstrap=0).priors
            found.append(np.abs(priors - q).sum())
    assert max(np.mean(errors["temperature"]), np.mean(errors["bcts"])) < 0.6 * np.mean(errors[None])


def test_error_falls_with_the_root_of_n():
    def error(n):
        return np.mean(
            [
                np.abs(mlls(*gaussians(n, n, Q, s)[:3], calibrate=None, bootstrap=0).priors - Q).sum()
                for s in range(25)
            ]
        )

    assert 2.5 < error(200) / error(3200) < 6.5  # 4 in the limit


@pytest.mark.parametrize("calibrate", ["temperature", "bcts"])
def test_intervals_cover(calibrate):
    trials, inside = 60, np.zeros(3)
    for seed in range(trials):
        ys, probs_s, probs_t, _ = gaussians(300, 200, Q, seed, sharpness=1.5)
        low, high = mlls(ys, probs_s, probs_t, calibrate=calibrate, bootstrap=60, seed=seed).interval.T
        inside += (low <= Q) & (high >= Q)
    # Percentiles of 60 draws aim at a little less than 95 %.
    assert (inside >= binom.ppf(0.001, trials, 0.92)).all(), inside


def test_newton_steps_stand_for_refitting():
    from dakit.metrics.label_shift_em import SMALLEST, _Calibration
    from dakit.metrics.label_shift_result import Predictions
    from dakit.metrics.logit_scaling import bias_corrected_scaling

    ys, probs_s, probs_t, _ = gaussians(3000, 2, Q, 0, sharpness=2)
    calibration = _Calibration(Predictions.of(ys, probs_s, probs_t), "bcts")
    steps, refits = [], []
    for seed in range(25):
        index = np.random.default_rng(seed).integers(0, 3000, 3000)
        moved = calibration.resampled(np.bincount(index, minlength=3000).astype(float))
        steps.append(moved - calibration.fitted)
        refit = bias_corrected_scaling(np.log(np.maximum(probs_s, SMALLEST))[index], ys[index])
        refits.append(np.r_[refit.scale, refit.bias] - calibration.fitted)
    # Equal up to second order: resamples move the parameters by some 3 %.
    assert np.corrcoef(np.ravel(steps), np.ravel(refits))[0, 1] > 0.995
    assert np.std(steps) == pytest.approx(np.std(refits), rel=0.05)


# -- limits and invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("calibrate", [None, "temperature", "bcts"])
def test_equal_samples_have_no_shift(calibrate):
    ys, probs_s, _, _ = gaussians(300, 1, Q, 0, p=(0.5, 0.3, 0.2), sharpness=2)
    found = mlls(ys, probs_s, probs_s, calibrate=calibrate, bootstrap=0)
    assert found.iterations <= 1
    if calibrate == "bcts":  # whose mean probabilities are the class shares
        np.testing.assert_allclose(found.weights, 1, atol=1e-5)


def test_order_of_rows_and_classes_names_and_tensors():
    ys, probs_s, probs_t, _ = gaussians(200, 150, Q, 5)
    value = mlls(ys, probs_s, probs_t, bootstrap=10)
    order = np.random.default_rng(0).permutation(200)
    moved = mlls(ys[order], probs_s[order], probs_t[::-1].copy(), bootstrap=0)
    np.testing.assert_allclose(moved.priors, value.priors, atol=1e-4)
    columns = np.array([2, 0, 1])
    swapped = mlls(np.argsort(columns)[ys], probs_s[:, columns], probs_t[:, columns], bootstrap=0)
    np.testing.assert_allclose(swapped.priors, value.priors[columns], atol=1e-3)
    named = mlls(np.array(["c", "a", "b"])[ys], probs_s, probs_t, bootstrap=10, classes=["c", "a", "b"])
    np.testing.assert_array_equal(named.interval, value.interval)
    tensors = mlls(*(torch.from_numpy(x) for x in (ys, probs_s, probs_t)), bootstrap=10)
    np.testing.assert_array_equal(tensors.interval, value.interval)
    single = mlls(ys, probs_s.astype(np.float32), probs_t.astype(np.float32), bootstrap=0)
    np.testing.assert_allclose(single.priors, value.priors, atol=1e-3)


def test_a_constant_classifier_is_told():
    ys = np.arange(90) % 3
    with pytest.warns(UnidentifiableWarning, match=r"MLLS \(bcts\): .* unidentifiable"):
        found = mlls(ys, np.full((90, 3), 1 / 3), np.full((50, 3), 1 / 3), bootstrap=5)
    assert not found.identifiable
    np.testing.assert_allclose(found.weights, 1, atol=1e-6)


def test_a_perfect_classifier():
    ys = np.arange(90) % 3
    target = np.eye(3)[np.array([0] * 6 + [1] * 3 + [2])]
    with pytest.warns(UserWarning, match="no maximum"):
        found = mlls(ys, np.eye(3)[ys], target, bootstrap=50)
    np.testing.assert_allclose(found.priors, Q, atol=1e-6)
    assert (found.interval[:, 0] < Q).all()
    assert (found.interval[:, 1] > Q).all()


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    ys, probs_s, probs_t, _ = gaussians(30, 20, Q, 0)
    with pytest.raises(ValueError, match="calibrate must be 'bcts', 'temperature' or None, got 'platt'"):
        mlls(ys, probs_s, probs_t, calibrate="platt")
    with pytest.raises(ValueError, match="class 2 has no source example"):
        mlls(ys[ys != 2], probs_s[ys != 2], probs_t)
    with pytest.raises(ValueError, match="softmax"):
        mlls(ys, np.log(probs_s), probs_t)
    never = np.column_stack([probs_s[:, 0], 1 - probs_s[:, 0], np.zeros(30)])
    with pytest.raises(ValueError, match="class 2 probability 0 on every source example"):
        mlls(ys, never, probs_t, calibrate=None)
