"""Tests on graphs of the pooled points: nearest neighbours, and the minimum spanning tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.permutation import permute
from dakit.metrics.results import TwoSampleTest
from dakit.metrics.samples import as_pair

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def knn_test(
    xs: Any, xt: Any, *, k: int = 5, permutations: int = 200, seed: int = 0, stop_after: int | None = None
) -> TwoSampleTest:
    """Nearest-neighbour test: do points have more neighbours of their own sample than chance gives them?

    The statistic is the share of the ``k (n + m)`` pairs (point, one of its k nearest pooled neighbours) that lie in
    one sample. Its p-value is that of a permutation test on the fixed graph: the graph is made once.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened. Euclidean distances; scale the features first where they differ.
    k : int
        Neighbours of a point, less than n + m.
    permutations : int
        Number of relabellings; the p-value cannot be smaller than ``1/(1 + permutations)``.
    seed : int
        Which relabellings, and the order in which equally near neighbours are taken.
    stop_after : int, optional
        Stop once this many draws have reached the statistic, as :func:`~dakit.metrics.permutation.permute` explains.

    Returns
    -------
    TwoSampleTest
        ``statistic`` in [0, 1]; about ``(n² + m²)/(n + m)²`` where nothing differs.

    Raises
    ------
    TypeError, ValueError
        If a sample is not numeric, has fewer than 2 examples, NaN or infinite values, or other features than its
        partner; if ``k`` or ``permutations`` is out of range.

    Notes
    -----
    The points are shuffled before the graph is made. Searches take equally near neighbours in the order of the rows,
    and with source rows first, data with ties would look shifted. With n and m very unequal the power is low.

    References
    ----------
    Schilling (1986). Multivariate two-sample tests based on nearest neighbors. JASA 81.
    Henze (1988). A multivariate two-sample test based on the number of nearest neighbor type coincidences. Ann. Stat.
    16.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> knn_test(x[:30], x[30:] + 9).statistic
    1.0
    """
    xs, xt = as_pair(xs, xt)
    total = len(xs) + len(xt)
    if not 1 <= k < total:
        raise ValueError(f"k must be from 1 to {total - 1} for {total} pooled points, got {k}")
    graph = _graph(xs, xt, seed, lambda points: _nearest(points, k))
    return _graph_test(graph, len(xs), len(xt), permutations, seed, stop_after, f"{k} nearest neighbours")


def mst_test(
    xs: Any, xt: Any, *, permutations: int = 200, seed: int = 0, stop_after: int | None = None
) -> TwoSampleTest:
    """Friedman-Rafsky test: does the minimum spanning tree of the pooled points rarely cross between the samples?

    The statistic is the share of the ``n + m - 1`` edges of the tree that join points of one sample. Its p-value is
    that of a permutation test on the fixed tree.

    Parameters
    ----------
    xs, xt, permutations, seed, stop_after
        As for :func:`knn_test`.

    Returns
    -------
    TwoSampleTest
        ``statistic`` in [0, 1]; about ``1 - 2nm / (n + m)²`` where nothing differs.

    Raises
    ------
    TypeError, ValueError
        As for :func:`knn_test`.

    Notes
    -----
    The exact tree at every size, by Prim's algorithm: O((n + m)² d) time, O((n + m) d) memory.

    References
    ----------
    Friedman, Rafsky (1979). Multivariate generalizations of the Wald-Wolfowitz and Smirnov two-sample tests. Ann.
    Stat. 7.

    Examples
    --------
    >>> mst_test([[0.0], [1.0], [2.0]], [[9.0], [10.0], [11.0]], permutations=99).statistic  # 4 of 5 edges
    0.8
    """
    xs, xt = as_pair(xs, xt)
    graph = _graph(xs, xt, seed, spanning_tree)
    return _graph_test(graph, len(xs), len(xt), permutations, seed, stop_after, "minimum spanning tree")


def _graph_test(
    graph: csr_array, n: int, m: int, permutations: int, seed: int, stop_after: int | None, name: str
) -> TwoSampleTest:
    return permute(
        lambda labels: inside_share(graph, labels),
        n,
        m,
        permutations=permutations,
        seed=seed,
        stop_after=stop_after,
        method=f"permutation test on the graph of the {name}",
    )


def inside_share(graph: csr_array, labels: Tensor) -> np.ndarray:
    """Share of the edges of ``graph`` whose ends have equal labels, for every column of ``labels`` (n + m, B)."""
    z = labels.numpy().astype(np.float64)
    # z'Az + (1 - z)'A(1 - z) = |A| + z'(2 A z - out - in) with the degrees of the points: one product.
    degrees = graph.sum(0) + graph.sum(1)
    inside = graph.sum() + np.einsum("ij,ij->j", z, 2 * (graph @ z) - degrees[:, None])
    return inside / graph.sum()


def _graph(xs: Tensor, xt: Tensor, seed: int, edges: Any) -> csr_array:
    """The graph of the pooled points, made of them in random order and brought back to their own."""
    from scipy.sparse import csr_array

    pooled = torch.cat([xs, xt]).double().cpu().numpy()
    order = np.random.default_rng([seed, len(pooled)]).permutation(len(pooled))
    points = pooled[order]
    points -= points.mean(0)
    points /= abs(points).max() or 1.0
    left, right = edges(points)
    ones = np.ones(len(left))
    return csr_array((ones, (order[left], order[right])), shape=(len(pooled), len(pooled)))


def _nearest(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return np.repeat(np.arange(len(points)), k), index.ravel()


def spanning_tree(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges of the Euclidean minimum spanning tree, by Prim's algorithm.

    scipy's minimum_spanning_tree takes n x n distances and drops the edges between equal points.
    """
    total = len(points)
    outside = np.arange(1, total)  # points not in the tree yet,
    rows = points[1:].copy()  # their coordinates,
    distance = np.full(total - 1, np.inf)  # squared distance to the tree,
    parent = np.zeros(total - 1, dtype=np.int64)  # and the point of the tree that is nearest
    left, right = np.empty(total - 1, dtype=np.int64), np.empty(total - 1, dtype=np.int64)
    new = 0
    for step in range(total - 1):
        size = total - 1 - step
        gap = rows[:size] - points[new]
        squared = np.einsum("ij,ij->i", gap, gap)
        nearer = squared < distance[:size]
        distance[:size][nearer] = squared[nearer]
        parent[:size][nearer] = new
        at = int(distance[:size].argmin())
        left[step], right[step] = parent[at], outside[at]
        new = outside[at]
        # The last point takes the place of the one that has joined.
        for array in (outside, rows, distance, parent):
            array[at] = array[size - 1]
    return left, right
