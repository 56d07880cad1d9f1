"""Control charts: running sums that turn a series of values into one number that rises while something has changed.

A chart takes standardised values, one after the other, and keeps a few numbers as its state. The states of many runs
are the columns of one array, so that thousands of null runs are simulated together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Chart(Protocol):
    """What :class:`~dakit.metrics.DriftMonitor` asks of a chart."""

    def start(self, runs: int = 1) -> np.ndarray:
        """State of ``runs`` charts that have seen nothing; the last axis is the run."""

    def step(self, state: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """State and statistic, shape (runs,), after the next standardised value of each run."""


@dataclass(frozen=True)
class Cusum:
    """Cumulative sum of what exceeds an allowance, ``S_t = max(0, S_{t-1} + z_t - allowance)``, ``S_0 = 0``.

    Quickest where the mean of ``z`` jumps by about twice the allowance and stays there.

    Parameters
    ----------
    allowance : float, at least 0
        In standard deviations of ``z``: half of the smallest rise that matters.

    References
    ----------
    Page (1954). Continuous inspection schemes. Biometrika 41.

    Examples
    --------
    >>> chart_statistic([0.0, 1.0, 2.0, -3.0, 1.0], Cusum()).tolist()
    [0.0, 0.5, 2.0, 0.0, 0.5]
    """

    allowance: float = 0.5

    def __post_init__(self) -> None:
        _check_at_least_zero("allowance", self.allowance)

    def start(self, runs: int = 1) -> np.ndarray:
        return np.zeros((1, runs))

    def step(self, state: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = np.maximum(0.0, state[0] + z - self.allowance)
        return total[None], total


@dataclass(frozen=True)
class PageHinkley:
    """Page-Hinkley: rise of the sum of deviations from the running mean above its least value so far.

    ``m_t = sum_{i<=t} (z_i - mean(z_1..z_i) - tolerance)`` and ``PH_t = m_t - min(0, m_1, .., m_t)``. The mean is
    that of the stream itself, so that a level that was off from the start is no alarm; for the same reason a slow
    drift takes the mean along. Whether it is seen later than by :class:`Cusum` depends on ``tolerance``.

    Parameters
    ----------
    tolerance : float, at least 0
        In standard deviations of ``z``: rises smaller than this do not add up.

    References
    ----------
    Page (1954). Continuous inspection schemes. Biometrika 41.
    Hinkley (1971). Inference about the change-point from cumulative sum tests. Biometrika 58.

    Examples
    --------
    >>> chart_statistic([0.0, 2.0, 4.0], PageHinkley(tolerance=0.5)).tolist()
    [0.0, 0.5, 2.0]
    """

    tolerance: float = 0.1

    def __post_init__(self) -> None:
        _check_at_least_zero("tolerance", self.tolerance)

    def start(self, runs: int = 1) -> np.ndarray:
        return np.zeros((4, runs))  # values seen, their mean, m, least m

    def step(self, state: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count, mean, total, least = state
        count = count + 1
        mean = mean + (z - mean) / count
        total = total + z - mean - self.tolerance
        least = np.minimum(least, total)
        return np.stack([count, mean, total, least]), total - least


def chart_statistic(z: Any, chart: Chart) -> np.ndarray:
    """Statistic of ``chart`` after each value of a series.

    Parameters
    ----------
    z : array of shape (t,)
        Standardised values, in time order.
    chart : Chart

    Returns
    -------
    array of shape (t,), float64

    Raises
    ------
    ValueError
        If ``z`` is not a series of finite numbers.

    Examples
    --------
    >>> chart_statistic([1.0, 1.0], Cusum(allowance=0.25)).tolist()
    [0.75, 1.5]
    """
    z = as_series(z, "z")
    state, found = chart.start(), np.empty(len(z))
    for t, value in enumerate(z):
        state, statistic = chart.step(state, np.array([value]))
        found[t] = statistic[0]
    return found


def as_series(values: Any, name: str, *, at_least: int = 0) -> np.ndarray:
    """``values`` as finite float64 numbers of shape (t,)."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be numbers, got dtype {values.dtype}")
    values = values.astype(np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must have shape (t,), one number per window, got {values.shape}")
    if len(values) < at_least:
        raise ValueError(f"{name} needs at least {at_least} values, got {len(values)}")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{bad} of the {len(values)} values of {name} are NaN or infinite")
    return values


def _check_at_least_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value}")
