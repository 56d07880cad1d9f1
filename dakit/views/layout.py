"""Two-dimensional layouts that hold still while training moves the points.

Snapshots of the same examples at several times are stacked and laid out together, once: a point that does not
move in feature space does not move in the picture. PCA is instant. UMAP [1]_ is fitted on at most
``LANDMARKS`` rows with the neighbours found by brute force (its own search at small n calls Python once per
pair), started from PCA and run for 100 epochs; all other rows are placed by their nearest landmarks.

No layout is a measurement. UMAP stretches and tears: the distance between two clusters says nothing about the
shift between two domains, which is what the metrics are for. Each layout therefore carries the share of nearest
neighbours that it kept.

References
----------
.. [1] McInnes, L., Healy, J. & Melville, J. (2018). UMAP: Uniform manifold approximation and projection for
   dimension reduction. arXiv:1802.03426.
"""

import hashlib
import logging
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dakit.views.labels import percent
from dakit.views.neighbours import nearest, neighbour_overlap

log = logging.getLogger("dakit.views")

FIT_ALL = 4096
"""Up to so many stacked rows, UMAP is fitted on all of them."""
LANDMARKS = 2000
"""Beyond it, on so many."""
FEWEST = 30
"""Fewer stacked rows than this have no neighbourhoods worth a UMAP."""
EPOCHS = 100
WARNING = "Distances between clusters are not shift measures."

_cache: OrderedDict[str, "Layout"] = OrderedDict()
_KEEP = 16
_cache_lock = threading.Lock()
_fitting = threading.Lock()  # numba's default threading layer must not be entered twice


@dataclass(frozen=True)
class Layout:
    """Coordinates of every snapshot on one pair of axes.

    Attributes
    ----------
    points : tuple of float32 arrays of shape (n, 2)
        One for each snapshot, rows as given.
    method : str
        ``"umap"``, ``"pca"``, or ``"features"`` where the features have at most two columns and are shown as
        they are. Not always what was asked for: see ``note``.
    note : str
        What this layout is and keeps, in sentences.
    overlap : float
        Share of the 15 nearest neighbours in feature space that are among the 15 nearest in the layout, 0 to 1,
        the mean over snapshots.
    limits : (left, right, bottom, top)
        A square that holds all points of all snapshots.
    """

    points: tuple[np.ndarray, ...]
    method: str
    note: str
    overlap: float
    limits: tuple[float, float, float, float]


def layout(
    snapshots: Sequence[np.ndarray], *, method: str = "umap", seed: int = 0, neighbors: int = 15
) -> Layout:
    """Lay out one or more snapshots of the same feature space together.

    Parameters
    ----------
    snapshots : sequence of arrays of shape (n_i, d)
    method : {"umap", "pca"}
    seed : int
        Fixes UMAP: the same features and seed give the same layout.
    neighbors : int
        Neighbourhood size of UMAP and of ``overlap``.

    Returns
    -------
    Layout
        Kept in memory: asking again for the same features costs nothing.

    Raises
    ------
    ValueError
        For an unknown method, no snapshots, differing widths, and NaN or infinite features.

    Examples
    --------
    >>> flat = layout([np.eye(40, 5, dtype="float32")], method="pca")
    >>> flat.points[0].shape, flat.method
    ((40, 2), 'pca')
    """
    if method not in ("umap", "pca"):
        raise ValueError(f'layout must be "umap" or "pca", got {method!r}')
    stack = _checked(snapshots)
    key = _content_hash(stack, method, seed, neighbors)
    with _cache_lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    sizes = [len(s) for s in stack]
    rows = np.concatenate(stack)
    flat, used, said = _lay_out(rows, sizes, method, seed, neighbors)
    points = tuple(np.split(flat.astype(np.float32), np.cumsum(sizes)[:-1]))
    overlap = float(np.mean([_kept(f, p, neighbors) for f, p in zip(stack, points)]))
    if used != "features":
        said += f" It keeps {percent(overlap)} of each point's {neighbors} nearest neighbours. {WARNING}"
    made = Layout(points, used, said, overlap, _square(flat))
    with _cache_lock:
        _cache[key] = made
        while len(_cache) > _KEEP:
            _cache.popitem(last=False)
    return made


def warm_up() -> threading.Thread:
    """Compile UMAP in the background (some 7 seconds, once a process), so that the first picture need not wait."""

    def fit_something() -> None:
        rows = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
        layout([rows], method="umap")

    thread = threading.Thread(target=fit_something, name="dakit-umap-warm-up", daemon=True)
    thread.start()
    return thread


def _lay_out(
    rows: np.ndarray, sizes: list[int], method: str, seed: int, neighbors: int
) -> tuple[np.ndarray, str, str]:
    """Coordinates of all rows, the method that was used, and the sentence about it."""
    n, d = rows.shape
    if d <= 2:
        return np.pad(rows, ((0, 0), (0, 2 - d))), "features", "The axes are the features themselves."
    flat, share = _pca(rows)
    about_pca = (
        f"PCA{' of all snapshots together' if len(sizes) > 1 else ''}, {percent(share)} of the variance."
    )
    if method == "pca":
        return flat, "pca", about_pca
    if n < FEWEST:
        log.warning("The layout is PCA: UMAP needs at least %d points and there are %d.", FEWEST, n)
        return flat, "pca", f"PCA instead of UMAP, which needs at least {FEWEST} points. {about_pca}"
    try:
        return (
            _umap(rows, flat, sizes, seed, neighbors),
            "umap",
            "UMAP, fitted once on all snapshots together.",
        )
    except Exception as error:  # a picture is wanted; numba and umap raise whatever they like
        log.warning("The layout is PCA: UMAP failed with %s: %s", type(error).__name__, error)
        return flat, "pca", f"PCA instead of UMAP, which failed ({type(error).__name__}). {about_pca}"


def _square(points: np.ndarray) -> tuple[float, float, float, float]:
    low, high = points.min(0), points.max(0)
    half = 0.53 * float((high - low).max()) or 1.0
    x, y = (low + high) / 2
    return float(x - half), float(x + half), float(y - half), float(y + half)


def _pca(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components and their share of the variance; signs are fixed."""
    centred = rows - rows.mean(0, dtype=np.float64).astype(rows.dtype)
    d = rows.shape[1]
    total = float((centred.astype(np.float64) ** 2).sum())
    if total == 0:
        return np.zeros((len(rows), 2), dtype=rows.dtype), 1.0
    if d <= 512:
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    else:
        from scipy.sparse.linalg import LinearOperator, eigsh

        scatter = LinearOperator(
            (d, d), matvec=lambda v: centred.T @ (centred @ v.ravel().astype(rows.dtype)), dtype=rows.dtype
        )
        values, vectors = eigsh(scatter, k=2, v0=np.ones(d, dtype=rows.dtype))
    top = np.argsort(values)[::-1][:2]
    vectors = vectors[:, top]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), [0, 1]])
    return centred @ vectors.astype(rows.dtype), min(1.0, float(values[top].sum()) / total)


def _umap(rows: np.ndarray, start: np.ndarray, sizes: list[int], seed: int, neighbors: int) -> np.ndarray:
    """UMAP of the landmarks, all other rows between their five nearest landmarks."""
    if len(rows) <= FIT_ALL:
        return _fit_umap(rows, start, seed, neighbors)
    chosen = _landmarks(sizes, seed)
    placed = _fit_umap(rows[chosen], start[chosen], seed, neighbors)
    index, distance = nearest(rows, rows[chosen], k=5)
    # The nearest landmark counts most; a landmark itself (distance 0) stays where UMAP put it.
    weight = 1.0 / (distance.astype(np.float64) ** 2 + 1e-12)
    weight /= weight.sum(1, keepdims=True)
    return np.einsum("nk,nkc->nc", weight, placed[index])


def _landmarks(sizes: list[int], seed: int) -> np.ndarray:
    """Rows that UMAP is fitted on: some of every snapshot, more of the first and the last.

    Before and after are what people compare, and the moments between lie between them.
    """
    weight = np.array(sizes, dtype=float)
    weight[[0, -1]] *= max(1.0, (len(sizes) - 2) / 2)
    share = np.minimum(sizes, np.ceil(LANDMARKS * weight / weight.sum())).astype(int)
    rng = np.random.default_rng(seed)
    starts = np.cumsum([0, *sizes[:-1]])
    return np.concatenate(
        [a + np.sort(rng.choice(n, m, replace=False)) for a, n, m in zip(starts, sizes, share)]
    )


def _fit_umap(rows: np.ndarray, start: np.ndarray, seed: int, neighbors: int) -> np.ndarray:
    k = min(neighbors, len(rows) - 1)
    index, distance = nearest(rows, k=k - 1)
    # UMAP counts each point as its own first neighbour.
    index = np.column_stack([np.arange(len(rows)), index]).astype(np.int32)
    distance = np.column_stack([np.zeros(len(rows)), distance]).astype(np.float32)
    spread = start / (np.abs(start).max() or 1.0) * 10
    # Equal rows must not start on one spot, or no force would part them.
    spread = spread + np.random.default_rng(seed).normal(scale=1e-3, size=spread.shape)
    with _fitting, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        torch_threads = torch.get_num_threads()  # before numba starts
        import numba
        import umap

        threads = numba.get_num_threads()
        numba.set_num_threads(1)  # a seeded fit runs on one thread anyhow; more would only spin
        try:
            model = umap.UMAP(
                n_neighbors=k,
                n_epochs=EPOCHS,
                init=spread.astype(np.float32),
                random_state=seed,
                n_jobs=1,
                precomputed_knn=(index, distance),
                force_approximation_algorithm=True,
            )
            placed = model.fit_transform(rows)
        finally:
            numba.set_num_threads(threads)
            # numba and torch share one OpenMP, and what numba sets holds for both: trainings after a picture
            # would run with a thread per core, many times slower where the cores are busy.
            torch.set_num_threads(torch_threads)
    if not np.isfinite(placed).all():
        raise FloatingPointError("some coordinates are not finite")
    return placed


def _kept(features: np.ndarray, points: np.ndarray, neighbors: int, most: int = 1500) -> float:
    """Neighbour overlap of one snapshot, on an evenly spaced part of it where it is large."""
    if len(features) < 3:
        return 1.0
    some = np.linspace(0, len(features) - 1, min(most, len(features))).astype(int)
    return neighbour_overlap(features[some], points[some], k=min(neighbors, len(some) - 1))


def _checked(snapshots: Sequence[np.ndarray]) -> list[np.ndarray]:
    stack = [np.ascontiguousarray(s, dtype=np.float32) for s in snapshots]
    if not stack:
        raise ValueError("a layout needs at least one snapshot of features, got none")
    for s in stack:
        if s.ndim != 2 or s.shape[0] == 0 or s.shape[1] == 0:
            raise ValueError(f"features must have shape (n, d) with n and d at least 1, got {s.shape}")
        if s.shape[1] != stack[0].shape[1]:
            raise ValueError(
                f"all snapshots must have the same number of features, got {stack[0].shape[1]} and {s.shape[1]}"
            )
        if not np.isfinite(s).all():
            raise ValueError(
                "features hold NaN or infinite values, so they cannot be laid out; did training diverge?"
            )
    return stack


def _content_hash(stack: list[np.ndarray], *settings) -> str:
    h = hashlib.blake2b(repr((settings, [s.shape for s in stack])).encode(), digest_size=16)
    for s in stack:
        h.update(s)
    return h.hexdigest()
