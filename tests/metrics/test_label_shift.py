"""BBSE and RLLS: exact in the population, consistent, with honest intervals and an honest warning."""

import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import binom

from dakit.metrics.label_shift import bbse, rlls
from dakit.metrics.label_shift_result import UnidentifiableWarning
from tests.metrics.label_shift_worlds import gaussians, population

Q = np.array([0.6, 0.3, 0.1])
BOTH = pytest.mark.parametrize("estimate", [bbse, rlls])


def confusion(ys, probs):
    return np.stack([probs[ys == j].mean(0) for j in range(probs.shape[1])], axis=1)


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    # M = [[0.8, 0.4], [0.2, 0.6]]; the target's mean is (0.5, 0.5) = M q with q = (1/4, 3/4); p = (1/2, 1/2).
    source = np.repeat([[0.8, 0.2], [0.4, 0.6]], 50, axis=0)
    found = bbse([0] * 50 + [1] * 50, source, [[0.5, 0.5]] * 7, bootstrap=0)
    np.testing.assert_allclose(found.priors, [0.25, 0.75])
    np.testing.assert_allclose(found.weights, [0.5, 1.5])
    np.testing.assert_allclose(found.source_priors, [0.5, 0.5])
    values = np.linalg.svd([[0.8, 0.4], [0.2, 0.6]])[1]
    assert found.condition == pytest.approx(values[0] / values[1])
    assert found.identifiable
    assert found.interval.shape == (0, 2)
    assert (found.iterations, found.method) == (0, "BBSE")


# -- exact in the population --------------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("target", [(1, 1, 1), (7, 2, 1), (1, 0, 9), (0, 0, 3)])
def test_exact_in_the_population(target, soft):
    ys, probs_s, probs_t, yt = population((20, 30, 40), [40 * t for t in target])
    truth = np.bincount(yt, minlength=3) / len(yt)
    for found in (
        bbse(ys, probs_s, probs_t, soft=soft, bootstrap=0),
        rlls(ys, probs_s, probs_t, soft=soft, bootstrap=0, lambda_=0),
    ):
        np.testing.assert_allclose(found.priors, truth, atol=1e-8)
        np.testing.assert_allclose(found.weights * [2 / 9, 3 / 9, 4 / 9], truth, atol=1e-8)


def test_an_uncalibrated_classifier_serves_as_well():
    ys, probs_s, probs_t, _ = population((20, 30, 40), (280, 80, 40))
    sharp_s, sharp_t = (p**3 / (p**3).sum(1, keepdims=True) for p in (probs_s, probs_t))
    np.testing.assert_allclose(bbse(ys, sharp_s, sharp_t, bootstrap=0).priors, [0.7, 0.2, 0.1], atol=1e-9)


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lambda_", [0.001, 0.02, 0.1, 1.0])
def test_rlls_against_a_general_optimiser(lambda_, seed):
    ys, probs_s, probs_t, _ = gaussians(150, 60, Q, seed)
    joint = confusion(ys, probs_s) * (np.bincount(ys) / len(ys))
    mean = probs_t.mean(0)

    def cost(w):
        return np.linalg.norm(joint @ w - mean) + lambda_ * np.linalg.norm(w - 1)

    starts = np.random.default_rng(seed).uniform(0, 3, size=(6, 3))
    best = min(
        minimize(
            cost, w, bounds=[(0, None)] * 3, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
        ).fun
        for w in [*starts, np.ones(3)]
    )
    # The raw solution: priors are scaled to sum to 1 afterwards.
    from dakit.metrics.label_shift import _ridge, _ridge_of

    assert cost(_ridge(joint, mean, _ridge_of(joint, mean, lambda_))) <= best + 1e-7


def test_strong_regularisation_says_no_shift():
    ys, probs_s, probs_t, _ = gaussians(300, 300, Q, 0)
    found = rlls(ys, probs_s, probs_t, lambda_=10.0, bootstrap=20)
    np.testing.assert_allclose(found.weights, 1)
    np.testing.assert_allclose(found.priors, found.source_priors)
    none, some = (rlls(ys, probs_s, probs_t, lambda_=x, bootstrap=0) for x in (0, 0.05))
    assert np.linalg.norm(some.weights - 1) < np.linalg.norm(none.weights - 1)


def test_default_strength_of_the_penalty_is_that_of_the_paper():
    ys, probs_s, probs_t, _ = gaussians(400, 300, Q, 1)
    log = np.log(2 * 3 / 0.05)
    strength = 0.01 * (2 * log / 400 + 3 * np.sqrt(2 * log / 400))
    a, b = (rlls(ys, probs_s, probs_t, bootstrap=0, lambda_=x).priors for x in (None, strength))
    np.testing.assert_allclose(a, b, rtol=1e-12)


# -- what makes it an estimate ------------------------------------------------------------------------------


@BOTH
def test_the_error_falls_with_the_root_of_n(estimate):
    def error(n):
        return np.mean(
            [np.abs(estimate(*gaussians(n, n, Q, s)[:3], bootstrap=0).priors - Q).sum() for s in range(25)]
        )

    small, large = error(200), error(3200)
    assert 2.5 < small / large < 6.5  # 4 in the limit


@BOTH
def test_intervals_cover(estimate):
    trials = 250
    inside = np.zeros(3)
    for seed in range(trials):
        ys, probs_s, probs_t, _ = gaussians(600, 400, Q, seed)
        low, high = estimate(ys, probs_s, probs_t, seed=seed).interval.T
        inside += (low <= Q) & (high >= Q)
    # Within 99.9 % of a binomial around a true coverage between 0.93 and 0.97: percentiles of 200 draws.
    assert (inside >= binom.ppf(0.001, trials, 0.93)).all(), inside
    assert (inside <= binom.ppf(0.999, trials, 0.97)).all(), inside


def test_intervals_cover_the_source_sample_too():
    # With a target ten times as large, most of the error is that of the confusion matrix.
    trials, inside = 150, np.zeros(3)
    for seed in range(trials):
        ys, probs_s, probs_t, _ = gaussians(200, 2000, Q, seed)
        low, high = bbse(ys, probs_s, probs_t, seed=seed, bootstrap=100).interval.T
        inside += (low <= Q) & (high >= Q)
    assert (inside >= binom.ppf(0.001, trials, 0.92)).all(), inside


# -- identifiability ----------------------------------------------------------------------------------------


@BOTH
def test_a_constant_classifier_is_told(estimate):
    ys = np.arange(90) % 3
    with pytest.warns(UnidentifiableWarning, match="unidentifiable"):
        found = estimate(ys, np.full((90, 3), 1 / 3), np.full((50, 3), 1 / 3))
    assert not found.identifiable
    assert found.condition == np.inf
    assert np.isfinite(found.priors).all()
    assert found.priors.sum() == pytest.approx(1)


def test_a_guessing_classifier_is_told_at_every_size():
    for n in (60, 600, 6000):
        told = 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            probs = rng.dirichlet(np.ones(3), size=n)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnidentifiableWarning)
                told += not bbse(rng.integers(0, 3, n), probs, probs, bootstrap=0).identifiable
        assert told >= 19


def test_two_classes_that_look_alike_are_told():
    ys, probs_s, probs_t, _ = gaussians(600, 600, Q, 0)
    twins_s, twins_t = (
        np.column_stack([p[:, 0], p[:, 1], p[:, 2] / 2, p[:, 2] / 2]) for p in (probs_s, probs_t)
    )
    ys = np.where(ys == 2, 2 + np.arange(len(ys)) % 2, ys)
    with pytest.warns(UnidentifiableWarning):
        found = bbse(ys, twins_s, twins_t, bootstrap=0)
    assert found.condition > 1e6


def test_a_useful_classifier_is_not_told_and_a_weak_one_needs_examples():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bbse(*gaussians(300, 300, Q, 0)[:3]).identifiable
    weak = [(p + 9 / 3) / 10 for p in gaussians(100_000, 10, Q, 0)[1:3]]
    ys = gaussians(100_000, 10, Q, 0)[0]
    assert bbse(ys, *weak, bootstrap=0).identifiable
    ys, probs_s, probs_t, _ = gaussians(15, 10, Q, 3)
    noisy = [
        (p + 40 * np.random.default_rng(0).dirichlet(np.ones(3), len(p))) / 41 for p in (probs_s, probs_t)
    ]
    with pytest.warns(UnidentifiableWarning):
        bbse(ys, *noisy, bootstrap=0)


# -- limits and invariances ---------------------------------------------------------------------------------


@BOTH
def test_equal_samples_have_no_shift(estimate):
    ys, probs_s, _, _ = gaussians(200, 1, Q, 0, p=(0.5, 0.3, 0.2))
    found = estimate(ys, probs_s, probs_s, bootstrap=0)
    np.testing.assert_allclose(found.weights, 1, atol=1e-6)


@BOTH
def test_order_of_rows_and_classes_names_and_tensors(estimate):
    ys, probs_s, probs_t, _ = gaussians(300, 250, Q, 5)
    value = estimate(ys, probs_s, probs_t, bootstrap=30)
    order = np.random.default_rng(0).permutation(300)
    moved = estimate(ys[order], probs_s[order], probs_t[::-1].copy(), bootstrap=0)
    np.testing.assert_allclose(moved.priors, value.priors, atol=1e-6)
    columns = np.array([2, 0, 1])
    swapped = estimate(np.argsort(columns)[ys], probs_s[:, columns], probs_t[:, columns], bootstrap=0)
    np.testing.assert_allclose(swapped.priors, value.priors[columns], atol=1e-6)
    named = estimate(np.array(["c", "a", "b"])[ys], probs_s, probs_t, bootstrap=30, classes=["c", "a", "b"])
    np.testing.assert_array_equal(named.interval, value.interval)
    tensors = estimate(*(torch.from_numpy(x) for x in (ys, probs_s, probs_t)), bootstrap=30)
    np.testing.assert_array_equal(tensors.interval, value.interval)
    single = estimate(ys, probs_s.astype(np.float32), probs_t.astype(np.float32), bootstrap=0)
    np.testing.assert_allclose(single.priors, value.priors, atol=1e-5)


def test_seed_decides_the_interval_and_not_the_value():
    data = gaussians(100, 100, Q, 0)[:3]
    a, again, b = (bbse(*data, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.interval, again.interval)
    assert (a.interval != b.interval).any()
    np.testing.assert_array_equal(a.priors, b.priors)
    wide = bbse(*data, level=0.99).interval
    assert (np.diff(wide) >= np.diff(a.interval)).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu():
    ys, probs_s, probs_t, _ = gaussians(300, 250, Q, 5)
    on_gpu = bbse(*(torch.from_numpy(x).cuda() for x in (ys, probs_s, probs_t)), bootstrap=0)
    np.testing.assert_array_equal(on_gpu.priors, bbse(ys, probs_s, probs_t, bootstrap=0).priors)


# -- bad input ----------------------------------------------------------------------------------------------


@BOTH
def test_bad_input(estimate):
    ys, probs_s, probs_t, _ = gaussians(30, 20, Q, 0)
    with pytest.raises(ValueError, match="class 2 has no source example"):
        estimate(ys[ys != 2], probs_s[ys != 2], probs_t)
    with pytest.raises(ValueError, match="class owl has no source example"):
        estimate(np.full(30, "cat"), probs_s, probs_t, classes=["cat", "dog", "owl"][::-1])
    with pytest.raises(ValueError, match="probs_t must have 3 columns"):
        estimate(ys, probs_s, probs_t[:, :2])
    with pytest.raises(ValueError, match="probs_s must hold probabilities"):
        estimate(ys, np.log(probs_s), probs_t)
    with pytest.raises(ValueError, match="bootstrap must be at least 1"):
        estimate(ys, probs_s, probs_t, bootstrap=-1)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1, got 1"):
        estimate(ys, probs_s, probs_t, level=1)


def test_bad_lambda():
    ys, probs_s, probs_t, _ = gaussians(30, 20, Q, 0)
    for lambda_ in (-1, np.inf, np.nan):
        with pytest.raises(ValueError, match="lambda_ must be a number of at least 0"):
            rlls(ys, probs_s, probs_t, lambda_=lambda_)
