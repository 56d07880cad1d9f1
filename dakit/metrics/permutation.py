"""Permutation tests of any distance: relabellings, valid p-values, and stopping early.

If both samples come from one distribution, every assignment of the pooled points to the two samples is equally likely.
A distance enters as a function of many assignments at once, so that what does not depend on them (a kernel matrix,
projections, a neighbour graph, histograms) is made once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.results import TwoSampleTest

# Draws this close to the observed value, in null standard deviations, count as ties: rounding in float32 moves a
# draw by about half as much, and a tie must not be decided by rounding. Counting one more only makes p larger.
TIE = 1e-4
BATCH = 50  # relabellings between two looks, where a test may stop early
LABELS_AT_ONCE = (
    50_000_000  # assignments x points, a byte each: bounds the memory; the kernel is made anew for each
)


def relabellings(n: int, m: int, permutations: int, rng: np.random.Generator) -> Tensor:
    """Random assignments of n + m pooled points: (n + m, permutations), uint8, 1 for the n source points."""
    labels = np.zeros((permutations, n + m), dtype=np.uint8)
    for row in labels:
        row[rng.choice(n + m, n, replace=False, shuffle=False)] = 1
    return torch.from_numpy(np.ascontiguousarray(labels.T))


def permute(
    evaluate: Callable[[Tensor], np.ndarray],
    n: int,
    m: int,
    *,
    permutations: int,
    seed: int,
    stop_after: int | None = None,
    method: str = "",
) -> TwoSampleTest:
    """The permutation test of a statistic that is large where the samples differ.

    Parameters
    ----------
    evaluate : callable
        Maps assignments, (n + m, B) uint8 with 1 for the points of the first sample, to B values of the statistic. Its
        first call sees the observed assignment as first column.
    n, m : int
        Sizes of the samples.
    permutations : int
        Number of relabellings, and the largest number where the test may stop early.
    seed : int
    stop_after : int, optional
        Stop at the draw that is the ``stop_after``-th to reach the observed value, and report ``stop_after / draws``
        (Besag and Clifford 1991). That is a valid p-value too, and where nothing differs it takes a few dozen draws.
    method : str

    Raises
    ------
    ValueError
        If ``permutations`` or ``stop_after`` is less than 1.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    if stop_after is not None and stop_after < 1:
        raise ValueError(f"stop_after must be at least 1, or None to make all draws, got {stop_after}")
    rng = np.random.default_rng(seed)
    own = torch.zeros(n + m, 1, dtype=torch.uint8)
    own[:n] = 1
    batch = BATCH if stop_after is not None else max(BATCH, LABELS_AT_ONCE // (n + m))
    values = evaluate(torch.cat([own, relabellings(n, m, min(batch, permutations), rng)], dim=1))
    statistic, null = float(values[0]), np.asarray(values[1:], dtype=np.float64)
    while True:
        # Before the ties' width is known (a single draw), only equal values are ties.
        reached = np.flatnonzero(null >= statistic - TIE * _spread(null))
        if stop_after is not None and len(reached) >= stop_after:
            null = null[: reached[stop_after - 1] + 1]
            return TwoSampleTest(statistic, stop_after / len(null), null, method)
        left = permutations - len(null)
        if left == 0:
            return TwoSampleTest(statistic, (1 + len(reached)) / (1 + permutations), null, method)
        more = evaluate(relabellings(n, m, min(batch, left), rng))
        null = np.concatenate([null, np.asarray(more, dtype=np.float64)])


def _spread(null: np.ndarray) -> float:
    """Standard deviation, also of values whose squares overflow."""
    largest = float(np.abs(null).max())
    return largest * float((null / largest).std()) if largest > 0 else 0.0
