"""Whether scores rank runs as their true accuracy does."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def agreement(
    scores: "pd.DataFrame", accuracy: "pd.Series", *, draws: int = 1000, seed: int = 0
) -> "pd.DataFrame":
    """What each column of scores would pick, what that costs, and its rank correlation with the accuracy.

    Parameters
    ----------
    scores : DataFrame
        One row a run, one column a validator, higher is better; NaN where there is no score.
    accuracy : Series
        True accuracy of the runs.
    draws : int
        Bootstrap draws over runs.
    seed : int

    Returns
    -------
    DataFrame
        As :attr:`dakit.training.Validation.report`.
    """
    import pandas as pd

    truth = accuracy.to_numpy(dtype=np.float64)
    rows = {}
    for name in scores:
        score = scores[name].to_numpy(dtype=np.float64)
        known = ~np.isnan(score)
        row = {"pick": None, "accuracy": np.nan, "lost": np.nan, "gained": np.nan}
        if known.any():
            best = known & (score == score[known].max())
            picked = float(truth[best].mean())
            row = {
                "pick": scores.index[best.argmax()],
                "accuracy": picked,
                "lost": float(truth.max() - picked),
                "gained": float(picked - truth.mean()),
            }
        rows[name] = row | _correlations(score[known], truth[known], draws, seed)
    return pd.DataFrame.from_dict(rows, orient="index")


def _correlations(score: np.ndarray, truth: np.ndarray, draws: int, seed: int) -> dict[str, float]:
    """Spearman with its bootstrap interval and Kendall's tau-b."""
    from scipy.stats import kendalltau

    nothing = dict.fromkeys(("spearman", "low", "high", "kendall"), float("nan"))
    n = len(score)
    if n < 3 or np.ptp(score) == 0 or np.ptp(truth) == 0:
        return nothing
    rows = np.random.default_rng(seed).integers(n, size=(draws, n))  # the same runs for every validator
    drawn = _spearman(score[rows], truth[rows])
    # A draw of equal runs has no correlation and is left out; of few runs there are some.
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {
        "spearman": float(_spearman(score[None], truth[None])[0]),
        "low": float(low),
        "high": float(high),
        "kendall": float(kendalltau(score, truth).statistic),
    }


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of the ranks in each row of two matrices; NaN where a row is constant."""
    from scipy.stats import rankdata

    a, b = (rankdata(x, axis=1) for x in (a, b))
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.full(len(a), np.nan), where=scale > 0)
