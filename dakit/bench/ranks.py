"""Ranks of methods over many tasks, with the tests that say how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of methods; 1 is best.

    Attributes
    ----------
    mean : Series
        Mean rank of each method over the tasks, the best first. Equal scores share their mean rank.
    low, high : Series
        95 % bootstrap interval of the mean rank, over tasks.
    n_tasks : int
    statistic, pvalue : float
        Friedman's test that all methods rank alike.
    critical_difference : float
        Two methods whose mean ranks differ by less cannot be told apart by Nemenyi's test at level ``alpha``, which
        allows for all pairs.
    alpha : float
    """

    mean: pd.Series
    low: pd.Series
    high: pd.Series
    n_tasks: int
    statistic: float
    pvalue: float
    critical_difference: float
    alpha: float

    def alike(self, method: str) -> list[str]:
        """The methods that Nemenyi's test cannot tell from ``method``, itself among them."""
        near = (self.mean - self.mean[method]).abs() < self.critical_difference
        return [m for m in self.mean.index if near[m] or m == method]


def rank_methods(scores: pd.DataFrame, *, alpha: float = 0.05, draws: int = 2000, seed: int = 0) -> Ranks:
    r"""Rank methods on every task, and average.

    Friedman's statistic is :math:`\chi^2_F = \frac{12 N}{k(k+1)} \sum_j (\bar r_j - \frac{k+1}{2})^2` (corrected for
    ties), and Nemenyi's critical difference :math:`q_\alpha \sqrt{k (k+1) / (6 N)}` with the Studentised range
    :math:`q` divided by :math:`\sqrt 2`, for k methods on N tasks.

    Parameters
    ----------
    scores : DataFrame of shape (tasks, methods)
        Higher is better; one value a task, for example the mean over seeds. No gaps.
    alpha : float in (0, 1)
    draws : int
        Bootstrap draws over tasks.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Ranks

    Raises
    ------
    ValueError
        With fewer than 3 methods, fewer than 2 tasks, or gaps.

    Notes
    -----
    Tasks that share a domain are not independent, as the test wants them to be: read its p-value as a lower bound.

    References
    ----------
    Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006).

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"a": [3, 3, 3, 3], "b": [2, 2, 2, 1], "c": [1, 1, 1, 2]})
    >>> ranks = rank_methods(scores)
    >>> ranks.mean.to_dict()
    {'a': 1.0, 'b': 2.25, 'c': 2.75}
    >>> round(ranks.critical_difference, 2), ranks.alike("a")
    (1.66, ['a', 'b'])
    """
    import pandas as pd
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    values = scores.to_numpy(dtype=np.float64)
    n, k = values.shape
    if k < 3 or n < 2:
        raise ValueError(f"ranks need at least 3 methods and 2 tasks, got {k} methods and {n} tasks")
    if not np.isfinite(values).all():
        bad = scores.columns[~np.isfinite(values).all(axis=0)].tolist()
        raise ValueError(
            f"ranks need a finite score of every method on every task; gaps are in {', '.join(bad)}"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie in (0, 1), got {alpha}")
    ranks = rankdata(-values, axis=1)
    same = bool((values == values[:, :1]).all())  # Friedman's statistic is then 0 / 0
    statistic, pvalue = (0.0, 1.0) if same else friedmanchisquare(*values.T)
    rows = np.random.default_rng(seed).integers(n, size=(draws, n))
    low, high = np.quantile(ranks[rows].mean(axis=1), [0.025, 0.975], axis=0)
    q = studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    mean = pd.Series(ranks.mean(axis=0), scores.columns).sort_values(kind="stable")
    return Ranks(
        mean,
        pd.Series(low, scores.columns)[mean.index],
        pd.Series(high, scores.columns)[mean.index],
        n,
        float(statistic),
        float(pvalue),
        float(q * np.sqrt(k * (k + 1) / (6 * n))),
        alpha,
    )
