"""Nearest neighbours by brute force, and what a 2-D layout keeps of them.

A layout is judged by the neighbours it keeps, never by its looks: :func:`neighbour_overlap` and
:func:`trustworthiness` are printed with every picture, and :func:`domain_mixing` says in the original space what
the picture seems to say.
"""

import numpy as np

CHUNK = 1024  # rows of the distance matrix held at once


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, (n, d) and (m, d) to (n, m), never negative."""
    d = -2.0 * (x @ y.T)
    d += (x * x).sum(1)[:, None]
    d += (y * y).sum(1)[None, :]
    return np.maximum(d, 0, out=d)


def nearest(x: np.ndarray, y: np.ndarray | None = None, k: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest rows of ``y`` for each row of ``x``; of ``x`` itself, without the row, if ``y`` is None.

    Parameters
    ----------
    x : array of shape (n, d)
    y : array of shape (m, d), optional
    k : int
        Cut to what there is: m, or n - 1.

    Returns
    -------
    index : int array of shape (n, k)
    distance : float array of shape (n, k)
        Euclidean, ascending along each row.
    """
    own = y is None
    pool = x if own else y
    # Distances do not change when both sets are moved; the round-off of a·b does.
    centre = pool.mean(0)
    x, pool = x - centre, pool - centre
    k = min(k, len(pool) - 1 if own else len(pool))
    index = np.empty((len(x), k), dtype=np.int64)
    distance = np.empty((len(x), k), dtype=x.dtype)
    for start in range(0, len(x), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(x)))
        d = squared_distances(x[rows], pool)
        if own:
            d[np.arange(len(rows)), rows] = np.inf
        some = (
            np.sort(np.argpartition(d, k - 1, axis=1)[:, :k], axis=1)
            if k < d.shape[1]
            else np.argsort(d, 1)[:, :k]
        )
        order = np.argsort(np.take_along_axis(d, some, 1), axis=1, kind="stable")
        index[rows] = np.take_along_axis(some, order, 1)
        distance[rows] = np.sqrt(np.take_along_axis(d, index[rows], 1))
    return index, distance


def neighbour_overlap(features: np.ndarray, points: np.ndarray, k: int = 15) -> float:
    """Share of the ``k`` nearest neighbours of ``features`` (n, d) that ``points`` (n, 2) keep, 0 to 1."""
    before, after = nearest(features, k=k)[0], nearest(points, k=k)[0]
    kept = sum(len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(before, after))
    return kept / before.size


def trustworthiness(features: np.ndarray, points: np.ndarray, k: int = 15) -> float:
    """How far neighbours in the layout are from being neighbours in truth, 0 to 1 (best).

    T = 1 - 2 / (n k (2n - 3k - 1)) · Σ_i Σ_{j in U_i} (r(i, j) - k), where U_i are the k nearest of i in the layout
    that are not among the k nearest in the original space, and r(i, j) is the rank of j there.
    Memory is n x n; meant for up to a few thousand points.

    References
    ----------
    .. [1] Venna, J. & Kaski, S. (2001). Neighborhood preservation in nonlinear projection methods. ICANN.
    """
    n = len(features)
    if not 0 < k < n / 2:
        raise ValueError(f"trustworthiness needs 0 < k < n / 2, got k = {k} for n = {n}")
    shown = nearest(points, k=k)[0]
    centred = features - features.mean(0)
    d = squared_distances(centred, centred)
    np.fill_diagonal(d, -1)
    rank = np.empty((n, n), dtype=np.int64)
    np.put_along_axis(rank, np.argsort(d, axis=1, kind="stable"), np.arange(n)[None, :], axis=1)
    excess = np.take_along_axis(rank, shown, 1) - k
    return float(1 - 2 / (n * k * (2 * n - 3 * k - 1)) * excess[excess > 0].sum())


def domain_mixing(features: np.ndarray, domain: np.ndarray, k: int = 15) -> float:
    """Share of the ``k`` nearest neighbours that come from another domain, 0 (apart) to 1.

    Two domains of equal size that cannot be told apart give about one half.

    Parameters
    ----------
    features : array of shape (n, d)
    domain : int array of shape (n,)
    """
    index = nearest(features, k=k)[0]
    return float((domain[index] != domain[:, None]).mean())
