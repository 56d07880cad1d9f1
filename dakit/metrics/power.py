"""How often a test notices: rejection rates by severity of a shift and size of the samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dakit.metrics.results import wilson


@dataclass(frozen=True)
class PowerCurve:
    """Rejection rates of a test.

    Attributes
    ----------
    severities : array of shape (k,)
    sizes : array of shape (s,), int64
        Examples in each sample.
    rate : array of shape (k, s), in [0, 1]
        Share of the trials whose p-value was at most ``alpha``. At severity 0 this is the size of the test, which
        should not exceed ``alpha``.
    low, high : array of shape (k, s)
        Wilson's interval for the true rate at ``level``.
    alpha : float
    trials : int
    level : float
    pvalues : array of shape (k, s, trials)
    """

    severities: np.ndarray
    sizes: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    alpha: float
    trials: int
    level: float = 0.95
    pvalues: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0)), repr=False)

    def size_for(self, power: float = 0.8) -> np.ndarray:
        """Least size that notices with probability ``power``, for each severity.

        Interpolated between the measured sizes, linearly in the logarithm of the size, after the rates have been made
        not to fall with the size (the running mean of neighbours that are out of order). NaN where no measured size
        is large enough.

        Returns
        -------
        array of shape (k,), float64
            The smallest measured size where that one is enough already: the answer may be smaller still.
        """
        if not 0 < power < 1:
            raise ValueError(f"power must lie strictly between 0 and 1, got {power}")
        found = np.full(len(self.severities), np.nan)
        order = np.argsort(self.sizes)
        logs = np.log(self.sizes[order])
        for k, rates in enumerate(self.rate):
            rising = _not_falling(rates[order])
            enough = np.flatnonzero(rising >= power)
            if len(enough) == 0:
                continue
            i = enough[0]
            share = 1.0 if i == 0 else (power - rising[i - 1]) / (rising[i] - rising[i - 1])
            found[k] = math.exp(logs[i] if i == 0 else logs[i - 1] + share * (logs[i] - logs[i - 1]))
        return found

    def rows(self) -> list[dict[str, float]]:
        """The curve as a table: a dictionary for each severity and size."""
        return [
            {
                "severity": float(severity),
                "size": int(size),
                "rate": float(self.rate[i, j]),
                "low": float(self.low[i, j]),
                "high": float(self.high[i, j]),
            }
            for i, severity in enumerate(self.severities)
            for j, size in enumerate(self.sizes)
        ]

    def __str__(self) -> str:
        head = "severity " + "".join(f"{f'n = {size}':>20}" for size in self.sizes)
        lines = [
            f"{severity:8.3g} "
            + "".join(f"{f'{r:.2f} ({a:.2f} to {b:.2f})':>20}" for r, a, b in zip(*triple))
            for severity, triple in zip(self.severities, zip(self.rate, self.low, self.high))
        ]
        return "\n".join([head, *lines])


def power_curve(
    test: Callable[..., Any],
    make_samples: Callable[[float, int, np.random.Generator], tuple[Any, Any]],
    *,
    severities: Sequence[float] = (0.0, 0.25, 0.5, 1.0),
    sizes: Sequence[int] = (50, 100, 200),
    trials: int = 200,
    alpha: float = 0.05,
    level: float = 0.95,
    seed: int = 0,
    **options: Any,
) -> PowerCurve:
    """Rejection rate of a test for every severity of a shift and every size of the samples.

    Parameters
    ----------
    test : callable
        ``test(xs, xt, **options)`` to an object with a ``pvalue``, such as :func:`~dakit.metrics.mmd_test` and the
        tests of scipy, or to the p-value itself.
    make_samples : callable
        ``make_samples(severity, size, rng)`` to ``xs, xt``, drawn anew each time; equal in law at severity 0.
        :func:`drawn_from` makes one from two data sets or from a shift.
    severities : sequence of float
    sizes : sequence of int
    trials : int
        Pairs of samples for each severity and size. The rate has a standard error of at most ``0.5 / sqrt(trials)``.
    alpha : float in (0, 1)
        Level of the test: it rejects where ``pvalue <= alpha``. The p-value of a permutation test is at least
        ``1/(B + 1)`` for B relabellings.
    level : float in (0, 1)
        Of the intervals.
    seed : int
        Trial t of a severity and size has the same random numbers whatever the other severities and sizes are.
    **options
        Handed to ``test``.

    Returns
    -------
    PowerCurve

    Raises
    ------
    TypeError
        If ``test`` gives neither a number nor something with a ``pvalue``.
    ValueError
        If a number is out of its range, or a p-value is outside [0, 1].

    References
    ----------
    Wilson (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    Rabanser, Günnemann, Lipton (2019). Failing loudly: an empirical study of methods for detecting dataset shift.
    NeurIPS.

    Examples
    --------
    >>> from scipy.stats import ttest_ind
    >>> def gaussians(severity, size, rng):
    ...     return rng.normal(size=size), rng.normal(size=size) + severity
    >>> curve = power_curve(ttest_ind, gaussians, severities=[0, 1], sizes=[10, 40], trials=100)
    >>> curve.rate[1].tolist()
    [0.51, 0.98]
    """
    severities, sizes = np.asarray(severities, dtype=np.float64), np.asarray(sizes)
    if severities.ndim != 1 or len(severities) == 0 or not np.isfinite(severities).all():
        raise ValueError(
            f"severities must be a non-empty series of finite numbers, got {severities.tolist()}"
        )
    if sizes.ndim != 1 or len(sizes) == 0 or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise ValueError(f"sizes must be a non-empty series of integers of at least 1, got {sizes.tolist()}")
    if trials < 1:
        raise ValueError(f"trials must be at least 1, got {trials}")
    for name, number in (("alpha", alpha), ("level", level)):
        if not 0 < number < 1:
            raise ValueError(f"{name} must lie strictly between 0 and 1, got {number}")
    pvalues = np.empty((len(severities), len(sizes), trials))
    for i, severity in enumerate(severities.tolist()):
        for j, size in enumerate(sizes.tolist()):
            for t in range(trials):
                # From the severity and the size themselves: more of them elsewhere change nothing here.
                key = [seed, size, t, *np.array([severity + 0.0]).view(np.uint32).tolist()]
                xs, xt = make_samples(severity, size, np.random.default_rng(key))
                pvalues[i, j, t] = _pvalue(test(xs, xt, **options))
    rate = (pvalues <= alpha).mean(2)
    low, high = wilson(rate, trials, level)
    return PowerCurve(severities, sizes.astype(np.int64), rate, low, high, alpha, trials, level, pvalues)


def drawn_from(xs: Any, xt: Any = None, *, shift: Callable[[Any, float], Any] | None = None) -> Callable:
    """A ``make_samples`` that draws rows of given data.

    Without ``shift``: ``severity`` in [0, 1] is the share of the second sample that comes from ``xt``, the rest comes
    from ``xs``. With it: both samples come from ``xs``, and the second is ``shift(rows, severity)``, for example a step
    of a ladder of controlled shifts. No row is drawn twice within a trial.

    Parameters
    ----------
    xs : array or tensor of shape (n, ...)
        At least twice the largest size.
    xt : array or tensor of shape (m, ...), optional
    shift : callable, optional
        One of ``xt`` and ``shift`` is needed.

    Returns
    -------
    callable
        For :func:`power_curve`.

    Raises
    ------
    TypeError
        If both or neither of ``xt`` and ``shift`` are given.
    ValueError
        When called: if there are too few rows, or without ``shift`` the severity is outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> make = drawn_from(np.zeros((20, 1)), np.ones((9, 1)))
    >>> xs, xt = make(0.25, 8, np.random.default_rng(0))
    >>> xt.sum()
    np.float64(2.0)
    """
    if (xt is None) == (shift is None):
        raise TypeError("drawn_from needs exactly one of xt and shift")

    def make_samples(severity: float, size: int, rng: np.random.Generator) -> tuple[Any, Any]:
        if len(xs) < 2 * size:
            raise ValueError(f"two samples of {size} need {2 * size} rows of xs, which has {len(xs)}")
        rows = rng.permutation(len(xs))[: 2 * size]
        first, second = xs[rows[:size]], xs[rows[size:]]
        if shift is not None:
            return first, shift(second, severity)
        if not 0 <= severity <= 1:
            raise ValueError(f"severity is a share of xt and must lie in [0, 1], got {severity}")
        moved = round(severity * size)
        if len(xt) < moved:
            raise ValueError(f"{moved} rows of xt are needed, which has {len(xt)}")
        other = xt[rng.permutation(len(xt))[:moved]]
        kept = second[moved:]
        if isinstance(kept, np.ndarray):
            return first, np.concatenate([other, kept])
        import torch

        return first, torch.cat([other, kept])

    return make_samples


def _pvalue(result: Any) -> float:
    found = getattr(result, "pvalue", result)
    try:
        value = float(found)
    except (TypeError, ValueError):
        raise TypeError(
            f"test must return a p-value or an object with a pvalue, got {type(result).__name__}"
        ) from None
    if not 0 <= value <= 1:
        raise ValueError(f"test gave the p-value {value}, which is outside [0, 1]")
    return value


def _not_falling(rates: np.ndarray) -> np.ndarray:
    """The nearest series that does not fall (pool adjacent violators)."""
    from scipy.optimize import isotonic_regression

    return isotonic_regression(rates).x
