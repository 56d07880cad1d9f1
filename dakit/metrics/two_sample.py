"""Is the difference between two samples more than chance? Permutation tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import local
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.kernels import CallablePairs, KernelName, RadialPairs, pairs_of
from dakit.metrics.pairwise import blocks, over_blocks, tile_size
from dakit.metrics.samples import as_pair

# Draws this close to the observed value, in null standard deviations, count as ties: rounding in float32 moves a
# draw by about half as much, and a tie must not be decided by rounding. Counting one more only makes p larger.
TIE = 1e-4


@dataclass(frozen=True)
class MMDTest:
    """What a permutation test found.

    Attributes
    ----------
    statistic : float
        The unbiased MMD² of the two samples.
    pvalue : float in [1/(1 + permutations), 1]
        ``(1 + number of draws at least as large) / (1 + permutations)``.
    null : array of shape (permutations,), float64
        The statistic under random relabellings of the pooled sample.
    """

    statistic: float
    pvalue: float
    null: np.ndarray = field(repr=False)


def mmd_test(
    xs: Any,
    xt: Any,
    *,
    permutations: int = 200,
    seed: int = 0,
    bandwidths: float | Sequence[float] | None = None,
    kernel: KernelName = "rbf",
) -> MMDTest:
    """Permutation test of "both samples come from one distribution" with the unbiased MMD².

    Under that hypothesis every assignment of the pooled points to the two samples is equally likely, and the p-value
    is exact in the sense that ``P(pvalue <= alpha) <= alpha`` for every sample size, kernel and number of
    permutations. It is never 0: the observed assignment is one of those that are counted.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Examples are flattened. They must be independent: repeated measurements of one subject are not.
    permutations : int
        Number of relabellings; the p-value cannot be smaller than ``1/(1 + permutations)``.
    seed : int
        Which relabellings.
    bandwidths, kernel
        As for :func:`~dakit.metrics.mmd`. A kernel chosen to suit the split into these two samples voids the test;
        the median heuristic is all right, for it looks at the pooled sample.

    Returns
    -------
    MMDTest
        With ``statistic`` (equal to ``mmd(xs, xt)`` up to rounding), ``pvalue`` and ``null``.

    Raises
    ------
    TypeError, ValueError
        As for :func:`~dakit.metrics.mmd`, and if ``permutations`` is less than 1.

    Notes
    -----
    With K the kernel matrix without its diagonal and z the 0/1 labels of a relabelling, ``z'Kz`` and ``z'K1`` give
    the sums within and across the samples. The labels of all relabellings are the columns of one matrix Z, so that
    K is made once, tile by tile, multiplied into Z and dropped.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012). A kernel two-sample test. JMLR 13.
    Phipson, Smyth (2010). Permutation p-values should never be zero. Stat. Appl. Genet. Mol. Biol. 9.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> mmd_test(x[:50], x[50:] + 2).pvalue
    0.004975124378109453
    """
    xs, xt = as_pair(xs, xt)
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    pairs = pairs_of(xs, xt, kernel, bandwidths)
    labels = relabellings(len(xs), len(xt), permutations, seed)
    statistic, null = unbiased_under(pairs, len(xs), labels)
    reached = int(np.count_nonzero(null >= statistic - TIE * null.std()))
    return MMDTest(statistic, (1 + reached) / (1 + permutations), null)


def relabellings(n: int, m: int, permutations: int, seed: int) -> Tensor:
    """Random assignments of n + m pooled points: (n + m, permutations), uint8, 1 for the n source points."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((permutations, n + m), dtype=np.uint8)
    for row in labels:
        row[rng.choice(n + m, n, replace=False, shuffle=False)] = 1
    return torch.from_numpy(np.ascontiguousarray(labels.T))


def unbiased_under(pairs: RadialPairs | CallablePairs, n: int, labels: Tensor) -> tuple[float, np.ndarray]:
    """The U-statistic of the first ``n`` points against the rest, and under every column of ``labels``.

    Parameters
    ----------
    pairs
        The pooled points under a kernel.
    n : int
    labels : Tensor of shape (n + m, B), uint8
        1 for the points that a relabelling gives to the first sample, n in each column.
    """
    total, m, draws = len(pairs), len(pairs) - n, labels.shape[1]
    tile = tile_size(pairs.device)
    cuts = blocks(n, m, tile=tile)
    side = min(tile, total)
    labels = labels.to(pairs.device)
    # z'Kz and z'K1 of each relabelling, and the observed sums within the first sample, across and within the second;
    # every block of rows has a place of its own.
    zkz = torch.zeros(len(cuts), draws, dtype=torch.float64, device=pairs.device)
    zk1 = torch.zeros_like(zkz)
    observed = torch.zeros(len(cuts), 3, dtype=torch.float64, device=pairs.device)

    # A constant added to the kernel changes no U-statistic. Without the bulk of the kernel's mean the sums below are
    # small, and float32 keeps the draws exact to 5e-5 instead of 1.5e-3 null standard deviations.
    corner = cuts[0].stop
    constant = float(pairs.total(pairs.left(cuts[0]), cuts[0], pairs.buffers(side), True)) / (
        corner * (corner - 1)
    )
    scratch = local()  # buffers of each thread

    def visit(i: int) -> None:
        if not hasattr(scratch, "work"):
            scratch.work = pairs.buffers(side)
            scratch.kz = torch.empty(side, draws, dtype=pairs.dtype, device=pairs.device)
        left = pairs.left(cuts[i])
        zi = labels[cuts[i]].to(pairs.dtype)
        for j in range(i, len(cuts)):
            same = i == j
            values = pairs.values(left, cuts[j], scratch.work, same).sub_(constant)
            if same:
                values.fill_diagonal_(0)
            of_row = values.sum(1, keepdim=True)
            group = (cuts[i].start >= n) + (cuts[j].start >= n)
            observed[i, group] += of_row.sum(dtype=torch.float64) * (1 if same or group == 1 else 2)
            zj = zi if same else labels[cuts[j]].to(pairs.dtype)
            kz = torch.mm(values, zj, out=scratch.kz[: len(zi)])
            if not same:  # the tile below the diagonal: its z'K1 is 1'K z of this one
                zk1[i] += kz.sum(0)
            zkz[i] += kz.mul_(zi).sum(0) * (1 if same else 2)
            zk1[i] += torch.mul(zi, of_row, out=kz).sum(0)

    over_blocks(visit, len(cuts), pairs.device, pairs=total**2 // 2)

    def statistic(sxx, sxy, syy):
        return sxx / (n * (n - 1)) + syy / (m * (m - 1)) - 2 * sxy / (n * m)

    oxx, oxy, oyy = observed.sum(0).tolist()
    sxx, zk1 = zkz.sum(0).cpu().numpy(), zk1.sum(0).cpu().numpy()
    sxy = zk1 - sxx
    return statistic(oxx, oxy, oyy), statistic(sxx, sxy, oxx + 2 * oxy + oyy - sxx - 2 * sxy)
