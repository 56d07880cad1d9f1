"""What estimates and tests return."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes
    ----------
    value : float
    stderr : float
        Standard error of ``value``; NaN where the method gives an interval alone.
    interval : (float, float)
        Lower and upper end of the interval for the true value at ``level``.
    level : float in (0, 1)
    method : str
        How value and interval were found, in a word.
    """

    value: float
    stderr: float
    interval: tuple[float, float]
    level: float = 0.95
    method: str = ""

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True)
class TwoSampleTest:
    """What a test of "both samples come from one distribution" found.

    Attributes
    ----------
    statistic : float
        Large where the samples differ.
    pvalue : float in (0, 1]
        For permutation tests ``(1 + number of draws at least as large) / (1 + permutations)``.
    null : array of shape (permutations,), float64
        The statistic under random relabellings of the pooled sample; empty where the null distribution is known in
        closed form. Shorter than asked for where the test stopped early.
    method : str
        Which test, in a word.
    """

    statistic: float
    pvalue: float
    null: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    method: str = ""


def wilson(rate: float | np.ndarray, n: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of Wilson's interval for a proportion among ``n`` independent trials."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + level) / 2))
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return np.maximum(0.0, centre - half), np.minimum(1.0, centre + half)
