"""Is the difference between two samples more than chance? Permutation tests."""

from __future__ import annotations

from collections.abc import Sequence
from threading import local
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.fused import loops
from dakit.metrics.kernels import KernelName, pairs_of
from dakit.metrics.pairwise import Pairs, blocks, over_blocks, tile_size
from dakit.metrics.permutation import permute
from dakit.metrics.results import TwoSampleTest
from dakit.metrics.samples import as_pair


def mmd_test(
    xs: Any,
    xt: Any,
    *,
    permutations: int = 200,
    seed: int = 0,
    bandwidths: float | Sequence[float] | None = None,
    kernel: KernelName = "rbf",
    stop_after: int | None = None,
) -> TwoSampleTest:
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
    stop_after : int, optional
        Stop once this many draws have reached the statistic, as :func:`~dakit.metrics.permutation.permute` explains.

    Returns
    -------
    TwoSampleTest
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
    pairs = pairs_of(xs, xt, kernel, bandwidths)
    return permute(
        lambda labels: unbiased_under(pairs, len(xs), labels),
        len(xs),
        len(xt),
        permutations=permutations,
        seed=seed,
        stop_after=stop_after,
        method="permutation test of MMD²",
    )


def unbiased_under(pairs: Pairs, n: int, labels: Tensor) -> np.ndarray:
    """The U-statistic of the points labelled 1 against the rest, for every column of ``labels``.

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
    # z'Kz and z'K1 of each relabelling, and the sums of K over the rows; every block has a place of its own.
    zkz = torch.zeros(len(cuts), draws, dtype=torch.float64, device=pairs.device)
    zk1 = torch.zeros_like(zkz)
    all_pairs = torch.zeros(len(cuts), dtype=torch.float64, device=pairs.device)

    # A constant added to the kernel changes no U-statistic. Without the bulk of the kernel's mean the sums below are
    # small, and float32 keeps the draws exact to 5e-5 instead of 1.5e-3 null standard deviations.
    corner = cuts[0].stop
    constant = float(pairs.total(pairs.left(cuts[0]), cuts[0], pairs.buffers(side), True)) / (
        corner * (corner - 1)
    )
    compiled = loops(pairs.dtype, pairs.device, pairs=total**2 // 2)
    scratch = local()  # buffers of each thread

    def visit(i: int) -> None:
        if not hasattr(scratch, "work"):
            scratch.work = pairs.buffers(side)
            scratch.kz = torch.empty(side, draws, dtype=pairs.dtype, device=pairs.device)
        left = pairs.left(cuts[i])
        zi = labels[cuts[i]].to(pairs.dtype)
        of_rows = torch.zeros(len(zi), dtype=torch.float64, device=pairs.device)
        for j in range(i, len(cuts)):
            same = i == j
            values, of_row = pairs.less(constant, left, cuts[j], scratch.work, same)
            of_rows += of_row
            all_pairs[i] += of_row.sum(dtype=torch.float64) * (1 if same else 2)
            zj = zi if same else labels[cuts[j]].to(pairs.dtype)
            kz = torch.mm(values, zj, out=scratch.kz[: len(zi)])
            # Of the tile below the diagonal, z'K1 is 1'Kz of this one.
            whole = torch.zeros(draws, dtype=torch.float64, device=pairs.device)
            inside = torch.zeros_like(whole)
            if compiled is not None:
                compiled.label_sums(kz.numpy(), zi.numpy(), whole.numpy(), inside.numpy())
            else:
                whole += kz.sum(0)
                inside += kz.mul_(zi).sum(0)
            zkz[i] += inside * (1 if same else 2)
            if not same:
                zk1[i] += whole
        zk1[i] += of_rows @ zi.double()

    over_blocks(visit, len(cuts), pairs.device, pairs=total**2 // 2)

    sxx, zk1 = zkz.sum(0).cpu().numpy(), zk1.sum(0).cpu().numpy()
    sxy = zk1 - sxx
    syy = float(all_pairs.sum()) - sxx - 2 * sxy
    return sxx / (n * (n - 1)) + syy / (m * (m - 1)) - 2 * sxy / (n * m)
