"""Retrieval with frozen features: normalise, whiten on other data, and compare windows of pictures by distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted, validate_data

from dakit.methods.parameters import check_int, check_real
from dakit.methods.rows import as_array

__all__ = ["Whitening", "mean_average_precision", "spatial_distances", "unit_rows"]

# Directions with less than this share of the largest variance are rounding, and whitening would blow them up.
LEAST_SHARE = 1e-10


def unit_rows(x: np.ndarray, power: float = 1.0) -> np.ndarray:
    """sign(x) |x|^power entry by entry, then each row divided by its length; rows of zeros stay.

    A factor c > 0 on a row falls out, whatever the power: normalising before the power would change nothing.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, -4.0]])).tolist()
    [[0.6, -0.8]]
    >>> unit_rows(np.array([[1.0, -1.0]]), power=2).round(4).tolist()
    [[0.7071, -0.7071]]
    """
    top = np.abs(x).max(-1, keepdims=True)
    x = x / np.where(top > 0, top, 1)  # so that no power over- or underflows as a whole
    if power != 1:
        x = np.sign(x) * np.abs(x) ** power
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(length > 0, length, 1)


class Whitening(TransformerMixin, BaseEstimator):
    """L2-normalise, rotate to principal components, whiten, L2-normalise again.

    With mean m, directions P (d, k) and variances v (k,) of the normalised rows u of the data that it is fitted on,

        w = P' (u - m) / sqrt(v),    z = w / ||w||.

    Fit it on data that take no part in the search: a fit on the gallery lets the answer leak in.

    Parameters
    ----------
    n_components : int
        k; 500 in the paper. Fewer where the data span fewer directions.
    power : float > 0
        Entries of w become sign(w) |w|^power before the last normalisation. 1 leaves them; the paper's retrieval
        squares (2).

    Attributes
    ----------
    mean_ : array of shape (d,)
    directions_ : array of shape (d, k)
    variances_ : array of shape (k,)

    Examples
    --------
    >>> other = np.random.default_rng(0).normal(size=(50, 4))
    >>> Whitening(n_components=3).fit(other).transform(other).shape
    (50, 3)
    """

    def __init__(self, *, n_components: int = 500, power: float = 1.0) -> None:
        self.n_components = n_components
        self.power = power

    def fit(self, X: Any, y: Any = None) -> Whitening:
        """Learn mean, directions and variances from features (n, d)."""
        k = check_int("n_components", self.n_components, 1)
        check_real("power", self.power, open_low=True)
        u = unit_rows(self._check(X, reset=True))
        if np.abs(u - u.mean(0)).max() <= 1e-12:
            raise ValueError("all rows point in one direction: there is nothing to whiten")
        pca = PCA(min(k, len(u) - 1, u.shape[1]), svd_solver="full").fit(u)
        kept = pca.explained_variance_ > LEAST_SHARE * pca.explained_variance_[0]
        self.mean_, self.directions_ = pca.mean_, pca.components_[kept].T
        self.variances_ = pca.explained_variance_[kept]
        return self

    def whiten(self, X: Any) -> np.ndarray:
        """w: uncorrelated components of variance 1 on the data of the fit; (n, d) to (n, k)."""
        check_is_fitted(self)
        u = unit_rows(self._check(X, reset=False))
        return (u - self.mean_) @ self.directions_ / np.sqrt(self.variances_)

    def transform(self, X: Any) -> np.ndarray:
        """z: rows of length 1; (n, d) to (n, k), or (n, windows, d) to (n, windows, k)."""
        check_is_fitted(self)
        x = as_array(X)
        if x.ndim == 3:
            return self.transform(x.reshape(-1, x.shape[2])).reshape(*x.shape[:2], -1)
        return unit_rows(self.whiten(x), self.power)

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        return validate_data(
            self, as_array(X), reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1
        )


def spatial_distances(queries: Any, references: Any) -> np.ndarray:
    """Distance between pictures that are seen through windows.

        D(q, r) = mean over windows i of q of  min over windows j of r of  ||q_i - r_j||.

    With one window each it is the Euclidean distance. More windows of the reference can only make it smaller. It is not
    symmetric.

    Parameters
    ----------
    queries : array of shape (n, p, d) or (n, d)
        (n, d) is one window a picture.
    references : array of shape (m, r, d) or (m, d)

    Returns
    -------
    array of shape (n, m), at least 0

    Examples
    --------
    >>> spatial_distances([[[0.0], [4.0]]], [[[1.0], [4.5]]]).tolist()  # (1 + 0.5) / 2
    [[0.75]]
    """
    q, r = (np.asarray(as_array(x), float) for x in (queries, references))
    q, r = (x[:, None] if x.ndim == 2 else x for x in (q, r))
    if q.ndim != 3 or r.ndim != 3 or q.shape[2] != r.shape[2] or 0 in q.shape + r.shape:
        raise ValueError(
            f"queries and references need shapes (pictures, windows, d) with one d, got {q.shape} and {r.shape}"
        )
    if not (np.isfinite(q).all() and np.isfinite(r).all()):
        raise ValueError("queries and references must be finite numbers")
    from scipy.spatial.distance import cdist

    flat = r.reshape(-1, r.shape[2])
    rows = [
        cdist(one, flat).reshape(q.shape[1], len(r), r.shape[1]).min(2).mean(0) for one in q
    ]  # a query at a time: memory stays at windows times references
    return np.stack(rows)


def mean_average_precision(distances: Any, relevant: Any) -> float:
    """Mean over queries of the average precision of the references, nearest first.

    Parameters
    ----------
    distances : array of shape (n, m)
    relevant : array of bool of shape (n, m)
        At least one in each row.

    Returns
    -------
    float in (0, 1]

    Examples
    --------
    >>> round(mean_average_precision([[0.1, 0.2, 0.3]], [[True, False, True]]), 3)  # (1/1 + 2/3) / 2
    0.833
    """
    from sklearn.metrics import average_precision_score

    d, right = np.asarray(distances, float), np.asarray(relevant, bool)
    if d.ndim != 2 or d.shape != right.shape or not len(d):
        raise ValueError(
            f"distances and relevant need one shape (queries, references), got {d.shape} and {right.shape}"
        )
    if not right.any(1).all():
        raise ValueError("every query needs at least one relevant reference")
    return float(np.mean([average_precision_score(r, -row) for row, r in zip(d, right)]))
