"""Tests on graphs: nearest neighbours and the minimum spanning tree."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist

from dakit.metrics import knn_test, mst_test
from dakit.metrics.neighbours import spanning_tree
from dakit.metrics.permutation import relabellings
from tests.metrics.nulls import assert_never_too_small, assert_uniform

BOTH = pytest.mark.parametrize("test", [knn_test, mst_test])


def samples(n=30, m=20, d=3, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


# -- by hand and by definition ------------------------------------------------------------------------------


def test_by_hand():
    # Nearest neighbours of 0 1 3 | 4 8 9: 1 0 4 3 9 8, of which four lie in the same sample. The tree joins
    # neighbours on the line, and one of its five edges crosses.
    xs, xt = [[0.0], [1.0], [3.0]], [[4.0], [8.0], [9.0]]
    assert knn_test(xs, xt, k=1, permutations=9).statistic == pytest.approx(4 / 6)
    assert mst_test(xs, xt, permutations=9).statistic == pytest.approx(4 / 5)


def test_neighbours_against_loops():
    xs, xt = samples(13, 9)
    pooled = np.r_[xs, xt]
    nearest = np.argsort(cdist(pooled, pooled) + np.diag([np.inf] * 22), axis=1)[:, :4]
    result = knn_test(xs, xt, k=4, permutations=15, seed=2)
    labels = relabellings(13, 9, 15, np.random.default_rng(2)).numpy()
    np.testing.assert_allclose(result.null, [(z[nearest] == z[:, None]).mean() for z in labels.T])
    own = np.arange(22) < 13
    assert result.statistic == pytest.approx((own[nearest] == own[:, None]).mean())


@pytest.mark.parametrize("d", [1, 2, 10])
def test_tree_against_scipy(d):
    xs, xt = samples(40, 21, d)
    pooled = np.r_[xs, xt]
    tree = minimum_spanning_tree(cdist(pooled, pooled)).tocoo()
    left, right = spanning_tree(pooled)
    assert {frozenset(e) for e in zip(left, right)} == {frozenset(e) for e in zip(tree.row, tree.col)}
    own = np.arange(61) < 40
    inside = (own[tree.row] == own[tree.col]).mean()
    assert mst_test(xs, xt, permutations=3).statistic == pytest.approx(inside)


def test_equal_points_stay_in_the_tree():
    pooled = np.repeat(np.random.default_rng(0).integers(0, 3, (10, 2)), 3, axis=0).astype(float)
    left, right = spanning_tree(pooled)
    assert len(left) == 29
    assert connected_components(coo_array((np.ones(29), (left, right)), (30, 30)))[0] == 1
    lengths = np.linalg.norm(pooled[left] - pooled[right], axis=1)
    distinct = np.unique(pooled, axis=0)
    assert lengths.sum() == pytest.approx(minimum_spanning_tree(cdist(distinct, distinct)).sum())


# -- what makes them valid tests ----------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("discrete", [False, True])
def test_pvalues_are_never_too_small_when_nothing_shifted(test, discrete):
    # Discrete data: most neighbours are equally near, and a graph that prefers source rows would reject.
    rng = np.random.default_rng(0)
    p = []
    for seed in range(600):
        x = rng.integers(0, 2, (36, 2)) if discrete else rng.normal(size=(36, 2))
        p.append(test(x[:20], x[20:], permutations=49, seed=seed).pvalue)
    assert_never_too_small(p)


def test_pvalues_are_uniform_where_ties_are_rare():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 120, 2))
    # Counts take few values, so ties are frequent; break them at random to see the uniform distribution.
    results = [knn_test(a[:60], a[60:], k=15, permutations=99, seed=s) for s, a in enumerate(x)]
    broken = []
    for result in results:
        above = np.sum(result.null > result.statistic + 1e-9)
        equal = np.sum(abs(result.null - result.statistic) <= 1e-9)
        broken.append((1 + above + rng.integers(0, equal + 1)) / 100)
    assert_uniform(broken, 99)


@BOTH
def test_power_rises_with_severity(test):
    def rejections(shift):
        pairs = [samples(30, 30, 3, shift, s) for s in range(40)]
        return sum(test(a, b, permutations=60, seed=k).pvalue <= 0.05 for k, (a, b) in enumerate(pairs))

    found = [rejections(shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert found == sorted(found)
    assert found[0] <= 7 and found[-1] >= 38


@BOTH
def test_far_apart_and_all_equal(test):
    far = test(*samples(shift=30), permutations=49)
    assert far.pvalue == 1 / 50
    assert far.statistic == pytest.approx(1 if test is knn_test else 48 / 49)
    assert test(np.ones((9, 2)), np.ones((8, 2)), permutations=49, seed=1).pvalue > 1 / 50


@BOTH
def test_invariances(test):
    xs, xt = samples(shift=0.4)
    statistic = test(xs, xt, permutations=5).statistic
    for a, b in ((xt, xs), (xs[::-1], xt), (xs * 1e30, xt * 1e30), (xs + 7, xt + 7)):
        assert test(a, b, permutations=5).statistic == pytest.approx(statistic)
    tensors = (torch.from_numpy(x) for x in (xs, xt))
    assert test(*tensors, permutations=5).statistic == statistic
    early = test(xs, xs + 1e-6, permutations=1000, stop_after=5)
    assert len(early.null) < 1000


def test_bad_input():
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match="k must be from 1 to 9 for 10 pooled points, got 10"):
        knn_test(xs, xt, k=10)
    for test in (knn_test, mst_test):
        with pytest.raises(ValueError, match="permutations must be at least 1"):
            test(xs, xt, permutations=0)
        with pytest.raises(ValueError, match="NaN"):
            test(xs, xt * np.nan)
        with pytest.raises(ValueError, match="same features"):
            test(xs, xt[:, :2])
