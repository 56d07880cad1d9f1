"""Kernels on pairs of points, evaluated a tile at a time, and the bandwidth that the data suggest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.pairwise import Pairs
from dakit.metrics.polynomial import Polynomial, PolynomialPairs
from dakit.metrics.radial import RadialPairs
from dakit.metrics.samples import as_pair

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bandwidths of the default kernel, in units of the median heuristic (Long et al. 2015)."""

KernelName = str | Polynomial | Callable[[Tensor, Tensor], Tensor]


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


class CallablePairs(Pairs):
    """Pairs of pooled points under a function of two blocks of points, (a, d) and (b, d), to a matrix (a, b)."""

    def __init__(self, xs: Tensor, xt: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function
        self.rows = torch.cat([xs, xt])

    def buffers(self, side: int) -> None:
        return None

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

    def self_total(self, at: slice) -> float:
        cuts = [slice(k, min(k + 512, at.stop)) for k in range(at.start, at.stop, 512)]
        return float(
            sum(self.values(self.left(c), c, None, False).diagonal().sum(dtype=torch.float64) for c in cuts)
        )


def pairs_of(xs: Tensor, xt: Tensor, kernel: KernelName, bandwidths: float | Sequence[float] | None) -> Pairs:
    """The pooled points under the kernel that a metric's arguments name, with bandwidths of the median heuristic.

    Raises
    ------
    ValueError
        If the kernel is unknown, a bandwidth is not positive, or bandwidths are given to a kernel without.
    """
    if callable(kernel) or isinstance(kernel, Polynomial) or kernel == "poly":
        if bandwidths is not None:
            raise ValueError(
                "bandwidths belong to the kernels 'rbf', 'laplace' and 'imq'; "
                + ("a function brings its own" if callable(kernel) else "the polynomial kernel has none")
            )
        if callable(kernel):
            return CallablePairs(xs, xt, kernel)
        return PolynomialPairs(xs, xt, Polynomial() if kernel == "poly" else kernel)
    return RadialPairs(xs, xt, kernel, radial_bandwidths(xs, xt, kernel, bandwidths))


def radial_bandwidths(
    xs: Tensor, xt: Tensor, kernel: KernelName, bandwidths: float | Sequence[float] | None
) -> list[float]:
    """The bandwidths given, or the default ones, for a kernel of the distance.

    Raises
    ------
    ValueError
        If the kernel is none of these, or a bandwidth is not positive.
    """
    if kernel not in ("rbf", "laplace", "imq"):
        raise ValueError(
            "kernel must be 'rbf', 'laplace', 'imq', 'poly', a Polynomial or a function of two blocks of points, "
            f"got {kernel!r}"
        )
    if bandwidths is None:
        scale = median_heuristic(xs, xt)
        return [scale * r for r in MULTIPLES]
    given = [float(b) for b in np.ravel(np.asarray(bandwidths, dtype=np.float64))]
    if not given or not all(0 < b < math.inf for b in given):
        raise ValueError(
            f"bandwidths must be positive numbers, scales of the squared distance, got {bandwidths!r}"
        )
    return given
