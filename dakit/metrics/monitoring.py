"""Drift over time: a distance for each window of a stream, a chart that adds it up, an alarm with a stated error.

reference ── half: what windows are compared with
          └─ half: windows without drift, which say how the distance varies when nothing changes
stream    ── window ── distance ── standardised ── chart ── above the threshold? alarm
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.alarms import null_runs, null_windows, upper_quantile
from dakit.metrics.control_charts import Chart, Cusum
from dakit.metrics.kernels import median_heuristic
from dakit.metrics.samples import as_sample

_BLOCK = 4096  # reference points met by a window at a time
_JOINED = 10  # overlapping windows: length of a resampled block, in windows that share no rows


@dataclass(frozen=True)
class DriftRun:
    """What a monitor saw in a stretch of a stream; one entry a window.

    Attributes
    ----------
    times : array of shape (t,), int64
        Number of rows that the stream had when the window was complete.
    values : array of shape (t,)
        The metric between reference and window.
    pvalues : array of shape (t,), in (0, 1]
        How often a window without drift gives as large a value; for each window by itself, the error of the reference
        included. Many windows give many chances: the alarms allow for that, these do not.
    statistic : array of shape (t,)
        The chart.
    threshold : float
        Alarm where ``statistic`` exceeds it.
    """

    times: np.ndarray
    values: np.ndarray
    pvalues: np.ndarray
    statistic: np.ndarray
    threshold: float

    @property
    def alarms(self) -> np.ndarray:
        """``times`` of the windows in alarm."""
        return self.times[self.statistic > self.threshold]

    @property
    def alarm(self) -> int | None:
        """Time of the first alarm, or None."""
        return int(self.alarms[0]) if len(self.alarms) else None

    def delay(self, change: int) -> int | None:
        """Rows from ``change``, the first row after the change, to the end of the window of the first alarm.

        None if there was no alarm, or if the first one came before the change and so was false.
        """
        return None if self.alarm is None or self.alarm <= change else self.alarm - change


class DriftMonitor:
    """Watches a stream for a change of its distribution, and raises an alarm of stated false-alarm probability.

    Every ``step`` rows the last ``window`` rows are compared with the reference by ``metric``; the values, standardised
    by what they are without drift, go through ``chart``. If nothing changes, the chart exceeds its threshold within the
    first ``horizon`` windows with a probability of about ``false_alarm``, over the draw of the reference and of the
    stream; Notes say what was measured. After
    an alarm the chart goes on; :meth:`reset` starts it anew.

    Parameters
    ----------
    reference : array or tensor of shape (n, ...)
        Examples before any drift; flattened. Half are what windows are compared with, the other half calibrate. ``n``
        must be at least 10 windows; with 40 and more, less power goes into the uncertainty of the calibration.
    window : int, at least 2
        Rows a window.
    step : int, optional
        Rows between two windows; ``window`` by default, so that windows share no rows. Smaller: sliding windows,
        which react sooner and cost ``window / step`` times as much, calibration included.
    metric : callable, optional
        ``metric(reference, window)`` to a number that is larger the further they differ, of two arrays (two tensors
        where ``reference`` is one) of shapes (k, d) and (window, d). By default the unbiased MMD² of five Gaussian
        kernels, whose bandwidths are set once by the reference.
    chart : Chart
        :class:`Cusum` by default, or :class:`PageHinkley`.
    false_alarm : float in (0, 1)
        Probability of an alarm within ``horizon`` windows when nothing changes.
    horizon : int
        In windows. Beyond it the probability grows, by about as much in every further horizon.
    resamples : int
        Windows without drift that are drawn, times ``window / step``.
    simulations : int
        Runs without drift that set the threshold.
    seed : int

    Attributes
    ----------
    threshold : float

    Raises
    ------
    TypeError, ValueError
        If the reference is no valid sample or too short, a number is out of its range, or the metric is not finite or
        constant on windows of the reference.

    Notes
    -----
    The calibration takes examples to be independent. In autocorrelated data (sensor readings, repeated measurements
    of one subject) windows vary more than shuffled rows do, and false alarms are more frequent than stated, often by
    much. Thin the stream out, or give one row per independent unit.

    A calibrating half of h rows is worth h / window independent windows: each simulated run has its own error of the
    mean, that of so many windows, and the windows, which are drawn without repetition, have their spread divided by
    ``sqrt(1 - window/h)``. Both are right for metrics that are nearly a mean over the window, and cautious for
    quadratic ones such as MMD². Measured with 400 Gaussian rows, windows of 20, a horizon of 50 and a stated 5 %: 5 to
    6 % for a mean, 1 to 2 % for MMD²; 4 to 6 % for MMD² of 16 features of digits. With heavy tails a small reference
    may hold no extreme row, and alarms are more frequent than stated: about 11 % for the mean of exponential values,
    12 to 21 % for squares of them, 31 % for cubes.

    A run whose false-alarm probability over its horizon is ``1 - 1/e = 0.632`` has a mean time between false alarms
    (ARL0) of about one horizon.

    Kept in memory: the comparing half, the last ``window`` rows, the chart's few numbers and the null values.

    References
    ----------
    Page (1954). Continuous inspection schemes. Biometrika 41.
    Gama, Žliobaitė, Bifet, Pechenizkiy, Bouchachia (2014). A survey on concept drift adaptation. ACM Comput. Surv. 46.
    Gandy, Kvaløy (2013). Guaranteed conditional performance of control charts via bootstrap methods. Scand. J. Stat.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> monitor = DriftMonitor(rng.normal(size=(400, 2)), window=20, horizon=50)
    >>> stream = rng.normal(size=(600, 2))
    >>> stream[400:] += 1
    >>> found = monitor.update(stream)
    >>> found.alarm, found.delay(400)
    (440, 40)
    """

    def __init__(
        self,
        reference: Any,
        *,
        window: int,
        step: int | None = None,
        metric: Callable[[Any, Any], float] | None = None,
        chart: Chart | None = None,
        false_alarm: float = 0.05,
        horizon: int = 100,
        resamples: int = 500,
        simulations: int = 2000,
        seed: int = 0,
    ) -> None:
        if window < 2:
            raise ValueError(f"window must be at least 2 rows, got {window}")
        step = window if step is None else step
        if not 1 <= step <= window:
            raise ValueError(f"step must lie between 1 and window ({window}), got {step}")
        if resamples < 20:
            raise ValueError(f"resamples must be at least 20, got {resamples}")
        x = as_sample(reference, "reference")
        if len(x) < 10 * window:
            raise ValueError(
                f"reference must hold at least 10 windows of {window} rows, {10 * window} in all, got {len(x)} rows"
            )
        rng = np.random.default_rng(seed)
        x = x[torch.from_numpy(rng.permutation(len(x))).to(x.device)]
        anchor, held = x[: len(x) // 2], x[len(x) // 2 :]
        self.window, self.step = int(window), int(step)
        self.chart = Cusum() if chart is None else chart
        self._shape = tuple(np.shape(reference))[1:]
        self._like = anchor[:0]
        if metric is None:
            self._metric = KernelDistance(
                anchor, [median_heuristic(anchor, held) * r for r in (0.25, 0.5, 1, 2, 4)]
            )
        elif isinstance(reference, Tensor):
            self._metric = lambda rows: metric(anchor, rows)
        else:
            of_numpy = anchor.numpy()
            self._metric = lambda rows: metric(of_numpy, rows.numpy())

        count = resamples * math.ceil(window / step)
        null = np.array([self._value(held[at]) for at in null_windows(len(held), window, step, count, rng)])
        null = null.mean() + (null - null.mean()) / math.sqrt(1 - window / len(held))
        maxima, first, self._centre, self._scale = null_runs(
            null,
            self.chart,
            horizon=horizon,
            # What h rows know of the mean, and what the drawn windows know of it; of the spread, rows know more.
            independent=1 / (window / len(held) + 1 / resamples),
            spread=math.sqrt((1 / len(held) + 1 / resamples) / 2),
            block=1 if step == window else _JOINED * math.ceil(window / step),
            simulations=simulations,
            rng=rng,
        )
        self.threshold = upper_quantile(maxima, false_alarm)
        self._null_z = np.sort(first)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: an empty window, and the chart at its start."""
        self._state, self._seen, self._due = self.chart.start(), 0, self.window
        self._rows = self._like

    def update(self, x: Any) -> DriftRun:
        """The windows that the next rows of the stream complete.

        Parameters
        ----------
        x : array or tensor of shape (k, ...)
            New examples in time order, any number of them: a window, a single row, or a whole recorded stream.

        Returns
        -------
        DriftRun
            Without entries while the rows do not complete a window.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is no valid sample, or its examples have another shape than those of the reference.
        """
        shape = tuple(np.shape(x))[1:]
        rows = as_sample(x, "x", at_least=1)
        if shape != self._shape:
            raise ValueError(f"examples of x have shape {shape}, those of the reference {self._shape}")
        rows = torch.cat([self._rows, rows.to(self._like)])
        start = self._seen - len(self._rows)  # time of the first row that is kept
        end = start + len(rows)
        times, values, statistic = [], [], []
        state, due = self._state, self._due
        while due <= end:
            value = self._value(rows[due - self.window - start : due - start])
            state, now = self.chart.step(state, np.array([(value - self._centre) / self._scale]))
            times.append(due)
            values.append(value)
            statistic.append(now[0])
            due += self.step
        # Only now: a metric that fails leaves the monitor as it was.
        self._state, self._due, self._seen = state, due, end
        self._rows = rows[max(0, due - self.window - start) :].clone()
        z = (np.array(values, dtype=np.float64) - self._centre) / self._scale
        above = len(self._null_z) - np.searchsorted(self._null_z, z, side="left")
        return DriftRun(
            np.array(times, dtype=np.int64),
            np.array(values, dtype=np.float64),
            (1 + above) / (1 + len(self._null_z)),
            np.array(statistic, dtype=np.float64),
            self.threshold,
        )

    def _value(self, rows: Tensor) -> float:
        value = float(self._metric(rows))
        if not math.isfinite(value):
            raise ValueError(
                f"the metric gave {value} for a window of {len(rows)} rows; it must give finite numbers"
            )
        return value


class KernelDistance:
    """Unbiased MMD² between a fixed sample and windows, ``mean_b exp(-|x - y|² / b)``; what the sample costs by itself
    is paid once.
    """

    def __init__(self, reference: Tensor, bandwidths: list[float]) -> None:
        # Squares of large float32 numbers overflow; windows are small enough for float64.
        self.reference, self.bandwidths = reference.double(), bandwidths
        n = len(reference)
        self.own = (sum(self._total(rows) for rows in self.reference.split(_BLOCK)) - n) / (n * (n - 1))

    def _kernel(self, a: Tensor, b: Tensor) -> float:
        squared = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square_()
        sums = (float(torch.exp(squared / -h).sum(dtype=torch.float64)) for h in self.bandwidths)
        return sum(sums) / len(self.bandwidths)

    def _total(self, rows: Tensor) -> float:
        return sum(self._kernel(block, rows) for block in self.reference.split(_BLOCK))

    def __call__(self, window: Tensor) -> float:
        n, m, window = len(self.reference), len(window), window.double()
        inside = (self._kernel(window, window) - m) / (m * (m - 1))
        return self.own + inside - 2 * self._total(window) / (n * m)
