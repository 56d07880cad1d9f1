"""Ranks over tasks: by hand, against the formulas of the literature, and under the null."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from dakit.bench import rank_methods

rng = np.random.default_rng(5)
SCORES = pd.DataFrame(
    np.round(rng.normal(size=(14, 4)), 1) + np.array([0, 1, 0.2, 1.2]), columns=list("abcd")
)


def test_by_hand():
    scores = pd.DataFrame({"a": [3, 3, 3, 2], "b": [2, 2, 2, 2], "c": [1, 1, 4, 1]})
    ranks = rank_methods(scores)
    assert ranks.mean.to_dict() == {"a": 1.375, "b": 2.125, "c": 2.5}  # 1 1 2 1.5, 2 2 3 1.5, 3 3 1 3


def test_friedman_and_nemenyi_by_their_formulas():
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(14, 4)))  # no ties
    ranks = rank_methods(scores)
    n, k = scores.shape
    each = scores.rank(axis=1, ascending=False).mean()
    np.testing.assert_allclose(ranks.mean.sort_index(), each)
    assert ranks.statistic == pytest.approx(12 * n / (k * (k + 1)) * ((each - (k + 1) / 2) ** 2).sum())
    # q of Demsar's table 5 for four classifiers is 2.569; his example of 14 data sets gives 1.25
    assert ranks.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=5e-4)
    assert ranks.critical_difference == pytest.approx(1.25, abs=5e-3)


def test_alike_are_those_within_the_critical_difference():
    ranks = rank_methods(SCORES)
    for m in SCORES:
        near = [o for o in SCORES if abs(ranks.mean[o] - ranks.mean[m]) < ranks.critical_difference]
        assert sorted(ranks.alike(m)) == near


def test_order_of_tasks_and_a_rising_map_of_the_scores_change_nothing():
    a, b = rank_methods(SCORES), rank_methods(np.exp(3 * SCORES.iloc[::-1]))
    pd.testing.assert_series_equal(a.mean, b.mean)
    assert a.pvalue == pytest.approx(b.pvalue)


def test_the_interval_holds_the_mean_and_narrows_with_tasks():
    rng = np.random.default_rng(0)
    better = np.array([0, 0, 0, 1, 1])
    few, many = (pd.DataFrame(rng.normal(size=(n, 5)) + better, columns=list("abcde")) for n in (10, 200))
    a, b = rank_methods(few), rank_methods(many)
    for r in (a, b):
        assert ((r.low <= r.mean) & (r.mean <= r.high)).all()
    assert (b.high - b.low).max() < (a.high - a.low).min()
    assert set(b.mean.index[:2]) == {"d", "e"}


def test_pvalues_are_uniform_where_no_method_is_better():
    rng = np.random.default_rng(1)
    p = [rank_methods(pd.DataFrame(rng.normal(size=(40, 6))), draws=2).pvalue for _ in range(500)]
    assert kstest(p, "uniform").pvalue > 0.01


def test_equal_scores_are_no_evidence():
    ranks = rank_methods(pd.DataFrame(np.ones((4, 3)), columns=list("abc")))
    assert ranks.mean.tolist() == [2, 2, 2]
    assert ranks.pvalue == 1


def test_bad_input():
    with pytest.raises(ValueError, match="at least 3 methods and 2 tasks, got 2 methods and 14 tasks"):
        rank_methods(SCORES.iloc[:, :2])
    with pytest.raises(ValueError, match=r"gaps are in b$"):
        rank_methods(SCORES.assign(b=np.nan))
    with pytest.raises(ValueError, match=r"alpha must lie in \(0, 1\), got 2"):
        rank_methods(SCORES, alpha=2)
