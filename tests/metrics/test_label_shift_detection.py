"""The test on predictions, its p-values under the null, and the correction of probabilities."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2_contingency, ks_2samp, kstest

from dakit.metrics.label_shift_detection import adjust_probabilities, label_shift_test
from tests.metrics.label_shift_worlds import gaussians, population

METHODS = ["permutation", "chi2", "ks"]
P = (1 / 3, 1 / 3, 1 / 3)
Q = (0.6, 0.3, 0.1)


def predictions(n, m, q, seed):
    _, probs_s, probs_t, _ = gaussians(n, m, q, seed)
    return probs_s, probs_t


# -- the test: by hand and against scipy --------------------------------------------------------------------


def test_by_hand():
    # Predicted classes: 2 of 4 against 3 of 4 in class 0. Expected 2.5 and 1.5 in each: 2 (1/10 + 1/6) = 8/15.
    a, b = [0.9, 0.1], [0.2, 0.8]
    for method in ("chi2", "permutation"):
        found = label_shift_test([a, a, b, b], [a, a, a, b], method=method)
        assert found.statistic == pytest.approx(8 / 15)
    # Of the 70 ways to draw 4 of 8 points with five a's, 2a 2b or 3a 1b (60 ways) give 8/15, the others more.
    assert found.pvalue == 1


def test_against_scipy():
    probs_s, probs_t = predictions(200, 150, Q, 0)
    counts = np.stack([np.bincount(p.argmax(1), minlength=3) for p in (probs_s, probs_t)])
    expected = chi2_contingency(counts, correction=False)
    for method in ("chi2", "permutation"):
        assert label_shift_test(probs_s, probs_t, method=method).statistic == pytest.approx(
            expected.statistic
        )
    assert label_shift_test(probs_s, probs_t, method="chi2").pvalue == pytest.approx(
        expected.pvalue, rel=1e-8
    )
    tests = [ks_2samp(probs_s[:, j], probs_t[:, j]) for j in range(3)]
    found = label_shift_test(probs_s, probs_t, method="ks")
    assert found.statistic == max(t.statistic for t in tests)
    assert found.pvalue == pytest.approx(min(1, 3 * min(t.pvalue for t in tests)))


def test_permutation_and_chi_square_agree_in_large_samples():
    probs_s, probs_t = predictions(400, 400, (0.36, 0.36, 0.28), 3)
    exact = label_shift_test(probs_s, probs_t, permutations=3000).pvalue
    assert exact == pytest.approx(label_shift_test(probs_s, probs_t, method="chi2").pvalue, abs=0.03)


# -- what makes it a valid test -----------------------------------------------------------------------------


def test_permutation_pvalues_are_uniform_when_nothing_shifted():
    trials, draws = 600, 99
    rng = np.random.default_rng(0)
    smeared = np.empty(trials)
    for k in range(trials):
        found = label_shift_test(*predictions(60, 40, P, k), permutations=draws, seed=k)
        # The statistic has ties; a rank drawn among them is uniform, and the p-value takes the last.
        tie = 1e-4 * found.null.std()
        above = np.count_nonzero(found.null > found.statistic + tie)
        ties = np.count_nonzero(np.abs(found.null - found.statistic) <= tie)
        smeared[k] = (above + (ties + 1) * rng.random()) / (draws + 1)
        assert found.pvalue == (1 + above + ties) / (draws + 1)
    assert kstest(smeared, "uniform").pvalue > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_level_and_power(method):
    def rejections(q, n):
        return sum(
            label_shift_test(*predictions(n, n, q, s), method=method, permutations=99, seed=s).pvalue <= 0.05
            for s in range(100)
        )

    assert rejections(P, 150) <= binom.ppf(0.999, 100, 0.05)
    mild, strong = rejections((0.4, 0.4, 0.2), 100), rejections(Q, 400)
    assert mild < strong
    assert strong >= 90


def test_one_predicted_class_is_no_evidence():
    always = np.tile([0.8, 0.1, 0.1], (10, 1))
    for method in METHODS:
        found = label_shift_test(always, always[:6], method=method, permutations=19)
        assert (found.statistic, found.pvalue) == (0, 1)


@pytest.mark.parametrize("method", METHODS)
def test_invariances(method):
    probs_s, probs_t = predictions(80, 60, (0.4, 0.4, 0.2), 1)
    value = label_shift_test(probs_s, probs_t, method=method, permutations=50)
    swapped = label_shift_test(probs_t, probs_s, method=method, permutations=50)
    assert swapped.statistic == pytest.approx(value.statistic)
    columns = label_shift_test(probs_s[:, [2, 0, 1]], probs_t[:, [2, 0, 1]], method=method, permutations=50)
    assert columns.pvalue == pytest.approx(value.pvalue)
    tensors = label_shift_test(
        torch.from_numpy(probs_s), torch.from_numpy(probs_t), method=method, permutations=50
    )
    assert tensors.pvalue == value.pvalue


def test_bad_input_to_the_test():
    probs_s, probs_t = predictions(20, 20, P, 0)
    with pytest.raises(ValueError, match="method must be 'permutation', 'chi2' or 'ks', got 'mmd'"):
        label_shift_test(probs_s, probs_t, method="mmd")
    with pytest.raises(ValueError, match="at least 2 examples in each sample, got 20 and 1"):
        label_shift_test(probs_s, probs_t[:1])
    with pytest.raises(ValueError, match="probs_t must have 3 columns"):
        label_shift_test(probs_s, probs_t[:, :2])
    with pytest.raises(ValueError, match="softmax"):
        label_shift_test(np.log(probs_s), probs_t)
    with pytest.raises(ValueError, match="permutations must be at least 1"):
        label_shift_test(probs_s, probs_t, permutations=0)


# -- corrected probabilities --------------------------------------------------------------------------------


def test_correction_by_hand():
    np.testing.assert_allclose(
        adjust_probabilities([[0.5, 0.5], [0.8, 0.2]], [1, 4]), [[0.2, 0.8], [0.5, 0.5]]
    )


def test_correction_is_the_posterior_of_the_target():
    # In the population, the mean over equal rows of the target's labels is the corrected posterior.
    _, _, probs_t, yt = population((20, 30, 40), (280, 80, 40))
    weights = np.array([0.7, 0.2, 0.1]) / np.array([2 / 9, 3 / 9, 4 / 9])
    corrected = adjust_probabilities(probs_t, weights)
    for row in np.unique(probs_t, axis=0):
        same = (probs_t == row).all(1)
        share = np.bincount(yt[same], minlength=3) / same.sum()
        np.testing.assert_allclose(corrected[same][0], share, atol=1e-12)


def test_correction_raises_accuracy_under_label_shift():
    _, _, probs_t, yt = gaussians(10, 20_000, (0.9, 0.05, 0.05), 0)
    corrected = adjust_probabilities(probs_t, [2.7, 0.15, 0.15])
    assert (corrected.argmax(1) == yt).mean() > (probs_t.argmax(1) == yt).mean() + 0.05


def test_limits_of_the_correction():
    probs = np.random.default_rng(0).dirichlet(np.ones(4), 20)
    np.testing.assert_allclose(adjust_probabilities(probs, np.full(4, 7.0)), probs)
    w, v = np.array([1, 2, 3, 4.0]), np.array([2, 1, 0.5, 3])
    np.testing.assert_allclose(
        adjust_probabilities(adjust_probabilities(probs, w), v), adjust_probabilities(probs, w * v)
    )
    np.testing.assert_array_equal(adjust_probabilities(probs, [0, 0, 5, 0]).argmax(1), 2)
    np.testing.assert_allclose(adjust_probabilities([[1.0, 0.0, 0.0]], [0, 1, 3]), [[0, 0.25, 0.75]])
    tiny = adjust_probabilities(probs, w * 1e-300)
    np.testing.assert_allclose(tiny, adjust_probabilities(probs, w))


@pytest.mark.parametrize(
    ("weights", "words"),
    [([1, 2, 3], "one number for each of 2 classes"), ([-1, 1], "not negative"), ([0, 0], "at least one positive"),
     ([np.nan, 1], "finite")],
)  # fmt: skip
def test_bad_weights(weights, words):
    with pytest.raises(ValueError, match=words):
        adjust_probabilities([[0.5, 0.5]], weights)
