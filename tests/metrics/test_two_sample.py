"""The permutation test: its null draws, its p-values, its power."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest

from dakit.metrics import median_heuristic, mmd, mmd_test
from dakit.metrics.permutation import relabellings
from tests.metrics.reference import mmd_by_loops

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]


def samples(n, m, d=4, shift=0.0, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + shift).astype(dtype)


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand_with_ties():
    # Points 0, 0 against 1, 1. Of the 6 ways to pick 2 of 4 points, 2 give the observed 2 - 2/e, the other 4 give
    # 1/e + 1/e - (1 + 1/e) = 1/e - 1.
    result = mmd_test([[0.0], [0.0]], [[1.0], [1.0]], bandwidths=1.0, permutations=300, seed=1)
    observed, other = 2 - 2 / math.e, 1 / math.e - 1
    assert result.statistic == pytest.approx(observed)
    ties = np.isclose(result.null, observed)
    np.testing.assert_allclose(result.null[~ties], other)
    assert result.pvalue == (1 + ties.sum()) / 301
    assert 0.2 < result.pvalue < 0.47  # 1/3, four standard deviations either way


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
@pytest.mark.parametrize(("n", "m"), [(11, 11), (13, 6), (2, 9)])
def test_null_against_loops(n, m, kernel):
    xs, xt = samples(n, m, shift=0.5)
    pooled = np.concatenate([xs, xt])
    result = mmd_test(xs, xt, bandwidths=[1.0, 4.0], kernel=kernel, permutations=12, seed=3)
    labels = relabellings(n, m, 12, np.random.default_rng(3)).numpy().astype(bool)
    assert (labels.sum(0) == n).all()
    expected = [mmd_by_loops(pooled[z], pooled[~z], [1.0, 4.0], shape=kernel) for z in labels.T]
    np.testing.assert_allclose(result.null, expected, rtol=1e-10, atol=1e-12)


def test_null_over_several_tiles():
    xs, xt = samples(700, 560)
    pooled = np.concatenate([xs, xt])
    result = mmd_test(xs, xt, bandwidths=FIVE, permutations=6)
    labels = relabellings(700, 560, 6, np.random.default_rng(0)).numpy().astype(bool)
    expected = [mmd(pooled[z], pooled[~z], bandwidths=FIVE) for z in labels.T]
    np.testing.assert_allclose(result.null, expected, rtol=1e-9, atol=1e-13)
    assert result.statistic == pytest.approx(mmd(xs, xt, bandwidths=FIVE), rel=1e-10)


def test_statistic_is_the_mmd_with_the_same_defaults():
    for dtype in (np.float64, np.float32):
        xs, xt = samples(130, 70, shift=0.2, dtype=dtype)
        assert mmd_test(xs, xt, permutations=5).statistic == pytest.approx(mmd(xs, xt), rel=1e-5)


def test_float32_draws_are_precise():
    xs, xt = samples(1500, 1400, 16, dtype=np.float32)
    bandwidths = [median_heuristic(xs, xt) * r for r in (0.25, 0.5, 1, 2, 4)]
    single = mmd_test(xs, xt, bandwidths=bandwidths, permutations=100)
    double = mmd_test(xs.astype(float), xt.astype(float), bandwidths=bandwidths, permutations=100)
    assert np.abs(single.null - double.null).max() < 1e-4 * double.null.std()


def test_a_kernel_of_the_users_own():
    xs, xt = samples(50, 40, shift=0.4)
    own = mmd_test(xs, xt, kernel=lambda a, b: torch.exp(-(torch.cdist(a, b) ** 2) / 3.0), permutations=30)
    named = mmd_test(xs, xt, bandwidths=3.0, permutations=30)
    np.testing.assert_allclose(own.null, named.null, rtol=1e-9, atol=1e-12)


def test_the_polynomial_kernel():
    xs, xt = samples(30, 20, shift=0.4)
    pooled = np.concatenate([xs, xt])
    result = mmd_test(xs, xt, kernel="poly", permutations=8, seed=2)
    assert result.statistic == pytest.approx(mmd(xs, xt, kernel="poly"), rel=1e-9)
    labels = relabellings(30, 20, 8, np.random.default_rng(2)).numpy().astype(bool)
    expected = [mmd(pooled[z], pooled[~z], kernel="poly") for z in labels.T]
    np.testing.assert_allclose(result.null, expected, rtol=1e-8, atol=1e-12)


# -- what makes it a valid test -----------------------------------------------------------------------------


def test_pvalues_are_uniform_when_nothing_shifted():
    trials, draws = 600, 99
    rng = np.random.default_rng(0)
    p = np.empty(trials)
    for k in range(trials):
        x = rng.normal(size=(35, 2))
        p[k] = mmd_test(x[:20], x[20:], permutations=draws, seed=k).pvalue
    # Exactly: p is uniform on 1/100, 2/100, ... 1, and becomes U(0, 1) when its step is smeared out.
    assert kstest(p - rng.random(trials) / (draws + 1), "uniform").pvalue > 0.01
    assert np.count_nonzero(p <= 0.05) <= binom.ppf(0.999, trials, 0.05)


def test_pvalue_is_never_zero_and_bounded_by_the_draws():
    xs, xt = samples(30, 30, shift=10)
    assert mmd_test(xs, xt, permutations=49).pvalue == 1 / 50
    assert mmd_test(xs, xs, permutations=49).pvalue <= 1


def test_power_rises_with_severity():
    def rejections(shift):
        pairs = [samples(40, 40, 3, shift, seed=s) for s in range(40)]
        return sum(mmd_test(a, b, permutations=60, seed=k).pvalue <= 0.05 for k, (a, b) in enumerate(pairs))

    found = [rejections(shift) for shift in (0.0, 0.3, 0.5, 1.0)]
    assert found == sorted(found)
    assert found[0] <= 7  # 99.9 % point of a binomial with 40 trials of 5 %
    assert found[-1] >= 38


def test_seed_decides_the_draws_and_not_the_statistic():
    xs, xt = samples(30, 30)
    a, again, b = (mmd_test(xs, xt, permutations=20, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.null, again.null)
    assert (a.null != b.null).any()
    assert a.statistic == b.statistic


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    mmd_test(*samples(30, 30), permutations=5)
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_constant_data_is_no_evidence():
    result = mmd_test(np.ones((5, 2)), np.ones((6, 2)), bandwidths=1.0, permutations=19)
    assert (result.statistic, result.pvalue) == (0.0, 1.0)


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        mmd_test(xs, xt, permutations=0)
    with pytest.raises(ValueError, match="at least 2 examples"):
        mmd_test(xs[:1], xt)
    with pytest.raises(ValueError, match="NaN"):
        mmd_test(xs, xt * np.nan)
    with pytest.raises(ValueError, match="same features"):
        mmd_test(xs, xt[:, :2])
