"""The engine of the permutation tests: its relabellings, ties, early stop and memory."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest

from dakit.metrics import mmd_test, permutation
from dakit.metrics.permutation import permute, relabellings


def mean_difference(x):
    """Absolute difference of means, as the function of many assignments that the engine takes."""
    x = torch.as_tensor(x, dtype=torch.float64)

    def evaluate(labels):
        z = labels.double()
        return (x @ z / z.sum(0) - x @ (1 - z) / (1 - z).sum(0)).abs().numpy()

    return evaluate


def noise(n, seed):
    return np.random.default_rng(seed).normal(size=n)


# -- relabellings -------------------------------------------------------------------------------------------


def test_relabellings_give_every_point_the_same_chance():
    labels = relabellings(5, 7, 6000, np.random.default_rng(0)).numpy()
    assert labels.shape == (12, 6000)
    assert labels.dtype == np.uint8
    assert (labels.sum(0) == 5).all()
    low, high = binom.ppf([1e-4, 1 - 1e-4], 6000, 5 / 12)
    assert ((labels.sum(1) >= low) & (labels.sum(1) <= high)).all()
    both = (labels[0] & labels[1]).sum()
    assert binom.ppf(1e-4, 6000, 5 * 4 / (12 * 11)) <= both <= binom.ppf(1 - 1e-4, 6000, 5 * 4 / (12 * 11))


def test_few_relabellings_at_a_time_are_the_same_ones(monkeypatch):
    sizes = []

    def evaluate(labels):
        sizes.append(labels.shape[1])
        return mean_difference(noise(40, 0))(labels)

    at_once = permute(evaluate, 15, 25, permutations=130, seed=2)
    monkeypatch.setattr(permutation, "LABELS_AT_ONCE", 60 * 40)
    in_parts = permute(evaluate, 15, 25, permutations=130, seed=2)
    assert sizes == [131, 61, 60, 10]
    np.testing.assert_allclose(in_parts.null, at_once.null, rtol=1e-12)
    assert in_parts.pvalue == at_once.pvalue


def test_parts_of_a_kernel_test_agree(monkeypatch):
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))
    at_once = mmd_test(xs, xt, permutations=120)
    monkeypatch.setattr(permutation, "LABELS_AT_ONCE", 1)  # then 50 at a time
    in_parts = mmd_test(xs, xt, permutations=120)
    np.testing.assert_allclose(in_parts.null, at_once.null, rtol=1e-9, atol=1e-14)
    assert (in_parts.statistic, in_parts.pvalue) == (pytest.approx(at_once.statistic), at_once.pvalue)


# -- p-values -----------------------------------------------------------------------------------------------


def test_by_hand():
    values = iter([np.array([2.0, 1.0, 2.0, 3.0, 0.0])])
    result = permute(lambda labels: next(values), 3, 3, permutations=4, seed=0)
    assert result.statistic == 2.0
    assert result.pvalue == (1 + 2) / (1 + 4)  # an equal draw counts


def test_early_stop_by_hand():
    draws = np.array([2.0, 1.0, 2.0, 0.0, 3.0, 5.0])  # the observed value first
    stopped = permute(lambda labels: draws, 3, 3, permutations=5, seed=0, stop_after=2)
    assert stopped.pvalue == 2 / 4  # the second to reach 2 is the fourth draw
    np.testing.assert_array_equal(stopped.null, draws[1:5])
    not_reached = permute(lambda labels: draws, 3, 3, permutations=5, seed=0, stop_after=4)
    assert not_reached.pvalue == (1 + 3) / (1 + 5)


def test_ties_are_not_decided_by_rounding():
    x = np.repeat([0.1, 0.7], 10)
    rounding = np.random.default_rng(0)

    def evaluate(labels):
        values = mean_difference(x)(labels)
        return values + 1e-7 * rounding.uniform(-1, 1, len(values)) * values.std()

    exact = permute(mean_difference(x), 10, 10, permutations=500, seed=0)
    assert permute(evaluate, 10, 10, permutations=500, seed=0).pvalue == exact.pvalue


def test_a_constant_statistic_is_no_evidence():
    for stop_after in (None, 3):
        result = permute(
            lambda labels: np.ones(labels.shape[1]), 4, 4, permutations=30, seed=0, stop_after=stop_after
        )
        assert result.pvalue == 1


@pytest.mark.parametrize("stop_after", [None, 5])
def test_pvalues_are_uniform_when_nothing_differs(stop_after):
    trials, draws = 1000, 99
    p, used = np.empty(trials), np.empty(trials)
    for k in range(trials):
        result = permute(
            mean_difference(noise(30, k)), 12, 18, permutations=draws, seed=k, stop_after=stop_after
        )
        p[k], used[k] = result.pvalue, len(result.null)
    for alpha in (0.01, 0.02, 0.05, 0.1, 0.3, 0.5):
        assert np.count_nonzero(p <= alpha) <= binom.ppf(0.999, trials, alpha)
    if stop_after is None:
        # Uniform on 1/100 ... 1, which becomes U(0, 1) when its step is smeared out.
        assert kstest(p - np.random.default_rng(0).random(trials) / 100, "uniform").pvalue > 0.01
        assert (used == draws).all()
    else:
        # At the levels that a stopped test can return, P(p <= h/l) is exactly h/l (Besag and Clifford).
        for level in (5 / 50, 5 / 20, 5 / 10):
            low, high = binom.ppf([0.001, 0.999], trials, level)
            assert low <= np.count_nonzero(p <= level) <= high
        # P(more than k draws) = h/(k + 1) from k = h on, so that the mean number is h + h (1/(h+1) + ... + 1/B).
        expected = 5 + 5 * sum(1 / (k + 1) for k in range(5, draws))
        assert abs(used.mean() - expected) < 4 * used.std() / trials**0.5
        assert used.mean() < draws / 4


def test_early_stop_keeps_the_statistic_and_the_draws_it_made():
    x = noise(40, 1)
    whole = permute(mean_difference(x), 20, 20, permutations=400, seed=3)
    stopped = permute(mean_difference(x), 20, 20, permutations=400, seed=3, stop_after=10)
    assert stopped.statistic == pytest.approx(whole.statistic, rel=1e-12)
    assert len(stopped.null) < 400
    np.testing.assert_allclose(stopped.null, whole.null[: len(stopped.null)], rtol=1e-12)
    shifted = np.r_[x[:20] + 10, x[20:]]
    certain = permute(mean_difference(shifted), 20, 20, permutations=400, seed=3, stop_after=10)
    assert (len(certain.null), certain.pvalue) == (400, 1 / 401)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"permutations": 0}, "permutations must be at least 1, got 0"),
        ({"permutations": 9, "stop_after": 0}, "stop_after must be at least 1, or None"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        permute(mean_difference(noise(6, 0)), 3, 3, seed=0, **options)


def test_statistics_whose_squares_overflow():
    values = np.array([3e200, 1e200, 4e200, 2e200])
    calls = iter(np.split(values, [4]))
    result = permute(lambda labels: next(calls), 3, 3, permutations=3, seed=0)
    assert result.pvalue == 2 / 4
