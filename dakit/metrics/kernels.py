"""Kernels on pairs of points, evaluated a tile at a time, and the bandwidth that the data suggest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.pairwise import blocks, exponent_rows, left_rows, product
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


@dataclass(frozen=True)
class RadialKernel:
    """A mean of kernels of the distance: one shape, several bandwidths.

    Attributes
    ----------
    shape : {"rbf", "laplace", "imq"}
        With D the squared distance and b a bandwidth: ``exp(-D/b)``, ``exp(-sqrt(D/b))``, ``1/sqrt(1 + D/b)``.
    bandwidths : tuple of float, descending
        Scales of the squared distance.
    """

    shape: str
    bandwidths: tuple[float, ...]

    def rows(self, xs: Tensor, xt: Tensor) -> Tensor:
        """The pooled points, prepared; a tile needs two blocks of them and nothing else."""
        # The widest kernel's exponent comes out of the product. exp2 in place of exp: three times as fast where
        # the vendor's exp is not at home, and as fast when the result underflows, where exp can be 100 times slower.
        unit = self.bandwidths[0] * (math.log(2.0) if self.shape == "rbf" else 1.0)
        return exponent_rows(xs, xt, unit, self.bandwidths[-1])

    def left(self, rows: Tensor) -> Tensor:
        return left_rows(rows)

    def buffers(self, rows: Tensor, tile: int) -> tuple[Tensor, Tensor]:
        return rows.new_empty(tile * tile), rows.new_empty(tile * tile)

    def _tile(self, left: Tensor, right: Tensor, out: Tensor, diagonal: bool) -> Tensor:
        tile = product(left, right, out)
        if diagonal:
            tile.fill_diagonal_(-torch.inf)  # infinitely far: every kernel here is then exactly 0
        return tile

    def _doublings(self) -> list[int] | None:
        """How often each bandwidth is halved to reach the next, or None where that is no whole number."""
        steps = [math.log2(a / b) for a, b in pairwise(self.bandwidths)]
        whole = [round(s) for s in steps]
        return whole if all(abs(s - w) < 1e-12 for s, w in zip(steps, whole)) else None

    def sums(self, left: Tensor, right: Tensor, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        """Sum of the mean kernel over a tile, without its diagonal if ``diagonal``; a float64 scalar."""
        tile = self._tile(left, right, work[0], diagonal)
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

    def values(self, left: Tensor, right: Tensor, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        """The mean kernel on a tile, its diagonal 0 if ``diagonal``. Overwrites ``work``."""
        tile = self._tile(left, right, work[0], diagonal)
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

    def self_sum(self, rows: Tensor) -> float:
        """Sum of k(x, x) over the rows: every kernel here is 1 at distance 0."""
        return float(len(rows))


def _sum(tile: Tensor) -> Tensor:
    """Sum of a tile in float64; row by row first, for the rounding of one float32 total would be felt in an MMD."""
    return tile.sum(1).sum(dtype=torch.float64)


@dataclass(frozen=True)
class CallableKernel:
    """A kernel given as a function of two blocks of points, (a, d) and (b, d), to a matrix (a, b)."""

    function: Callable[[Tensor, Tensor], Tensor]

    def rows(self, xs: Tensor, xt: Tensor) -> Tensor:
        return torch.cat([xs, xt])

    def left(self, rows: Tensor) -> Tensor:
        return rows

    def buffers(self, rows: Tensor, tile: int) -> tuple[Tensor, Tensor]:
        return rows.new_empty(0), rows.new_empty(0)

    def values(self, left: Tensor, right: Tensor, work: Any, diagonal: bool) -> Tensor:
        tile = torch.as_tensor(self.function(left, right))
        if tile.shape != (len(left), len(right)):
            raise ValueError(
                f"a kernel must map ({len(left)}, d) and ({len(right)}, d) points to a matrix "
                f"({len(left)}, {len(right)}), but this one returned shape {tuple(tile.shape)}"
            )
        tile = tile.detach().to(left.dtype)
        return tile.clone().fill_diagonal_(0) if diagonal else tile

    def sums(self, left: Tensor, right: Tensor, work: Any, diagonal: bool) -> Tensor:
        return self.values(left, right, work, diagonal).sum(dtype=torch.float64)

    def self_sum(self, rows: Tensor) -> float:
        cuts = blocks(len(rows), tile=512)
        return float(
            sum(self.values(rows[c], rows[c], (), False).diagonal().sum(dtype=torch.float64) for c in cuts)
        )


def make_kernel(
    kernel: KernelName, bandwidths: float | Sequence[float] | None, xs: Tensor, xt: Tensor
) -> RadialKernel | CallableKernel:
    """The kernel that the arguments of a metric name; without bandwidths, those of the median heuristic.

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
        return CallableKernel(kernel)
    if kernel not in ("rbf", "laplace", "imq"):
        raise ValueError(
            f"kernel must be 'rbf', 'laplace', 'imq' or a function of two blocks of points, got {kernel!r}"
        )
    if bandwidths is None:
        scale = median_heuristic(xs, xt)
        return RadialKernel(kernel, tuple(scale * r for r in sorted(MULTIPLES, reverse=True)))
    given = [float(b) for b in np.ravel(np.asarray(bandwidths, dtype=np.float64))]
    if not given or not all(0 < b < math.inf for b in given):
        raise ValueError(
            f"bandwidths must be positive numbers, scales of the squared distance, got {bandwidths!r}"
        )
    return RadialKernel(kernel, tuple(sorted(given, reverse=True)))
