"""Jensen-Shannon divergence of each feature, from histograms whose cells hold equal shares of the pooled sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.samples import as_pair


def jensen_shannon(
    xs: Any,
    xt: Any,
    *,
    bins: int = 16,
    categorical: Sequence[int] = (),
    per_feature: bool = False,
) -> float | np.ndarray:
    """Jensen-Shannon divergence between the distributions of single features, in nats.

    ``JS = (KL(P | M) + KL(Q | M)) / 2`` with ``M = (P + Q)/2`` and P, Q the histograms of a feature in xs and xt; the
    mean over the features. Dependence between features is invisible to it.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features.
    bins : int
        Cells of a histogram. Their edges are quantiles of the pooled sample, so that outliers do not leave most cells
        empty, and increasing functions of a feature change nothing. A feature with at most ``bins`` different values
        has a cell for each value.
    categorical : sequence of int
        Columns that get a cell for each value, however many there are.
    per_feature : bool
        Return the d divergences instead of their mean.

    Returns
    -------
    float, or array of shape (d,), in [0, log 2]
        log 2 = 0.693 where no cell holds points of both samples.

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample has fewer than 2 examples, NaN or infinite values, or other features than its partner; if ``bins``
        is less than 2 or a column of ``categorical`` does not exist.

    Notes
    -----
    Biased upwards: for equal distributions and k cells in use the expected value is about
    ``(k - 1)(1/n + 1/m) / 8``. Compare values at equal n, m and bins, or test with
    ``permutation_test(xs, xt, "jensen_shannon")``.

    References
    ----------
    Lin (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37.

    Examples
    --------
    >>> round(jensen_shannon([[0], [0], [1], [1]], [[1], [1], [2], [2]]), 4)  # half of log 2
    0.3466
    """
    xs, xt = as_pair(xs, xt)
    own = torch.zeros(len(xs) + len(xt), 1, dtype=torch.uint8)
    own[: len(xs)] = 1
    values = np.concatenate([v[:, 0] for v in PooledHistograms(xs, xt, bins, categorical).divergences(own)])
    return values if per_feature else float(values.mean())


class PooledHistograms:
    """The cell of every feature of every pooled point, made once for all relabellings.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
    bins, categorical
        As for :func:`jensen_shannon`.
    """

    def __init__(self, xs: Tensor, xt: Tensor, bins: int = 16, categorical: Sequence[int] = ()) -> None:
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        pooled = torch.cat([xs, xt]).cpu().numpy()
        self.n, self.total, self.d = len(xs), len(pooled), pooled.shape[1]
        by_value = set()
        for column in categorical:
            if not -self.d <= column < self.d:
                raise ValueError(f"categorical names column {column}, but there are {self.d} features")
            by_value.add(column % self.d)
        self.codes = np.empty((self.d, self.total), dtype=np.int64)
        self.cells = np.empty(self.d, dtype=np.int64)
        for j in range(self.d):
            edges = upper_edges(pooled[:, j], self.total if j in by_value else bins)
            self.codes[j] = np.searchsorted(edges, pooled[:, j], side="left")
            self.cells[j] = len(edges)

    def divergences(self, labels: Tensor, entries: int = 2**22) -> list[np.ndarray]:
        """Divergences (features, B) under every column of ``labels`` (n + m, B), a block of features at a time."""
        from scipy.sparse import csr_array

        z = labels.numpy().astype(np.float64)
        found, start = [], 0
        while start < self.d:
            # As many features as keep the counts of all columns of z within `entries` numbers.
            fit = np.searchsorted(np.cumsum(self.cells[start:]) * z.shape[1], entries, side="right")
            at = slice(start, start + max(1, int(fit)))
            cells, codes = self.cells[at], self.codes[at]
            first = np.concatenate([[0], np.cumsum(cells)[:-1]])
            rows = (codes + first[:, None]).ravel()
            columns = np.tile(np.arange(self.total), len(cells))
            shape = (int(cells.sum()), self.total)
            member = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
            of_source = member @ z
            of_target = member.sum(1)[:, None] - of_source
            terms = _js_terms(of_source / self.n, of_target / (self.total - self.n))
            found.append(np.clip(np.add.reduceat(terms, first, axis=0), 0.0, math.log(2)))
            start = at.stop
        return found

    def mean(self, labels: Tensor) -> np.ndarray:
        """The mean divergence over features for every column of ``labels``."""
        return sum(v.sum(0) for v in self.divergences(labels)) / self.d


def upper_edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Upper edges, inclusive, of cells with about equal counts, or of one cell for each value if there are few."""
    ordered = np.sort(values)
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    if len(distinct) <= bins:
        return distinct
    ranks = -(-np.arange(1, bins + 1) * len(ordered) // bins) - 1
    return np.unique(ordered[ranks])


def _js_terms(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Contributions of cells to JS: ``(p log p + q log q)/2 - m log m`` with m the mean of p and q."""
    return (_xlogx(p) + _xlogx(q)) / 2 - _xlogx((p + q) / 2)


def _xlogx(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, 1e-300)) * p
