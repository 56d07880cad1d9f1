"""Error bars for any distance between two samples: subsampling, the bootstrap, the jackknife."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from torch import Tensor

from dakit.metrics.results import Estimate
from dakit.metrics.samples import as_sample

Method = Literal["subsampling", "bootstrap", "bca", "jackknife"]
_METHODS = ("subsampling", "bootstrap", "bca", "jackknife")
RATES = (0.25, 1.0)  # between which an estimated rate is kept


def interval(
    metric: Callable[..., Any],
    xs: Any,
    xt: Any,
    *,
    method: Method = "subsampling",
    paired: bool = False,
    resamples: int = 500,
    level: float = 0.95,
    fraction: float = 0.5,
    rate: float | Literal["estimate"] = 0.5,
    seed: int = 0,
    **options: Any,
) -> Estimate:
    """Interval for the true value of a metric, from the two samples alone.

    Parameters
    ----------
    metric : callable
        ``metric(xs, xt, **options)`` to a number.
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Independent examples, in any shape that the metric takes.
    method : {"subsampling", "bootstrap", "bca", "jackknife"}
        ``"subsampling"`` takes parts of both samples without repetition, so that the metric sees data of the kind it is
        made for; it holds for every metric whose fluctuation falls with a power of the size. ``"bootstrap"``
        (percentile) and ``"bca"`` (bias-corrected, accelerated) draw with repetition, by scipy: better for smooth
        functions of averages of small samples, **wrong for metrics that compare pairs of points** (see Notes).
        ``"jackknife"`` leaves out one example at a time: n + m evaluations, a normal interval, for smooth metrics.
    paired : bool
        Row i of ``xs`` and row i of ``xt`` belong together, and are drawn together.
    resamples : int, at least 20
        Evaluations of the metric; with ``rate="estimate"`` another as many.
    level : float in (0, 1)
        The quantiles of ``resamples`` values are used, so that a high level needs many.
    fraction : float in (0, 1)
        Subsampling: share of each sample that is drawn.
    rate : float in (0, 1], or "estimate"
        Subsampling: the fluctuation of the metric falls as ``size ** -rate``. 1/2 for what behaves like an average, 1
        for MMD² between equal distributions (a degenerate U-statistic). Too small a rate widens the interval; 1/2 is
        therefore right for MMD², and cautious near 0. ``"estimate"`` compares the fluctuation at two fractions.
    seed : int
    **options
        Handed to ``metric``. Fix what it would otherwise take from the data, such as the bandwidths of a kernel:
        a metric that changes with the resample has another true value in each.

    Returns
    -------
    Estimate
        ``value`` is the metric of the whole samples. The interval is not cut at 0: a lower end below 0 says that no
        difference cannot be excluded. With subsampling it is symmetric about ``value``.

    Raises
    ------
    TypeError, ValueError
        If a sample has fewer than 4 examples (or too few for the fraction) or is not numeric and finite, a number is
        out of its range, the samples are paired and of different sizes, or the metric gives a value that is not finite.

    Notes
    -----
    Parts of sizes ``f n`` and ``f m``, drawn without repetition, vary about the value of the whole as the whole varies
    about the truth, up to a factor: ``metric(part) - metric(whole)`` has the variance ``C ((f n)^-2r - n^-2r)``,
    and ``metric(whole) - truth`` has ``C n^-2r``. The differences are multiplied by ``(f^-2r - 1)^-1/2``, which is 1
    for ``f = r = 1/2``; the quantile of their sizes is the half width (Politis and Romano, with the correction for a
    finite population). A symmetric interval covers better here than one with equal tails: a squared distance varies
    more the larger it is, which makes differences skewed the wrong way.

    A bootstrap sample holds copies. A distance that compares pairs of points then meets pairs of distance 0 that no
    sample from a continuous distribution has: the unbiased MMD² becomes the biased one on average, larger by about
    ``(1 - mean k) (1/n + 1/m)``, which between equal distributions is no less than its standard deviation, and a
    nearest-neighbour distance breaks down altogether. This is why subsampling is the default.

    References
    ----------
    Politis, Romano (1994). Large sample confidence regions based on subsamples under minimal assumptions. Ann. Stat.
    Bertail, Politis, Romano (1999). On subsampling estimators with unknown rate of convergence. JASA 94.
    Efron, Tibshirani (1993). An introduction to the bootstrap. Chapman and Hall.

    Examples
    --------
    >>> import numpy as np
    >>> from dakit.metrics import mmd
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> found = interval(mmd, x[:100], x[100:] + 1, bandwidths=2.0, resamples=200)
    >>> low, high = found.interval
    >>> 0 < low < found.value < high
    True
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
    if resamples < 20:
        raise ValueError(f"resamples must be at least 20, got {resamples}")
    for name, number in (("level", level), ("fraction", fraction)):
        if not 0 < number < 1:
            raise ValueError(f"{name} must lie strictly between 0 and 1, got {number}")
    if rate != "estimate" and not (isinstance(rate, (int, float)) and 0 < rate <= 1):
        raise ValueError(f"rate must lie in (0, 1] or be 'estimate', got {rate!r}")
    xs, xt = _rows(xs, "xs"), _rows(xt, "xt")
    n, m = len(xs), len(xt)
    if paired and n != m:
        raise ValueError(f"paired samples have equally many rows, got {n} and {m}")

    def at(rows: np.ndarray, columns: np.ndarray) -> float:
        value = float(metric(xs[rows], xt[columns], **options))
        if not math.isfinite(value):
            raise ValueError(
                f"the metric gave {value} on {len(rows)} and {len(columns)} rows; it must be finite"
            )
        return value

    value = at(np.arange(n), np.arange(m))
    if method == "subsampling":
        rng = np.random.default_rng(seed)
        differences = _parts(at, n, m, fraction, resamples, paired, rng) - value
        if rate == "estimate":
            smaller = _parts(at, n, m, fraction / 2, resamples, paired, rng) - value
            rate = _rate(differences, smaller, fraction)
        # The sizes that were drawn, not the fraction that was asked for; of two samples the rounder one hardly matters.
        drawn = _size(min(n, m), fraction) / min(n, m)
        differences = differences / math.sqrt(drawn ** (-2 * rate) - 1)
        half = float(np.quantile(np.abs(differences), level))
        spread = float(np.sqrt((differences**2).mean() - differences.mean() ** 2))
        return Estimate(value, spread, (value - half, value + half), level, f"subsampling, rate {rate:.2g}")
    if method == "jackknife":
        spread = _jackknife(at, n, m, paired)
        from scipy.stats import norm

        half = float(norm.ppf((1 + level) / 2)) * spread
        return Estimate(value, spread, (value - half, value + half), level, "jackknife")
    return _bootstrap(at, n, m, value, paired, resamples, level, seed, method)


def _rows(x: Any, name: str) -> Any:
    """``x`` as something that an array of row numbers picks from; checked, not changed."""
    x = x if isinstance(x, Tensor) else np.asarray(x)
    if x.ndim == 0:
        raise ValueError(f"{name} must hold one example per row, got a single number")
    as_sample(x[:, None] if x.ndim == 1 else x, name, at_least=4)
    return x


def _size(n: int, fraction: float) -> int:
    size = round(fraction * n)
    if not 2 <= size < n:
        raise ValueError(
            f"a fraction of {fraction:g} of {n} examples leaves {size}; at least 2 and fewer than all are needed"
        )
    return size


def _parts(
    at: Callable[[np.ndarray, np.ndarray], float],
    n: int,
    m: int,
    fraction: float,
    resamples: int,
    paired: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """The metric of random parts of both samples."""
    a, b = _size(n, fraction), _size(m, fraction)
    found = np.empty(resamples)
    for i in range(resamples):
        rows = rng.choice(n, a, replace=False, shuffle=False)
        found[i] = at(rows, rows if paired else rng.choice(m, b, replace=False, shuffle=False))
    return found


def _rate(differences: np.ndarray, smaller: np.ndarray, fraction: float) -> float:
    """Rate at which the spread falls with the size, from parts of shares ``fraction`` and half of that."""
    large, small = float(differences.var()), float(smaller.var())
    if large == 0 or small == 0:
        return RATES[0]
    # The ratio of (f/2)^-2r - 1 to f^-2r - 1 rises with r.
    grid = np.linspace(*RATES, 301)
    ratios = ((fraction / 2) ** (-2 * grid) - 1) / (fraction ** (-2 * grid) - 1)
    return float(grid[np.abs(ratios - small / large).argmin()])


def _jackknife(at: Callable[[np.ndarray, np.ndarray], float], n: int, m: int, paired: bool) -> float:
    """Standard error from leaving out one example, or one pair, at a time."""
    rows, columns = np.arange(n), np.arange(m)
    if paired:
        groups = [[at(np.delete(rows, i), np.delete(columns, i)) for i in range(n)]]
    else:
        groups = [
            [at(np.delete(rows, i), columns) for i in range(n)],
            [at(rows, np.delete(columns, i)) for i in range(m)],
        ]
    return math.sqrt(sum(np.var(g) * (len(g) - 1) for g in groups))


def _bootstrap(
    at: Callable[[np.ndarray, np.ndarray], float],
    n: int,
    m: int,
    value: float,
    paired: bool,
    resamples: int,
    level: float,
    seed: int,
    method: str,
) -> Estimate:
    from scipy.stats import bootstrap

    if paired:
        data: tuple[np.ndarray, ...] = (np.arange(n),)
        statistic: Callable[..., float] = lambda rows: at(rows, rows)  # noqa: E731
    else:
        data, statistic = (np.arange(n), np.arange(m)), at
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of values that agree; answered below
        found = bootstrap(
            data,
            statistic,
            n_resamples=resamples,
            vectorized=False,
            confidence_level=level,
            method="percentile" if method == "bootstrap" else "BCa",
            rng=np.random.default_rng(seed),
        )
    ends = found.confidence_interval
    low, high = float(ends.low), float(ends.high)
    spread = float(found.standard_error)
    if spread == 0:  # all resamples agree, which leaves BCa without a correction
        low = high = value
    elif not math.isfinite(low + high):
        raise ValueError("BCa has no correction here, for too many resamples agree; use method='bootstrap'")
    return Estimate(
        value, spread, (low, high), level, "BCa bootstrap" if method == "bca" else "percentile bootstrap"
    )
