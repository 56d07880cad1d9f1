"""Where samples differ: the points at which the witness function peaks, and the features that moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dakit.metrics.kernels import KernelName, pairs_of, radial_bandwidths
from dakit.metrics.pairwise import blocks, over_blocks, tile_size
from dakit.metrics.permutation import BATCH, relabellings
from dakit.metrics.samples import as_pair, as_sample

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Witness:
    """The witness function of an MMD at some points: positive where source is denser, negative where target is.

    Attributes
    ----------
    values : array of shape (k,), float64
        At the rows of ``at``, or at those of xs followed by those of xt.
    n : int or None
        Number of rows of xs among them; None where ``at`` was given.
    """

    values: np.ndarray = field(repr=False)
    n: int | None = None

    def source_peaks(self, count: int = 10) -> np.ndarray:
        """Indices of the rows of xs (of ``at``, if given) with the largest values, largest first."""
        return np.argsort(-self.values[: self.n], kind="stable")[:count]

    def target_peaks(self, count: int = 10) -> np.ndarray:
        """Indices of the rows of xt (of ``at``, if given) with the smallest values, smallest first."""
        return np.argsort(self.values[self.n or 0 :], kind="stable")[:count]


def witness(
    xs: Any,
    xt: Any,
    *,
    at: Any = None,
    bandwidths: float | Sequence[float] | None = None,
    kernel: KernelName = "rbf",
) -> Witness:
    """The witness function of the MMD, ``f(v) = mean_i k(v, xs_i) - mean_j k(v, xt_j)``.

    The function of the kernel's space, up to a factor, whose means over the two samples differ most: its values say
    which examples make the difference.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    at : array or tensor of shape (k, ...), optional
        Where to evaluate. By default at all examples of both samples, each without its own kernel, which would make
        every example look like its own sample.
    bandwidths, kernel
        As for :func:`mmd`.

    Returns
    -------
    Witness

    Raises
    ------
    TypeError, ValueError
        As for :func:`mmd`, and if ``at`` has other features.

    Notes
    -----
    The mean over xs minus the mean over xt of the default values is the unbiased MMD². O((n + m)² d) time and
    O((n + m) d) memory.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012). A kernel two-sample test. JMLR 13, section 2.3.
    Lloyd, Ghahramani (2015). Statistical model criticism using kernel two sample tests. NIPS.

    Examples
    --------
    >>> found = witness([[0.0], [0.1], [5.0]], [[0.0], [0.2], [0.1]], bandwidths=1.0)
    >>> found.source_peaks(1).tolist()  # the source example that no target example is near
    [2]
    """
    xs, xt = as_pair(xs, xt)
    n, m = len(xs), len(xt)
    if at is None:
        pairs, left_rows = pairs_of(xs, xt, kernel, bandwidths), 0
        cuts, groups = blocks(n, m, tile=tile_size(xs.device)), (0, n, n + m)
        targets = cuts
    else:
        at = as_sample(at, "at", at_least=1).to(xs)
        if at.shape[1] != xs.shape[1]:
            raise ValueError(f"at must have the {xs.shape[1]} features of the samples, got {at.shape[1]}")
        if kernel in ("rbf", "laplace", "imq"):
            bandwidths = radial_bandwidths(xs, xt, kernel, bandwidths)
        pairs, left_rows = pairs_of(at, torch.cat([xs, xt]), kernel, bandwidths), len(at)
        cuts = blocks(left_rows, tile=tile_size(xs.device))
        targets = blocks(left_rows, n, m, tile=tile_size(xs.device))[len(cuts) :]
        groups = (left_rows, left_rows + n, left_rows + n + m)
    sums = np.zeros((cuts[-1].stop, 2))

    def visit(i: int) -> None:
        work = pairs.buffers(min(tile_size(xs.device), len(pairs)))
        left = pairs.left(cuts[i])
        for right in targets:
            values = pairs.values(left, right, work, at is None and right == cuts[i])
            sums[cuts[i], int(right.start >= groups[1])] += values.sum(1, dtype=torch.float64).cpu().numpy()

    over_blocks(visit, len(cuts), xs.device, pairs=len(sums) * (n + m))
    counts = np.tile([float(n), float(m)], (len(sums), 1))
    if at is None:
        counts[:n, 0] -= 1
        counts[n:, 1] -= 1
    means = sums / counts
    return Witness(means[:, 0] - means[:, 1], n if at is None else None)


@dataclass(frozen=True)
class FeatureRanking:
    """Which features moved most.

    Attributes
    ----------
    order : array of shape (d,)
        Indices of the features, the one that moved most first.
    statistics : array of shape (d,)
        In the order of the features, as the p-values.
    pvalues : array of shape (d,)
        For each feature, adjusted for all of them: with probability at least ``1 - alpha`` no feature that did not
        move has ``pvalue <= alpha``.
    raw_pvalues : array of shape (d,)
        Of each feature alone.
    names : tuple of str
    """

    order: np.ndarray
    statistics: np.ndarray
    pvalues: np.ndarray
    raw_pvalues: np.ndarray = field(repr=False)
    names: tuple[str, ...] = field(repr=False)

    def table(self) -> DataFrame:
        """One row a feature, the one that moved most first."""
        from pandas import DataFrame

        columns = {
            "feature": self.names,
            "statistic": self.statistics,
            "pvalue": self.pvalues,
            "raw_pvalue": self.raw_pvalues,
        }
        return DataFrame(columns).iloc[self.order].reset_index(drop=True)


def rank_features(
    xs: Any,
    xt: Any,
    *,
    statistic: str = "ks",
    permutations: int = 200,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> FeatureRanking:
    """Rank single features by how far their distributions are apart, with family-wise p-values.

    The adjusted p-value of a feature compares its statistic with the largest over all features in each relabelling of
    whole examples. Correlated features therefore cost little, unlike with Bonferroni's correction.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features.
    statistic : {"ks", "energy"}
        Largest difference of the distribution functions, in [0, 1]; or the energy distance ``2 ∫ (F - G)²`` of the
        feature divided by its pooled standard deviation.
    permutations : int
        Number of relabellings, shared by all features.
    seed : int
    names : sequence of str, optional
        Of the features; by default their numbers.

    Returns
    -------
    FeatureRanking

    Raises
    ------
    TypeError, ValueError
        As for every metric; if ``statistic`` is unknown, ``permutations`` less than 1, or ``names`` of another length.

    Notes
    -----
    Only a feature's own distribution counts: a change of the dependence between features is invisible here. Each
    feature is sorted once for all relabellings.

    References
    ----------
    Westfall, Young (1993). Resampling-based multiple testing. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(80, 3))
    >>> x[40:, 1] += 2
    >>> rank_features(x[:40], x[40:], names=["a", "b", "c"]).table()["feature"][0]
    'b'
    """
    xs, xt = as_pair(xs, xt)
    if statistic not in ("ks", "energy"):
        raise ValueError(f"statistic must be 'ks' or 'energy', got {statistic!r}")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    n, m, d = len(xs), len(xt), xs.shape[1]
    names = tuple(str(j) for j in range(d)) if names is None else tuple(map(str, names))
    if len(names) != d:
        raise ValueError(f"names must hold one name per feature, {d}, got {len(names)}")
    pooled = np.ascontiguousarray(torch.cat([xs, xt]).double().cpu().numpy().T)
    order = pooled.argsort(axis=1)
    ordered = np.take_along_axis(pooled, order, axis=1)
    if statistic == "ks":
        weight = (ordered[:, 1:] > ordered[:, :-1]).astype(np.float64)  # 0 inside a tie
    else:
        spread = pooled.std(axis=1, keepdims=True)
        weight = 2 * np.diff(ordered, axis=1) / np.where(spread > 0, spread, 1)

    def evaluate(labels: np.ndarray) -> np.ndarray:
        signed = np.where(labels == 1, 1 / n, -1 / m)
        found = np.empty((labels.shape[1], d))
        for row, z in zip(found, signed.T):
            gap = z[order].cumsum(axis=1)[:, :-1]  # F - G to the right of each value
            np.square(gap, out=gap) if statistic == "energy" else np.abs(gap, out=gap)
            gap *= weight
            row[:] = gap.sum(1) if statistic == "energy" else gap.max(1)
        return found

    own = np.zeros((n + m, 1))
    own[:n] = 1
    observed = evaluate(own)[0]
    rng = np.random.default_rng(seed)
    reached, exceeded = np.ones(d), np.ones(d)  # the observed assignment is one of them
    tie = 1e-12 * (1 + observed)
    for start in range(0, permutations, BATCH):
        null = evaluate(relabellings(n, m, min(BATCH, permutations - start), rng).numpy())
        reached += (null >= observed - tie).sum(0)
        exceeded += (null.max(1, keepdims=True) >= observed - tie).sum(0)
    return FeatureRanking(
        np.argsort(-observed, kind="stable"),
        observed,
        exceeded / (1 + permutations),
        reached / (1 + permutations),
        names,
    )
