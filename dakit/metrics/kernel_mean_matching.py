"""Kernel mean matching: weights under which the source has the target's mean in the space of a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.covariate_weights import Weights, checked_pair
from dakit.metrics.kernels import median_heuristic

TILE = 1024
KEPT = 2048  # up to this many source points, the tiles are kept between iterations: 32 MiB


def kmm_weights(
    xs: Any,
    xt: Any,
    *,
    bandwidth: float | None = None,
    bound: float = 1000.0,
    epsilon: float | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
) -> Weights:
    """Kernel mean matching: the weights that bring the source nearest to the target in MMD.

    Minimises ``|(1/n) Σ w_i φ(xs_i) - (1/m) Σ φ(xt_j)|²`` subject to ``0 <= w_i <= bound`` and
    ``|mean w - 1| <= epsilon``, with the kernel ``exp(-|x - y|² / bandwidth)``; then scales the weights to mean 1.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    bandwidth : float, optional
        In squared units of the features. By default :func:`median_heuristic`; there is no likelihood to choose it by.
    bound : float
        Largest weight, B in the paper; at least 1.
    epsilon : float in [0, 1), optional
        By default ``(sqrt(n) - 1) / sqrt(n)``, as in the paper's experiments.
    tolerance : float
        Stop when the squared distance is provably within this of its minimum.
    max_iterations : int

    Returns
    -------
    Weights
        ``chosen`` holds the ``bandwidth``, the ``iterations`` and ``gap``, by which the squared distance exceeds its
        minimum at most; it is above ``tolerance`` only where the iterations ran out.

    Raises
    ------
    TypeError, ValueError
        As for :func:`covariate_weights`, and if an option is out of range.

    Notes
    -----
    The weights match the target's mean better than the true ratio does, by being rough: expect a smaller effective
    sample size and a lower correlation with the true ratio than from a smooth fit. A wider ``bandwidth`` or a smaller
    ``bound`` smoothes them.

    An accelerated projected gradient method with restarts. Each iteration takes O(n² d) time; the kernel matrix is
    made in tiles and kept up to n = 2048 only.

    References
    ----------
    Huang, Smola, Gretton, Borgwardt, Schölkopf (2007). Correcting sample selection bias by unlabeled data. NIPS.
    O'Donoghue, Candès (2015). Adaptive restart for accelerated gradient schemes. Foundations of Comput. Math. 15.

    Examples
    --------
    >>> kmm_weights([[0.0], [1.0]], [[0.0], [0.0], [0.0], [1.0]], bandwidth=1.0, tolerance=1e-9).values.round(
    ...     3
    ... )
    array([1.5, 0.5])
    """
    xs, xt, constant = checked_pair(xs, xt)
    n = len(xs)
    if bandwidth is not None and not 0 < bandwidth < np.inf:
        raise ValueError(f"bandwidth must be a positive number, got {bandwidth}")
    if not 1 <= bound < np.inf:
        raise ValueError(f"bound must be a number of at least 1, or no weights have mean 1, got {bound}")
    if epsilon is None:
        epsilon = (np.sqrt(n) - 1) / np.sqrt(n)
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must lie in [0, 1), got {epsilon}")
    if not tolerance > 0 or max_iterations < 1:
        raise ValueError(
            f"tolerance and max_iterations must be positive, got {tolerance} and {max_iterations}"
        )
    if constant:
        return Weights.of(np.ones(n), "kernel mean matching")
    if bandwidth is None:
        bandwidth = median_heuristic(xs, xt)
    times, mean = _kernel(xs, xt, bandwidth)
    low, high = n * (1 - epsilon), n * (1 + epsilon)

    # With w = n v, the objective is v'Kv/2 - mean'v: half of the squared distance, up to a constant.
    v = torch.full((n,), 1 / n, dtype=torch.float64, device=xs.device)
    step = 1 / float(times(torch.ones_like(v)).max())  # row sums bound the largest eigenvalue
    ahead, momentum = v, 1.0
    for iteration in range(1, max_iterations + 1):
        slope = times(ahead) - mean
        after = _projected(ahead - step * slope, bound / n, low / n, high / n)
        if float(slope @ (after - v)) > 0:  # uphill: the momentum has overshot
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = after + (momentum - 1) / following * (after - v)
        v, momentum = after, following
        if iteration % 10 == 0 or iteration == max_iterations:
            gap = _gap(v, times(v) - mean, bound / n, low / n, high / n)
            if gap <= tolerance / 2:
                break
    return Weights.of(
        n * v.cpu().numpy(), "kernel mean matching", bandwidth=bandwidth, iterations=iteration, gap=2 * gap
    )


def _kernel(xs: Tensor, xt: Tensor, bandwidth: float) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Products with the kernel matrix of the source, and each source point's mean kernel with the target."""
    centre = xs.mean(0)
    xs, xt = ((x - centre) / bandwidth**0.5 for x in (xs, xt))
    tiles = list(xs.split(TILE))

    def tile(a: Tensor, b: Tensor) -> Tensor:
        return torch.cdist(a, b).square_().neg_().exp_()

    kept = [tile(a, xs) for a in tiles] if len(xs) <= KEPT else None

    def times(v: Tensor) -> Tensor:
        if kept is not None:
            return torch.cat([k @ v for k in kept])
        # Rows and columns are cut, so that a tile is never longer than TILE.
        return torch.cat([sum(tile(a, b) @ part for b, part in zip(tiles, v.split(TILE))) for a in tiles])

    mean = torch.cat([sum(tile(a, b).sum(1) for b in xt.split(TILE)) for a in tiles]) / len(xt)
    return times, mean


def _projected(v: Tensor, top: float, low: float, high: float) -> Tensor:
    """The nearest point with entries in [0, top] and a sum in [low, high]."""
    inside = v.clamp(0, top)
    total = float(inside.sum())
    if low <= total <= high:
        return inside
    target = low if total < low else high
    # The sum of clip(v - shift, 0, top) falls with the shift, linearly between the points where an entry meets a bound:
    # halve the interval until it holds few of these, then go along the line.
    values = v.cpu().numpy()
    left, right = values.min() - top, values.max()
    for _ in range(50):
        shift = (left + right) / 2
        moved = values - shift
        excess = np.minimum(np.maximum(moved, 0), top).sum() - target
        left, right = (shift, right) if excess > 0 else (left, shift)
        free = np.count_nonzero((moved > 0) & (moved < top))
        exact = shift + excess / free if free else shift
        if free and abs(np.clip(values - exact, 0, top).sum() - target) <= 1e-12 * target:
            break
    return (v - float(exact)).clamp(0, top)


def _gap(v: Tensor, slope: Tensor, top: float, low: float, high: float) -> float:
    """How much a convex function with this slope at ``v`` can fall at most: ``max slope'(v - u)`` over feasible u."""
    ordered = slope.sort().values.cpu().numpy()
    # As much as possible where the slope is negative, and where it is positive only what the lower bound asks for.
    full = np.arange(len(ordered)) * top
    wanted = np.where(ordered < 0, high, low)
    amount = np.clip(wanted - full, 0, top)
    return max(0.0, float(slope @ v) - float(ordered @ amount))
