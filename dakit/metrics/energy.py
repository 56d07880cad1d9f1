"""Energy distance: twice the mean distance across two samples less the mean distances within them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.fused import loops
from dakit.metrics.mmd import group_sums
from dakit.metrics.pairwise import Pairs, PooledPoints, blocks
from dakit.metrics.permutation import permute
from dakit.metrics.results import TwoSampleTest
from dakit.metrics.samples import as_pair
from dakit.metrics.two_sample import unbiased_under

# Squared distances, in units of the mean squared distance from the centre, below which float32 keeps too few digits
# for a root: the product is off by some 1e-7 there, its root by 1e-7 / (2 sqrt(CLOSE)). Such tiles go through float64.
CLOSE = 0.01


def energy_distance(xs: Any, xt: Any, *, unbiased: bool = False) -> float:
    """Energy distance between two samples, without any parameter to choose.

    ``2 E|x - y| - E|x - x'| - E|y - y'|`` with the Euclidean distance. In expectation it is 0 exactly when both samples
    come from one distribution; in one dimension it is twice the integral of the squared difference of the cumulative
    distribution functions. It is the MMD² of the kernel ``-|x - y|``.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    unbiased : bool
        Leave out the pairs of a point with itself (U-statistic), so that equal distributions give 0 on average and
        some values are slightly negative. With False (V-statistic, the usual definition) they count as distance 0:
        never negative, but too large by about ``E|x - x'| (1/n + 1/m)``.

    Returns
    -------
    float
        In units of the features (some authors take the square root, or half of it).

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample has fewer than 2 examples, NaN or infinite values, or other features than its partner.

    Notes
    -----
    Exact, in O((n + m)² d) time and O((n + m) d) memory.

    References
    ----------
    Székely, Rizzo (2013). Energy statistics: a class of statistics based on distances. J. Stat. Plan. Inference 143.

    Examples
    --------
    >>> round(energy_distance([[0.0], [1.0]], [[3.0], [3.0]]), 9)  # 2 * 2.5 - 0.5 - 0
    4.5
    """
    xs, xt = as_pair(xs, xt)
    pairs = DistancePairs(xs, xt)
    n, m = len(xs), len(xt)
    sxx, syy, sxy = group_sums(pairs, n)
    if unbiased:
        return pairs.scale * (sxx / (n * (n - 1)) + syy / (m * (m - 1)) - 2 * sxy / (n * m))
    # Never negative; rounding may leave it a little below zero when the samples are equal.
    return pairs.scale * max(0.0, sxx / n**2 + syy / m**2 - 2 * sxy / (n * m))


def energy_test(
    xs: Any, xt: Any, *, permutations: int = 200, seed: int = 0, stop_after: int | None = None
) -> TwoSampleTest:
    """Permutation test of "both samples come from one distribution" with the unbiased energy distance.

    Consistent against every alternative, and without a bandwidth; where the samples differ at a scale that is small
    beside their spread, :func:`~dakit.metrics.mmd_test` sees it earlier.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Examples are flattened. They must be independent.
    permutations : int
        Number of relabellings; the p-value cannot be smaller than ``1/(1 + permutations)``.
    seed : int
        Which relabellings.
    stop_after : int, optional
        Stop once this many draws have reached the statistic, as :func:`~dakit.metrics.permutation.permute` explains.

    Returns
    -------
    TwoSampleTest
        With ``statistic`` (equal to ``energy_distance(xs, xt, unbiased=True)`` up to rounding), ``pvalue`` and
        ``null``.

    Raises
    ------
    TypeError, ValueError
        As for :func:`energy_distance`, and if ``permutations`` or ``stop_after`` is less than 1.

    References
    ----------
    Székely, Rizzo (2004). Testing for equal distributions in high dimension. InterStat 5.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> energy_test(x[:50], x[50:] + 2).pvalue
    0.004975124378109453
    """
    xs, xt = as_pair(xs, xt)
    pairs = DistancePairs(xs, xt)
    test = permute(
        lambda labels: unbiased_under(pairs, len(xs), labels),
        len(xs),
        len(xt),
        permutations=permutations,
        seed=seed,
        stop_after=stop_after,
        method="permutation test of the energy distance",
    )
    return replace(test, statistic=pairs.scale * test.statistic, null=pairs.scale * test.null)


class DistancePairs(Pairs):
    """Pairs of pooled points under ``-|x - y| / scale``.

    Attributes
    ----------
    scale : float
        Root of the mean squared distance from the pooled mean, so that what is summed is of order 1.
    """

    def __init__(self, xs: Tensor, xt: Tensor) -> None:
        spread = _mean_square(xs, xt)
        self.scale = spread**0.5 or 1.0
        self.loops = loops(xs.dtype, xs.device, pairs=(len(xs) + len(xt)) ** 2 // 2)
        if self.loops is None or _many_are_close(xs, xt, spread):
            # A root makes sqrt(e) of a rounding error e in the distance of equal points: float64 then.
            xs, xt = xs.double(), xt.double()
        self.points = PooledPoints(xs, xt, self.scale**2, self.scale**2)
        self.rows = self.points.rows

    def left(self, at: slice) -> Tensor:
        return self.points.left(at)

    def values(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        return self._roots(left, at, work, diagonal)[0]

    def total(self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool) -> Tensor:
        return self._roots(left, at, work, diagonal)[1].sum()

    def less(
        self, constant: float, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool
    ) -> tuple[Tensor, Tensor]:
        values, sums = self._roots(left, at, work, diagonal)
        constant = float(torch.tensor(constant, dtype=self.dtype))  # the same number for both
        values -= constant
        if diagonal:
            values.fill_diagonal_(0)
        return values, sums - constant * (values.shape[1] - diagonal)

    def _roots(
        self, left: Tensor, at: slice, work: tuple[Tensor, Tensor], diagonal: bool
    ) -> tuple[Tensor, Tensor]:
        """The tile and its row sums in float64."""
        tile = self.points.tile(left, at, work[0])
        if self.dtype == torch.float32:
            if diagonal:
                tile.fill_diagonal_(-1)
            sums = torch.empty(len(tile), dtype=torch.float64)
            if self.loops.roots(tile.numpy(), np.float32(-CLOSE), sums.numpy()) == 0:
                if diagonal:
                    tile.fill_diagonal_(0)
                    sums += 1
                return tile, sums
            points, right = left[:, :-2].double() / 2, self.rows[at, :-2].double()
            norms = points.square().sum(1, keepdim=True) + right.square().sum(1)
            exact = torch.addmm(norms, points, right.T, alpha=-2).clamp_(min=0).sqrt_().neg_()
        else:
            exact = tile.neg_().clamp_(min=0).sqrt_().neg_()
        if diagonal:
            exact.fill_diagonal_(0)
        sums = exact.sum(1)
        return (tile.copy_(exact) if exact is not tile else tile), sums

    def self_total(self, at: slice) -> float:
        return 0.0


def _mean_square(xs: Tensor, xt: Tensor) -> float:
    """Mean squared distance of the pooled points from their mean."""
    total = len(xs) + len(xt)
    centre = (xs.sum(0, dtype=torch.float64) + xt.sum(0, dtype=torch.float64)) / total
    squares = [
        (sample[at].double() - centre).square().sum()
        for sample in (xs, xt)
        for at in blocks(len(sample), tile=max(1, 2**17 // xs.shape[1]))
    ]
    return float(torch.stack(squares).sum()) / total


def _many_are_close(xs: Tensor, xt: Tensor, spread: float) -> bool:
    """Whether so many distances are small beside the spread that most tiles would hold one: few features, clusters."""
    points = torch.cat([x[:: -(-len(x) // 150)] for x in (xs, xt)]).double()
    near = torch.cdist(points, points) ** 2 < CLOSE * spread
    return int(near.sum()) - len(points) > 0
