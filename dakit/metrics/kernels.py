"""Kernels on pairs of points, evaluated a tile at a time, and the bandwidth that the data suggest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.pairwise import PooledPoints
from dakit.metrics.samples import as_pair

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths of the default kernel, in units of the median heuristic (Long et al. 2015)."""

KernelName = str | Callable[[Tensor, Tensor], Tensor]


def median_heuristic(xs: Any, xt: Any, *, max_points: int = 1000, seed: int = 0) -> float:
    """Median squared distance between two points of the pooled sample.

    Each sample gives its share of at most ``max_points`` points, chosen at random; a point is never paired with
    itself. Where more than half of the pairs coincide (counts, one-hot columns) it is the median over the pairs
    that do not.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Examples are flattened.
    max_points : int
        The median over all pairs costs more than an MMD and changes little beyond 1000 points.
    seed : int
        Which random points.

    Returns
    -------
    float
        In squared units of the features; always positive.

    Raises
    ------
    ValueError
        If all points are equal, for no distance sets a scale then; and as for every metric.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012). A kernel two-sample test. JMLR 13, section 8.

    Examples
    --------
    >>> median_heuristic([[0.0], [1.0]], [[3.0], [3.0]])  # squared distances 0, 1, 4, 4, 9, 9
    4.0
    """
    xs, xt = as_pair(xs, xt, at_least=1)
    if max_points < 2:
        raise ValueError(f"max_points must be at least 2, got {max_points}")
    total = len(xs) + len(xt)
    chosen = []
    for x in (xs, xt):
        size = len(x) if total <= max_points else max(1, round(max_points * len(x) / total))
        # The same generator for both, so that exchanging the samples changes nothing.
        index = np.sort(np.random.default_rng(seed).choice(len(x), min(size, len(x)), replace=False))
        chosen.append(x[torch.from_numpy(index).to(x.device)].double())
    points = torch.cat(chosen)
    points -= points.mean(0)
    norms = points.square().sum(1)
    sums = norms[:, None] + norms
    distances = torch.addmm(sums, points, points.T, alpha=-2)
    # What lies below the rounding error of the product is a pair of equal points.
    distances.masked_fill_(distances < 1e-13 * sums, 0)
    matrix = distances.cpu().numpy()
    values = np.concatenate([row[i + 1 :] for i, row in enumerate(matrix)])
    median = _median(values)
    if median == 0:
        values = values[values > 0]
        if len(values) == 0:
            raise ValueError(
                "all points are equal, so no bandwidth can be told from them; give bandwidths yourself"
            )
        median = _median(values)
    return median


def _median(values: np.ndarray) -> float:
    """np.median without its checks for NaN, which cost more than the selection."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    chosen = np.partition(values, (low, high))
    return float((chosen[low] + chosen[high]) / 2)


class RadialPairs:
    """Pairs of pooled points under a mean of kernels of the distance: one shape, several bandwidths.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
    shape : {"rbf", "laplace", "imq"}
        With D the squared distance and b a bandwidth: ``exp(-D/b)``, ``exp(-sqrt(D/b))``, ``1/sqrt(1 + D/b)``.
    bandwidths : sequence of float
        Scales of the squared distance.
    """

    def __init__(self, xs: Tensor, xt: Tensor, shape: str, bandwidths: Sequence[float]) -> None:
        self.shape = shape
        self.bandwidths = sorted(bandwidths, reverse=True)
        # The widest kernel's exponent comes out of the product. exp2 in place of exp: three times as fast where the
        # vendor's exp is not at home, and as fast when the result underflows, where exp can be 100 times slower.
        unit = self.bandwidths[0] * (math.log(2.0) if shape == "rbf" else 1.0)
        self.points = PooledPoints(xs, xt, unit, self.bandwidths[-1], roots=shape == "laplace")
        self.dtype, self.device = self.points.rows.dtype, xs.device

    def __len__(self) -> int:
        return len(self.points)

    def buffers(self, side: int) -> tuple[Tensor, Tensor]:
        """Room for tiles of at most ``side`` x ``side``."""
        rows = self.points.rows
        return rows.new_empty(side * side), rows.new_empty(side * side)

    def left(self, at: slice) -> Tensor:
        return self.points.left(at)

    def _exponents(self, left: Tensor, at: slice, out: Tensor, diagonal: bool) -> Tensor:
        tile = self.points.tile(left, at, out)
        if diagonal:
            tile.fill_diagonal_(-torch.inf)  # infinitely far: every kernel here is then exactly 0
        return tile

    def _doublings(self) -> list[int] | None:
        """How often each bandwidth is halved to reach the next, or None where that is no whole number."""
        steps = [math.log2(a / b) for a, b in pairwise(self.bandwidths)]
        whole = [round(s) for s in steps]
        return whole if all(abs(s - w) < 1e-12 for s, w in zip(steps, whole)) else None

    def total(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        """Sum of the kernel over a tile, without its diagonal if ``diagonal``; a float64 scalar."""
        tile = self._exponents(left, at, work[0], diagonal)
        doublings = self._doublings() if self.shape == "rbf" else None
        if doublings is None:
            return _sum(self._mean(tile, work[1]))
        # exp(-D/b) squared is the kernel of half the bandwidth: one exponential serves all of them.
        tile.exp2_()
        total = _sum(tile)
        for times in doublings:
            for _ in range(times):
                tile.mul_(tile)
            total += _sum(tile)
        return total / len(self.bandwidths)

    def values(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        """The kernel on a tile, its diagonal 0 if ``diagonal``. Overwrites ``work``."""
        tile = self._exponents(left, at, work[0], diagonal)
        doublings = self._doublings() if self.shape == "rbf" else None
        if doublings is None:
            return self._mean(tile, work[1])
        mean = work[1][: tile.numel()].view_as(tile)
        torch.exp2(tile, out=tile)
        mean.copy_(tile)
        for times in doublings:
            for _ in range(times):
                tile.mul_(tile)
            mean.add_(tile)
        return mean.div_(len(self.bandwidths))

    def _mean(self, tile: Tensor, out: Tensor) -> Tensor:
        """The mean over bandwidths of the kernel, each from the exponents anew. Overwrites ``tile``."""
        mean = out[: tile.numel()].view_as(tile).zero_()
        if self.shape == "laplace":
            # sqrt(0) for coinciding points that rounding has moved past each other; log2(e) for exp2.
            tile.neg_().clamp_(min=0).sqrt_().mul_(-math.log2(math.e))
        scratch = torch.empty_like(tile)
        for b in self.bandwidths:
            ratio = self.bandwidths[0] / b
            if self.shape == "imq":
                torch.mul(tile, -ratio, out=scratch)
                mean += scratch.clamp_(min=0).add_(1).rsqrt_()
            else:
                mean += torch.mul(
                    tile, math.sqrt(ratio) if self.shape == "laplace" else ratio, out=scratch
                ).exp2_()
        return mean.div_(len(self.bandwidths))

    def self_total(self, at: slice) -> float:
        """Sum of k(x, x): every kernel here is 1 at distance 0."""
        return float(at.stop - at.start)


def _sum(tile: Tensor) -> Tensor:
    """Sum of a tile in float64; row by row first, for the rounding of one float32 total would be felt in an MMD."""
    return tile.sum(1).sum(dtype=torch.float64)


class CallablePairs:
    """Pairs of pooled points under a function of two blocks of points, (a, d) and (b, d), to a matrix (a, b)."""

    def __init__(self, xs: Tensor, xt: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function
        self.rows = torch.cat([xs, xt])
        self.dtype, self.device = xs.dtype, xs.device

    def __len__(self) -> int:
        return len(self.rows)

    def buffers(self, side: int) -> None:
        return None

    def left(self, at: slice) -> Tensor:
        return self.rows[at]

    def values(self, left: Tensor, at: slice, work: None, diagonal: bool) -> Tensor:
        right = self.rows[at]
        tile = torch.as_tensor(self.function(left, right))
        if tile.shape != (len(left), len(right)):
            raise ValueError(
                f"a kernel must map ({len(left)}, d) and ({len(right)}, d) points to a matrix "
                f"({len(left)}, {len(right)}), but this one returned shape {tuple(tile.shape)}"
            )
        tile = tile.detach().to(self.dtype).clone()  # the function may return something it still needs
        return tile.fill_diagonal_(0) if diagonal else tile

    def total(self, left: Tensor, at: slice, work: None, diagonal: bool) -> Tensor:
        return _sum(self.values(left, at, work, diagonal))

    def self_total(self, at: slice) -> float:
        cuts = [slice(k, min(k + 512, at.stop)) for k in range(at.start, at.stop, 512)]
        return float(
            sum(self.values(self.left(c), c, None, False).diagonal().sum(dtype=torch.float64) for c in cuts)
        )


def pairs_of(
    xs: Tensor, xt: Tensor, kernel: KernelName, bandwidths: float | Sequence[float] | None
) -> RadialPairs | CallablePairs:
    """The pooled points under the kernel that a metric's arguments name, with bandwidths of the median heuristic.

    Raises
    ------
    ValueError
        If the kernel is unknown, a bandwidth is not positive, or bandwidths are given to a function.
    """
    if callable(kernel):
        if bandwidths is not None:
            raise ValueError(
                "bandwidths belong to the kernels 'rbf', 'laplace' and 'imq'; a function brings its own"
            )
        return CallablePairs(xs, xt, kernel)
    if kernel not in ("rbf", "laplace", "imq"):
        raise ValueError(
            f"kernel must be 'rbf', 'laplace', 'imq' or a function of two blocks of points, got {kernel!r}"
        )
    if bandwidths is None:
        scale = median_heuristic(xs, xt)
        return RadialPairs(xs, xt, kernel, [scale * r for r in MULTIPLES])
    given = [float(b) for b in np.ravel(np.asarray(bandwidths, dtype=np.float64))]
    if not given or not all(0 < b < math.inf for b in given):
        raise ValueError(
            f"bandwidths must be positive numbers, scales of the squared distance, got {bandwidths!r}"
        )
    return RadialPairs(xs, xt, kernel, given)
