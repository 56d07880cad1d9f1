"""Scatter of classes, silhouettes of classes and domains."""

import math

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import silhouette_score

from dakit.metrics import (
    between_within_ratio,
    consistency,
    h_score,
    scatter_by_class,
    silhouette_by_class,
    silhouette_by_domain,
    within_class_scatter,
)

NAMES = np.array(["cat", "ant", "bee"])


def blobs(n=90, k=3, d=4, style=0.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return 3 * np.eye(d)[y] + rng.normal(size=(n, d)) + style * np.eye(d)[-1], y


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    x, y = [[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0]], ["a", "a", "b", "b"]
    assert within_class_scatter(x, y) == pytest.approx(1)
    assert scatter_by_class(x, y) == {"a": pytest.approx(1), "b": pytest.approx(1)}
    # Class means (1, 0) and (5, 2), overall (3, 1): between = 4 + 1.
    assert between_within_ratio(x, y) == pytest.approx(5)
    assert silhouette_by_class([[0.0], [2.0], [10.0]], [0, 0, 1]) == pytest.approx((0.8 + 0.75 + 0) / 3)
    assert silhouette_by_domain([[0.0], [2.0]], [[10.0]]) == pytest.approx((0.8 + 0.75 + 0) / 3)


# -- independent references ---------------------------------------------------------------------------------


def scatters(x, y):
    sw = sum((x[y == c] - x[y == c].mean(0)).T @ (x[y == c] - x[y == c].mean(0)) for c in np.unique(y)) / len(
        x
    )
    return sw, np.cov(x.T, bias=True) - sw


def test_against_matrices():
    x, y = blobs()
    sw, sb = scatters(x, y)
    assert within_class_scatter(x, y) == pytest.approx(np.trace(sw))
    assert between_within_ratio(x, y) == pytest.approx(np.trace(sb) / np.trace(sw))
    assert between_within_ratio(x, y, kind="fisher") == pytest.approx(np.trace(np.linalg.solve(sw, sb)))
    # The eigenvalues of Sw^-1 Sb, by which linear discriminants are ranked, give the H-score too.
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(x, y)
    values = np.linalg.eigvals(np.linalg.solve(sw, sb)).real
    assert lda.explained_variance_ratio_[0] == pytest.approx(values.max() / values.sum())
    assert h_score(x, y) == pytest.approx((values / (1 + values)).sum())


def test_silhouettes_against_sklearn():
    x, y = blobs()
    assert silhouette_by_class(x, NAMES[y]) == pytest.approx(silhouette_score(x, y))
    xt = blobs(60, style=3.0, seed=1)[0]
    expected = silhouette_score(np.r_[x, xt], np.repeat([0, 1], [90, 60]))
    assert silhouette_by_domain(x, xt) == pytest.approx(expected)


# -- what the readings say ----------------------------------------------------------------------------------


def test_style_moves_the_domains_and_not_the_classes():
    xs, ys = blobs()
    found = [consistency(xs, NAMES[ys], *_named(blobs(style=s, seed=1))) for s in (0.0, 2.0, 8.0)]
    by_domain = [c.domain_silhouette for c in found]
    assert abs(by_domain[0]) < 0.03
    assert by_domain == sorted(by_domain)
    assert by_domain[-1] > 0.5
    by_class = [c.class_silhouette for c in found]
    assert by_class == sorted(by_class, reverse=True)
    assert [c.domain_silhouette_within for c in found] == sorted(c.domain_silhouette_within for c in found)
    assert all(c.shared == 3 for c in found)


def _named(pair):
    return pair[0], NAMES[pair[1]]


def test_summary_is_made_of_the_parts():
    (xs, ys), (xt, yt) = blobs(), blobs(60, style=2.0, seed=1)
    x, y = np.r_[xs, xt], np.r_[ys, yt]
    c = consistency(xs, NAMES[ys], xt, NAMES[yt])
    assert c.class_silhouette == pytest.approx(silhouette_by_class(x, y))
    assert c.domain_silhouette == pytest.approx(silhouette_by_domain(xs, xt))
    inside = [silhouette_by_domain(xs[ys == k], xt[yt == k]) for k in range(3)]
    assert c.domain_silhouette_within == pytest.approx(np.mean(inside))
    assert c.ratio == pytest.approx(between_within_ratio(x, y))
    assert c.within == pytest.approx(scatter_by_class(x, NAMES[y]))
    assert list(c.within) == ["ant", "bee", "cat"]
    assert "3 shared classes" in str(c)


def test_disjoint_labels_one_class_and_singletons():
    xs, ys = blobs(30)
    disjoint = consistency(xs, ys, xs + 0.1, ys + 3)
    assert (disjoint.shared, disjoint.domain_silhouette_within) == (0, None)
    assert disjoint.class_silhouette is not None
    assert "inside classes undefined" in str(disjoint)
    one = consistency(xs, np.zeros(30), xs + 5, np.zeros(30))
    assert (one.class_silhouette, one.ratio, one.shared) == (None, None, 1)
    assert one.domain_silhouette_within == pytest.approx(one.domain_silhouette)
    alone = np.where(np.arange(30) == 0, 7, ys)  # class 7 has one example, in the source
    c = consistency(xs, alone, xs + 0.1, ys)
    assert c.within[7] == 0
    assert c.shared == 3
    every = consistency(xs[:3], [0, 1, 2], xs[3:5], [3, 4])  # no class has two
    assert every.class_silhouette is None
    assert every.ratio == math.inf
    pair = consistency(xs[:2], [0, 1], xs[2:4], [0, 1])  # shared classes of one example in each domain
    assert pair.domain_silhouette_within is None


# -- limits and invariances ---------------------------------------------------------------------------------


def test_invariances():
    x, y = blobs()
    rng = np.random.default_rng(1)
    turn, any_map = np.linalg.qr(rng.normal(size=(4, 4)))[0], rng.normal(size=(4, 4))
    order = rng.permutation(90)
    for metric in (within_class_scatter, between_within_ratio, silhouette_by_class):
        value = metric(x, y)
        assert metric(x[order] @ turn + 5, NAMES[y[order]]) == pytest.approx(value)
        assert metric(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(value)
        assert metric(x.astype(np.float32), y) == pytest.approx(value, rel=1e-5)
    assert within_class_scatter(3 * x, y) == pytest.approx(9 * within_class_scatter(x, y))
    for metric in (between_within_ratio, silhouette_by_class):
        for factor in (1e-160, 1e130):
            assert metric(x * factor, y) == pytest.approx(metric(x, y))
    fisher = between_within_ratio(x, y, kind="fisher")
    assert between_within_ratio(x @ any_map, y, kind="fisher") == pytest.approx(fisher)
    for same in (np.c_[x, np.full(90, 0.1)], x * 1e-200, x * 1e130):
        assert between_within_ratio(same, y, kind="fisher") == pytest.approx(fisher)


def test_points():
    x = np.eye(3)[np.arange(9) % 3]
    assert within_class_scatter(x, np.arange(9) % 3) == pytest.approx(0)
    assert between_within_ratio(x, np.arange(9) % 3) == math.inf
    assert between_within_ratio(x, np.arange(9) // 3) == pytest.approx(0, abs=1e-30)  # equal class means
    assert silhouette_by_class(x, np.arange(9) % 3) == 1


def test_a_sample_of_many_points():
    xs, ys = blobs(3000)
    xt, _ = blobs(2000, style=2.0, seed=1)
    rare = np.where(np.arange(3000) < 2, 9, ys)  # a class of two stays one of two
    assert silhouette_by_class(xs, rare, max_points=300) == pytest.approx(
        silhouette_score(xs, rare), abs=0.05
    )
    found = [silhouette_by_domain(xs, xt, max_points=500, seed=s) for s in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    x, y = blobs()
    with pytest.raises(ValueError, match="all examples have one label"):
        between_within_ratio(x, y * 0)
    with pytest.raises(ValueError, match="all examples are in one"):
        silhouette_by_class(x, y * 0)
    with pytest.raises(ValueError, match="every example is a group of its own"):
        silhouette_by_class(x, np.arange(90))
    with pytest.raises(ValueError, match="kind must be 'trace' or 'fisher', got 'best'"):
        between_within_ratio(x, y, kind="best")
    with pytest.raises(ValueError, match="scatter within classes is singular"):
        between_within_ratio(np.c_[x, x[:, 0]], y, kind="fisher")
    with pytest.raises(ValueError, match="scatter within classes is singular"):
        between_within_ratio(x[:4], [0, 0, 1, 1], kind="fisher")
    for kind in ("trace", "fisher"):
        with pytest.raises(ValueError, match="all examples are equal"):
            between_within_ratio(np.full((6, 2), 0.1), [0, 0, 0, 1, 1, 1], kind=kind)
    with pytest.raises(ValueError, match="yt must hold one label per example"):
        consistency(x, y, x, y[:3])
    with pytest.raises(ValueError, match="missing labels"):
        within_class_scatter(x, np.where(y == 0, np.nan, y))
    with pytest.raises(ValueError, match="max_points must be at least 3"):
        silhouette_by_class(x, y, max_points=2)


def test_data_are_left_as_they_were():
    x, y = blobs()
    before = x.copy(), y.copy()
    within_class_scatter(x, y)
    between_within_ratio(x, y, kind="fisher")
    silhouette_by_class(x, y)
    consistency(x, y, x, y)
    assert (x == before[0]).all()
    assert (y == before[1]).all()
