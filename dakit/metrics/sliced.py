"""Wasserstein distances along lines: the mean over random directions, and the worst direction."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.pairwise import exact_float32
from dakit.metrics.samples import as_pair

ENTRIES = 2**20  # projections in one block: 4 MiB in float32
MAX_ANGLE = 1.0  # radians, of one step of the ascent


def sliced_wasserstein(xs: Any, xt: Any, *, p: float = 2.0, projections: int = 100, seed: int = 0) -> float:
    """Sliced Wasserstein distance, ``(mean over directions u of W_p(u'xs, u'xt)^p)^(1/p)``.

    The p-th root is taken, so the value is in the unit of the features. ``W_p`` in one dimension compares the quantile
    functions, ``(∫ |F⁻¹(q) - G⁻¹(q)|^p dq)^(1/p)``; for samples of different sizes the two step functions are merged,
    without interpolation.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features. The arithmetic is float32 or float64, as the data are.
    p : float, at least 1
    projections : int
        Number of random directions. The relative error of the p-th power falls as ``1/sqrt(projections)``.
    seed : int
        Which directions.

    Returns
    -------
    float, at least 0
        0 where the samples are the same points. A shift of all points by a vector ``δ`` gives about ``|δ| / sqrt(d)``
        for p = 2. Equal distributions give a positive value that falls with n.

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample has fewer than 2 examples, NaN or infinite values, or other features than its partner; if ``p`` or
        ``projections`` is less than 1.

    Notes
    -----
    O((n + m)(d + log(n + m)) projections) time, a block of directions at a time. On the CPU the sorting is numpy's, an
    order of magnitude faster in float32 than torch's.

    References
    ----------
    Rabin, Peyré, Delon, Bernot (2011). Wasserstein barycenter and its application to texture mixing. SSVM.
    Bonneel, Rabin, Peyré, Pfister (2015). Sliced and Radon Wasserstein barycenters of measures. J. Math. Imaging Vis.
    51.

    Examples
    --------
    >>> sliced_wasserstein([[0.0], [1.0]], [[4.0], [3.0]])  # one feature: both directions see the shift by 3
    3.0
    """
    xs, xt = as_pair(xs, xt)
    own = torch.zeros(len(xs) + len(xt), 1, dtype=torch.uint8)
    own[: len(xs)] = 1
    return float(sliced_under(xs, xt, own, p=p, projections=projections, seed=seed)[0])


def sliced_under(
    xs: Tensor, xt: Tensor, labels: Tensor, *, p: float = 2.0, projections: int = 100, seed: int = 0
) -> np.ndarray:
    """The sliced distance of the points labelled 1 from the rest, for every column of ``labels`` (n + m, B).

    The points are projected once for all columns.
    """
    check_power(p)
    if projections < 1:
        raise ValueError(f"projections must be at least 1, got {projections}")
    points, scale = pooled_in_unit(xs, xt)
    if scale == 0:
        return np.zeros(labels.shape[1])
    n, m, d = len(xs), len(xt), xs.shape[1]
    directions = torch.from_numpy(_directions(projections, d, np.random.default_rng(seed)))
    directions = directions.to(points)
    groups = [(np.flatnonzero(z), np.flatnonzero(z == 0)) for z in labels.T.numpy()]
    powers = np.zeros(len(groups))
    match = None if n == m else merged_quantiles(n, m)
    line = _Line(p, match, points)
    for at in directions.split(max(1, ENTRIES // (n + m))):
        with exact_float32():
            projected = at @ points.T
        powers += line.powers(projected, groups)
    return scale * (powers / projections) ** (1 / p)


class _Line:
    """Sums over directions of W_p^p between two groups of projected points, in numpy on the CPU, in torch elsewhere."""

    def __init__(self, p: float, match: tuple[np.ndarray, ...] | None, like: Tensor) -> None:
        self.p, self.match, self.on_cpu = p, match, like.device.type == "cpu"
        if match is not None and not self.on_cpu:
            self.match = tuple(torch.from_numpy(x).to(like.device) for x in match)

    def powers(self, projected: Tensor, groups: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
        if not self.on_cpu:
            return [self._power(*(_sorted_torch(projected, g) for g in pair)) for pair in groups]
        projected = projected.numpy()
        return [self._power(*(_sorted_numpy(projected, g) for g in pair)) for pair in groups]

    def _power(self, a: Any, b: Any) -> float:
        if self.match is None:
            a -= b
        else:
            left, right, weight = self.match
            a = a[:, left] - b[:, right]
        a = a * a if self.p == 2 else abs(a) if self.p == 1 else abs(a) ** self.p
        if self.match is None:
            return float(a.mean(1).sum())
        weight = weight.astype(a.dtype) if self.on_cpu else weight.to(a.dtype)
        return float((a @ weight).sum())


def _sorted_numpy(projected: np.ndarray, group: np.ndarray) -> np.ndarray:
    first, last = int(group[0]), int(group[-1])
    if last - first == len(group) - 1:  # neighbours in memory, as in the observed samples
        chosen = projected[:, first : last + 1].copy()
    else:
        chosen = projected.take(group, axis=1)
    chosen.sort(axis=1)
    return chosen


def _sorted_torch(projected: Tensor, group: np.ndarray) -> Tensor:
    return projected[:, torch.from_numpy(group).to(projected.device)].sort(dim=1).values


@dataclass(frozen=True)
class MaxSliced:
    """A distance along the direction where it is largest.

    Attributes
    ----------
    value : float, at least 0
    direction : array of shape (d,), float64
        Of length 1; its sign means nothing. All zeros where all points are equal.
    """

    value: float
    direction: np.ndarray = field(repr=False)

    def __float__(self) -> float:
        return self.value


def max_sliced_wasserstein(
    xs: Any, xt: Any, *, p: float = 2.0, restarts: int = 8, steps: int = 100, seed: int = 0
) -> MaxSliced:
    """Max-sliced Wasserstein distance, ``max over directions u of W_p(u'xs, u'xt)``, and that direction.

    Gradient ascent on the sphere from several starts: the difference of the means, the direction where the variances
    differ most, and random ones. The maximum is not guaranteed to be found: the value is a lower bound of it, and grows
    with ``restarts`` and ``steps``.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features. Float64 on the CPU.
    p : float, at least 1
    restarts : int
        Number of starts.
    steps : int
        Largest number of steps from each; a step is kept only where it raises the distance.
    seed : int
        Which random starts.

    Returns
    -------
    MaxSliced
        With ``value`` (the p-th root, in the unit of the features) and ``direction``.

    Raises
    ------
    TypeError, ValueError
        As for :func:`sliced_wasserstein`.

    References
    ----------
    Deshpande et al. (2019). Max-sliced Wasserstein distance and its use for GANs. CVPR.

    Examples
    --------
    >>> found = max_sliced_wasserstein([[0.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, 2.0]])
    >>> round(found.value, 6), abs(found.direction).round(3).tolist()
    (2.0, [0.0, 1.0])
    """
    xs, xt = as_pair(xs, xt)
    check_power(p)
    if restarts < 1 or steps < 1:
        raise ValueError(f"restarts and steps must be at least 1, got {restarts} and {steps}")
    points, scale = pooled_in_unit(xs.double(), xt.double())
    d = xs.shape[1]
    if scale == 0:
        return MaxSliced(0.0, np.zeros(d))
    points = points.cpu().numpy()
    a, b = points[: len(xs)], points[len(xs) :]
    match = merged_quantiles(len(a), len(b))
    at = _starts(a, b, restarts, np.random.default_rng(seed))
    value, gradient = _power_and_gradient(a, b, at, match, p)
    angle = np.full(len(at), 0.3)
    for _ in range(steps if d > 1 else 0):
        tangent = gradient - (gradient * at).sum(1, keepdims=True) * at
        length = np.linalg.norm(tangent, axis=1, keepdims=True)
        going = np.flatnonzero((length[:, 0] > 1e-14) & (angle > 1e-7))
        if len(going) == 0:
            break
        turn = angle[going, None]
        new = np.cos(turn) * at[going] + np.sin(turn) * tangent[going] / length[going]
        new /= np.linalg.norm(new, axis=1, keepdims=True)
        new_value, new_gradient = _power_and_gradient(a, b, new, match, p)
        better = new_value > value[going]
        kept = going[better]
        at[kept], value[kept], gradient[kept] = new[better], new_value[better], new_gradient[better]
        angle[kept] = np.minimum(1.5 * angle[kept], MAX_ANGLE)
        angle[going[~better]] /= 3
    best = int(value.argmax())
    return MaxSliced(float(scale * value[best] ** (1 / p)), at[best])


def _starts(a: np.ndarray, b: np.ndarray, restarts: int, rng: np.random.Generator) -> np.ndarray:
    d = a.shape[1]
    found = [a.mean(0) - b.mean(0)]
    if d <= 1000:  # an eigenproblem of d x d numbers
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(a.T) - np.cov(b.T)))
        found.append(vectors[:, abs(values).argmax()])
    found = [u / np.linalg.norm(u) for u in found if np.linalg.norm(u) > 0][:restarts]
    return np.concatenate([np.reshape(found, (-1, d)), _directions(restarts - len(found), d, rng)])


def _power_and_gradient(
    a: np.ndarray, b: np.ndarray, at: np.ndarray, match: tuple[np.ndarray, ...], p: float
) -> tuple[np.ndarray, np.ndarray]:
    """``W_p^p`` along each row of ``at``, and its gradient with the optimal matching held fixed."""
    left, right, weight = match
    pa, pb = at @ a.T, at @ b.T
    order_a, order_b = pa.argsort(1), pb.argsort(1)
    rows = np.arange(len(at))[:, None]
    gap = pa[rows, order_a][:, left] - pb[rows, order_b][:, right]
    value = abs(gap) ** p @ weight
    slope = p * abs(gap) ** (p - 1) * np.sign(gap) * weight
    # Each point collects the slopes of the pieces of its quantile function, which lie side by side.
    of_a, of_b = np.empty_like(pa), np.empty_like(pb)
    of_a[rows, order_a] = np.add.reduceat(slope, np.searchsorted(left, np.arange(len(a))), axis=1)
    of_b[rows, order_b] = np.add.reduceat(slope, np.searchsorted(right, np.arange(len(b))), axis=1)
    return value, of_a @ a - of_b @ b


def merged_quantiles(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The steps of two quantile functions laid over each other.

    Returns
    -------
    left, right, weight : arrays of equal length, at most n + m - 1
        On the k-th piece, of length ``weight[k]`` in [0, 1], the functions are the ``left[k]``-th smallest of n
        values and the ``right[k]``-th smallest of m.
    """
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1/(n m): exact
    begins = np.concatenate([[0], ends[:-1]])
    return begins // m, begins // n, (ends - begins) / (n * m)


def pooled_in_unit(xs: Tensor, xt: Tensor) -> tuple[Tensor, float]:
    """The pooled points, centred and divided by their largest coordinate, which is returned beside them.

    No distance changes but by that factor, powers of distances cannot overflow, and float32 keeps its digits for
    points that lie far from the origin.
    """
    pooled = torch.cat([xs, xt])
    low, high = (float(end) for end in torch.aminmax(pooled))
    if torch.equal(pooled[0], pooled[-1]) and bool((pooled == pooled[0]).all()):
        return torch.zeros_like(pooled), 0.0
    dtype = pooled.dtype
    if max(-low, high) > 1e37:  # the differences may not fit into float32
        pooled = pooled.double()
    # Whatever the rounding of the mean, it is subtracted from all points alike.
    pooled -= pooled.mean(0, dtype=torch.float64).to(pooled.dtype)
    scale = max(abs(float(end)) for end in torch.aminmax(pooled))
    return (pooled / scale).to(dtype), scale


def _directions(count: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform on the sphere: (count, d)."""
    drawn = rng.standard_normal((count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def check_power(p: float) -> None:
    if not (1 <= p < math.inf):
        raise ValueError(f"p must be a finite number of at least 1, got {p}")
