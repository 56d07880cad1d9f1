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
