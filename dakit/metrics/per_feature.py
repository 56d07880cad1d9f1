"""One test for each feature, and what remains of them after correction for their number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dakit.metrics.samples import as_pair

if TYPE_CHECKING:
    from pandas import DataFrame

FEW = 10  # a column of whole numbers with at most so many different values is a category
TABLES = 9999  # random tables of a χ² test whose expected counts are too small for the formula
EXACT = 1_000_000  # largest n m for the exact distribution of the Kolmogorov-Smirnov statistic


@dataclass(frozen=True)
class FeatureTests:
    """A two-sample test of every feature.

    Attributes
    ----------
    names : tuple of str
    kinds : tuple of str
        "numeric", "categorical" or "constant".
    tests : tuple of str
        "KS", "χ²", "χ² (random tables)", "Fisher" or "".
    statistics : array of shape (d,)
        Of the test; for Fisher's the odds ratio, infinite where a cell is empty.
    effects : array of shape (d,), in [0, 1]
        The Kolmogorov-Smirnov distance of a numeric feature, Cramér's V of a categorical one.
    pvalues : array of shape (d,), in (0, 1]
        Of each feature alone.
    adjusted : array of shape (d,), in (0, 1]
        The same, corrected for the number of features.
    correction : str or None
    pvalue : float in (0, 1]
        Of "no feature differs": the smallest adjusted p-value, and Bonferroni's where there is no correction.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...] = field(repr=False)
    tests: tuple[str, ...] = field(repr=False)
    statistics: np.ndarray = field(repr=False)
    effects: np.ndarray
    pvalues: np.ndarray = field(repr=False)
    adjusted: np.ndarray
    correction: str | None
    pvalue: float

    def rejected(self, alpha: float = 0.05) -> tuple[str, ...]:
        """Names of the features whose adjusted p-value is at most ``alpha``."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie strictly between 0 and 1, got {alpha}")
        return tuple(name for name, p in zip(self.names, self.adjusted) if p <= alpha)

    def table(self) -> DataFrame:
        """One row a feature, in their order."""
        from pandas import DataFrame

        columns = ("names", "kinds", "tests", "statistics", "effects", "pvalues", "adjusted")
        return DataFrame({column.removesuffix("s"): getattr(self, column) for column in columns})


def feature_tests(
    xs: Any,
    xt: Any,
    *,
    correction: str | None = "holm",
    names: Sequence[str] | None = None,
    categorical: Sequence[int | str] | None = None,
    seed: int = 0,
) -> FeatureTests:
    """Test every feature by itself: Kolmogorov-Smirnov for numbers, χ² for categories.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...), or pandas.DataFrame
        Source and target; examples are flattened to d features. Columns of text are categories.
    correction : {"holm", "bonferroni", "bh", "by"} or None
        For the number of features. "holm" and "bonferroni" bound the probability of any false rejection (Holm's
        rejects no less); "bh" (Benjamini-Hochberg) and "by" (Benjamini-Yekutieli) the expected share of false ones
        among the rejections, "by" for any dependence.
    names : sequence of str, optional
        Of the features; by default those of the tables, or their numbers.
    categorical : sequence of int or str, optional
        Columns to treat as categories, by number or name. By default those of whole numbers with at most 10 different
        values.
    seed : int
        Of the random tables.

    Returns
    -------
    FeatureTests

    Raises
    ------
    TypeError
        If a sample is not numeric (text is taken in tables alone).
    ValueError
        As for every metric; if columns, names or ``correction`` do not fit.

    Notes
    -----
    Ties make the Kolmogorov-Smirnov test conservative. A table of two categories gets Fisher's exact test. Where an
    expected count of a larger table is below 5, its p-value comes from 9999 random tables with the same margins, and
    cannot be smaller than 1/10000. A feature with one value in both samples has p = 1.

    References
    ----------
    Rabanser, Günnemann, Lipton (2019). Failing loudly: an empirical study of methods for detecting dataset shift.
    NeurIPS.
    Holm (1979). A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6.
    Benjamini, Yekutieli (2001). The control of the false discovery rate in multiple testing under dependency. Ann.
    Stat. 29.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> x[50:, 2] += 2
    >>> feature_tests(x[:50], x[50:], names=["a", "b", "c"]).rejected(0.01)
    ('c',)
    """
    if correction not in ("holm", "bonferroni", "bh", "by", None):
        raise ValueError(f"correction must be 'holm', 'bonferroni', 'bh', 'by' or None, got {correction!r}")
    a, b, found_names, text = _columns(xs, xt)
    d = a.shape[1]
    names = tuple(map(str, found_names if names is None else names))
    if len(names) != d:
        raise ValueError(f"names must hold one name per feature, {d}, got {len(names)}")
    chosen = None if categorical is None else {_position(c, names) for c in categorical}
    rng = np.random.default_rng(seed)
    rows = []
    for j in range(d):
        pooled = np.concatenate([a[:, j], b[:, j]])
        values, codes = np.unique(pooled, return_inverse=True)
        if len(values) == 1:
            rows.append(("constant", "", 0.0, 0.0, 1.0))
        elif text[j] or (_few(values) if chosen is None else j in chosen):
            table = np.stack(
                [np.bincount(part, minlength=len(values)) for part in (codes[: len(a)], codes[len(a) :])]
            )
            rows.append(("categorical", *_of_counts(table, rng)))
        else:
            rows.append(("numeric", "KS", *_of_numbers(a[:, j], b[:, j])))
    kinds, tests, *numbers = zip(*rows)
    statistics, effects, pvalues = (np.array(x) for x in numbers)
    pvalues = np.clip(pvalues, math.ulp(0.0), 1.0)  # never 0, even where the formula underflows
    adjusted = adjust(pvalues, correction)
    globally = adjust(pvalues, "bonferroni") if correction is None else adjusted
    return FeatureTests(
        names, kinds, tests, statistics, effects, pvalues, adjusted, correction, float(globally.min())
    )


def adjust(pvalues: np.ndarray, correction: str | None) -> np.ndarray:
    """Adjusted p-values: a feature is rejected at level alpha where its value is at most alpha."""
    if correction is None:
        return pvalues
    count = len(pvalues)
    if correction == "bonferroni":
        return np.minimum(1.0, pvalues * count)
    if correction == "holm":
        order = np.argsort(pvalues, kind="stable")
        adjusted = np.empty(count)
        adjusted[order] = np.maximum.accumulate(pvalues[order] * np.arange(count, 0, -1))
        return np.minimum(1.0, adjusted)
    from scipy.stats import false_discovery_control

    return false_discovery_control(pvalues, method=correction)


def _of_numbers(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    from scipy.stats import ks_2samp

    with warnings.catch_warnings():
        # Where rounding spoils the exact distribution, mostly at p near 1, scipy says so and takes the asymptotic one.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = ks_2samp(a, b, method="exact" if len(a) * len(b) <= EXACT else "asymp")
    return float(found.statistic), float(found.statistic), float(found.pvalue)


def _of_counts(table: np.ndarray, rng: np.random.Generator) -> tuple[str, float, float, float]:
    """Name, statistic, Cramér's V and p-value of a table of 2 rows without empty columns."""
    from scipy.stats import chi2, fisher_exact

    rows, columns = table.sum(1), table.sum(0)
    expected = np.outer(rows, columns) / table.sum()
    squared = float(((table - expected) ** 2 / expected).sum())
    effect = min(1.0, math.sqrt(squared / table.sum()))
    if table.shape[1] == 2:
        found = fisher_exact(table)
        return "Fisher", float(found.statistic), effect, float(found.pvalue)
    if expected.min() >= 5:
        return "χ²", squared, effect, float(chi2.sf(squared, table.shape[1] - 1))
    drawn = rng.multivariate_hypergeometric(columns, rows[0], size=TABLES)
    # Both rows deviate by the same amount, the second with the opposite sign.
    null = (drawn - expected[0]) ** 2 @ (1 / expected).sum(0)
    reached = np.count_nonzero(null >= squared * (1 - 1e-12))
    return "χ² (random tables)", squared, effect, (1 + reached) / (1 + TABLES)


def _few(values: np.ndarray) -> bool:
    return len(values) <= FEW and bool((values == np.round(values)).all())


def _position(column: int | str, names: tuple[str, ...]) -> int:
    if isinstance(column, str) and column in names:
        return names.index(column)
    if not isinstance(column, str) and -len(names) <= column < len(names):
        return int(column) % len(names)
    raise ValueError(f"categorical names column {column!r}, but the features are {', '.join(names[:5])}, ...")


def _columns(xs: Any, xt: Any) -> tuple[np.ndarray, np.ndarray, Sequence[str], list[bool]]:
    """Both samples as float64 matrices, the names of the features, and which of them are text turned into codes."""
    if not (hasattr(xs, "columns") and hasattr(xt, "columns")):
        xs, xt = (x.double().cpu().numpy() for x in as_pair(xs, xt))
        return xs, xt, [str(j) for j in range(xs.shape[1])], [False] * xs.shape[1]
    if list(xs.columns) != list(xt.columns):
        raise ValueError(
            f"both tables must have the same columns, got {list(xs.columns)} and {list(xt.columns)}"
        )
    n, columns, text = len(xs), [], []
    for name in xs.columns:
        values = [np.asarray(x[name]) for x in (xs, xt)]
        text.append(any(v.dtype.kind not in "fiub" for v in values))
        if text[-1]:
            for v in values:
                if any(entry is None or entry != entry for entry in v.tolist()):
                    raise ValueError(f"column {name!r} holds missing values; drop or fill them first")
            columns.append(np.unique(np.concatenate([v.astype(str) for v in values]), return_inverse=True)[1])
        else:
            columns.append(np.concatenate(values).astype(np.float64))
    pooled = np.stack(columns, axis=1).astype(np.float64)
    a, b = (x.numpy() for x in as_pair(pooled[:n], pooled[n:]))
    return a, b, [str(name) for name in xs.columns], text
