"""Thresholds of control charts: what a chart reaches by chance, from windows without drift."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dakit.metrics.control_charts import Chart, as_series


def alarm_threshold(
    values: Any,
    chart: Chart,
    *,
    horizon: int,
    false_alarm: float = 0.05,
    independent: float | None = None,
    block: int = 1,
    simulations: int = 2000,
    seed: int = 0,
) -> float:
    """Threshold that a chart exceeds within ``horizon`` windows with a given probability when nothing changes.

    Runs are simulated from ``values``. Each is standardised with an error of its own, such as the mean and the standard
    deviation of ``independent`` windows have.

    Parameters
    ----------
    values : array of shape (k,)
        The metric on windows without drift.
    chart : Chart
    horizon : int
        Windows a run.
    false_alarm : float in (0, 1)
    independent : float, optional
        How many independent windows ``values`` are worth; all of them by default.
    block : int
        Values that are drawn together, where neighbouring ones depend on each other (overlapping windows).
    simulations : int
        Number of runs.
    seed : int

    Returns
    -------
    float
        In the units of the chart on ``(value - mean(values)) / std(values)``.

    Raises
    ------
    ValueError
        If there are fewer than 2 values or they are all equal, a number is out of its range, or ``simulations`` are too
        few for ``false_alarm``.

    Examples
    --------
    >>> import numpy as np
    >>> from dakit.metrics import Cusum
    >>> null = np.random.default_rng(0).normal(size=1000)
    >>> low, high = (alarm_threshold(null, Cusum(), horizon=h) for h in (10, 100))
    >>> low < high
    True
    """
    values = as_series(values, "values", at_least=2)
    rng = np.random.default_rng(seed)
    independent = len(values) if independent is None else independent
    maxima, *_ = null_runs(
        values,
        chart,
        horizon=horizon,
        independent=independent,
        spread=math.sqrt(1 / (2 * max(2, independent))),
        block=block,
        simulations=simulations,
        rng=rng,
    )
    return upper_quantile(maxima, false_alarm)


def null_windows(n: int, window: int, step: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers of windows without drift, (count, window): no window holds a row twice."""
    if step == window:
        return np.array([rng.choice(n, window, replace=False, shuffle=False) for _ in range(count)])
    # A stream of random rows, none of which returns within a window's length.
    stream = list(rng.choice(n, window, replace=False))
    recent = set(stream)
    while len(stream) < window + step * (count - 1):
        row = int(rng.integers(n))
        recent.discard(stream[-window])
        while row in recent:
            row = int(rng.integers(n))
        recent.add(row)
        stream.append(row)
    return np.lib.stride_tricks.sliding_window_view(np.array(stream), window)[::step].copy()


def null_runs(
    null: np.ndarray,
    chart: Chart,
    *,
    horizon: int,
    independent: float,
    spread: float,
    block: int,
    simulations: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Largest statistic and first standardised value of each run without drift; mean and spread of the values.

    Each run is standardised with an error of its own: that of the mean of ``independent`` windows, and the relative
    error ``spread`` of the standard deviation.
    """
    for name, number in (("horizon", horizon), ("block", block), ("simulations", simulations)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if not independent >= 2:
        raise ValueError(f"independent must be at least 2 windows, got {independent}")
    centre, scale = float(null.mean()), float(null.std(ddof=1))
    if not scale > 1e-9 * abs(centre):
        raise ValueError(
            f"the metric is {centre:g} on all windows without drift; without spread it sets no threshold"
        )
    z = (null - centre) / scale
    error = rng.choice(z, (simulations, max(2, int(independent)))).mean(1)
    factor = np.exp(spread * rng.normal(size=simulations))
    state, maxima = chart.start(simulations), np.full(simulations, -np.inf)
    first = None
    for t in range(horizon):
        if t % block == 0:
            at = rng.integers(len(z), size=simulations)
        drawn = (z[(at + t % block) % len(z)] - error) * factor
        first = drawn if first is None else first
        state, statistic = chart.step(state, drawn)
        maxima = np.maximum(maxima, statistic)
    return maxima, first, centre, scale


def upper_quantile(maxima: np.ndarray, false_alarm: float) -> float:
    """The value that a further run exceeds with probability at most ``false_alarm``."""
    if not 0 < false_alarm < 1:
        raise ValueError(f"false_alarm must lie strictly between 0 and 1, got {false_alarm}")
    rank = math.ceil((1 - false_alarm) * (len(maxima) + 1))
    if rank > len(maxima):
        raise ValueError(
            f"{len(maxima)} simulations cannot tell a false-alarm probability of {false_alarm}; "
            f"use at least {math.ceil(1 / false_alarm)}"
        )
    return float(np.sort(maxima)[rank - 1])
