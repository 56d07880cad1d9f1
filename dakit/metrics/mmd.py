"""Maximum mean discrepancy: how far apart the means of two samples lie in the space of a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from threading import local
from typing import Any

import torch

from dakit.metrics.kernels import KernelName, pairs_of
from dakit.metrics.pairwise import Pairs, blocks, over_blocks, tile_size
from dakit.metrics.samples import as_pair


def mmd(
    xs: Any,
    xt: Any,
    *,
    bandwidths: float | Sequence[float] | None = None,
    kernel: KernelName = "rbf",
    unbiased: bool = True,
) -> float:
    """Squared maximum mean discrepancy, MMD², between two samples.

    ``MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` with ``k`` the mean of kernels of several bandwidths,
    ``k(x, y) = mean_b exp(-|x - y|² / b)``. Zero in expectation when both samples come from one distribution,
    positive otherwise.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened. The arithmetic is float32 or float64, as the data are.
    bandwidths : float or sequence of float, optional
        Scales ``b`` of the squared distance. By default :func:`median_heuristic` times ¼, ½, 1, 2, 4. Bandwidths
        whose ratios are powers of two cost one exponential together.
    kernel : {"rbf", "laplace", "imq", "poly"}, Polynomial or callable
        ``exp(-D/b)``, ``exp(-sqrt(D/b))``, ``1/sqrt(1 + D/b)`` of the squared distance D; ``(x.y / d + 1)^3`` or
        another :class:`~dakit.metrics.Polynomial`, without bandwidths and always in float64; or a symmetric function
        of two blocks of points, (a, d) and (b, d), to a matrix (a, b).
    unbiased : bool
        Leave out the pairs of a point with itself (U-statistic), so that equal distributions give 0 on average and
        some values are slightly negative. With False, they are kept (V-statistic): never negative, but too large by
        about ``(1 - mean k) (1/n + 1/m)``.

    Returns
    -------
    float
        MMD², the squared distance. For the kernels of the distance at most 2.

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample has fewer than 2 examples, NaN or infinite values, or other features than its partner; if all
        points are equal and no bandwidths are given; if a bandwidth is not positive.

    Notes
    -----
    Exact, in O((n + m)² d) time and O((n + m) d) memory: no kernel matrix is stored.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012). A kernel two-sample test. JMLR 13, eq. 3 and 5.

    Examples
    --------
    >>> round(mmd([[0.0], [1.0]], [[0.0], [2.0]], bandwidths=1.0, kernel="laplace", unbiased=False), 4)
    0.3161
    """
    xs, xt = as_pair(xs, xt)
    pairs = pairs_of(xs, xt, kernel, bandwidths)
    n, m = len(xs), len(xt)
    sxx, syy, sxy = group_sums(pairs, n)
    if unbiased:
        return sxx / (n * (n - 1)) + syy / (m * (m - 1)) - 2 * sxy / (n * m)
    sxx += pairs.self_total(slice(0, n))
    syy += pairs.self_total(slice(n, n + m))
    # A squared norm; rounding may leave it a little below zero when the samples are equal.
    return max(0.0, sxx / n**2 + syy / m**2 - 2 * sxy / (n * m))


def group_sums(pairs: Pairs, n: int) -> tuple[float, float, float]:
    """Sums of the kernel over pairs of different points: within the first ``n``, within the rest, across.

    The sums within a group count both orders of a pair.
    """
    tile = tile_size(pairs.device)
    cuts = blocks(n, len(pairs) - n, tile=tile)
    sums = torch.zeros(len(cuts), 3, dtype=torch.float64, device=pairs.device)
    scratch = local()  # buffers of each thread

    def visit(i: int) -> None:
        if not hasattr(scratch, "work"):
            scratch.work = pairs.buffers(min(tile, len(pairs)))
        left = pairs.left(cuts[i])
        for j in range(i, len(cuts)):
            total = pairs.total(left, cuts[j], scratch.work, diagonal=i == j)
            if cuts[i].start < n <= cuts[j].start:
                sums[i, 2] += total
            else:
                sums[i, 0 if cuts[i].start < n else 1] += total if i == j else 2 * total

    over_blocks(visit, len(cuts), pairs.device, pairs=len(pairs) ** 2 // 2)
    sxx, syy, sxy = sums.sum(0).tolist()
    return sxx, syy, sxy
