"""Calibration after training: logits rescaled by a few numbers that are fitted on held-out source examples.

All scalings here have the form ``p = softmax(a * logits + b)``, whose likelihood is concave in (a, b).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dakit.metrics.probabilities import as_class_indices, as_logits

SCALES = (1e-3, 1e3)  # how far 1/T may go; an optimum beyond is at zero or at infinity
BIASES = (-30.0, 30.0)


@dataclass(frozen=True)
class LogitScaling:
    """A fitted map from logits to calibrated probabilities, ``softmax(scale * logits + bias)``.

    Attributes
    ----------
    scale : float, or array of shape (k,)
    bias : array of shape (k,)
        Zero for temperature scaling; the mean is 0 otherwise.
    nll_before, nll_after : float
        Mean negative log-likelihood of the examples of the fit, in nats.
    at_bound : bool
        The best fit lies at infinity or at zero, and the scale is the largest or smallest allowed, or one that makes
        every prediction certain and right.
    kind : {"temperature", "bias-corrected", "vector"}
    """

    scale: float | np.ndarray
    bias: np.ndarray
    nll_before: float
    nll_after: float
    at_bound: bool
    kind: str

    @property
    def temperature(self) -> float:
        """``1 / scale``; above 1 where the classifier was too sure."""
        if np.ndim(self.scale):
            raise AttributeError("vector scaling has one scale for each class, and no single temperature")
        return 1 / float(self.scale)

    def probabilities(self, logits: Any) -> np.ndarray:
        """Calibrated probabilities (n, k) of logits (n, k)."""
        logits = as_logits(logits, classes=len(self.bias))
        return np.exp(log_softmax(logits * self.scale + self.bias))


def temperature_scaling(logits: Any, y: Any, *, classes: Sequence[Any] | None = None) -> LogitScaling:
    """One temperature for all logits: ``p = softmax(logits / T)`` with the T that makes held-out labels most likely.

    It changes how sure the classifier is, and never which class it predicts.

    Parameters
    ----------
    logits : array or tensor of shape (n, k)
        Logits, or log-probabilities, of examples that the classifier was not trained on.
    y : array of shape (n,)
        Column numbers 0 .. k-1, or names of classes.
    classes : sequence of k names, optional
        What the columns stand for, where ``y`` holds names whose sorted order is not theirs.

    Returns
    -------
    LogitScaling
        With ``temperature`` between 1e-3 and 1e3, ``nll_before``, ``nll_after`` and ``probabilities(logits)``.

    Warns
    -----
    UserWarning
        If the optimum lies beyond those bounds: every prediction is right (T towards 0), or the logits say less
        than nothing about the labels (T towards infinity).

    Raises
    ------
    TypeError, ValueError
        If the logits are not a finite numeric array of shape (n, k), or labels and columns do not fit.

    Notes
    -----
    The likelihood is concave in 1/T, and the root of its derivative is found by bracketing.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML, section 4.2.

    Examples
    --------
    >>> logits = [
    ...     [2.0, 0.0]
    ... ] * 4  # four equal predictions, of which three are right: 3/4 = 1 / (1 + exp(-2/T))
    >>> round(temperature_scaling(logits, [0, 0, 0, 1]).temperature, 4)
    1.8205
    """
    from scipy.optimize import brentq

    logits = as_logits(logits)
    y = as_class_indices(y, *logits.shape, classes=classes)
    chosen = logits[np.arange(len(y)), y]

    def slope(log_scale: float) -> float:
        p = np.exp(log_softmax(logits * np.exp(log_scale)))
        return float(np.mean((p * logits).sum(1) - chosen))

    low, high = np.log(SCALES)
    if np.ptp(logits, axis=1).max() == 0:
        scale = 1.0  # equal logits say nothing at any temperature
    elif slope(high) < 0 or (slope(high) == 0 and (chosen == 0).all()):
        scale = SCALES[1]
    elif slope(low) >= 0:
        scale = SCALES[0]
    else:
        scale = float(np.exp(brentq(slope, low, high, xtol=1e-12)))
    return _result(logits, y, scale, np.zeros(logits.shape[1]), "temperature")


def bias_corrected_scaling(logits: Any, y: Any, *, classes: Sequence[Any] | None = None) -> LogitScaling:
    """Temperature scaling with a bias for each class (BCTS): ``p = softmax(logits / T + b)``.

    The bias makes the mean probability of each class equal to its share among the labels, which
    :func:`~dakit.metrics.mlls` relies on.

    Parameters
    ----------
    logits, y, classes
        As for :func:`temperature_scaling`. Every class needs at least one label.

    Returns
    -------
    LogitScaling

    Warns
    -----
    UserWarning
        As for :func:`temperature_scaling`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`temperature_scaling`, and if a class has no labels: its bias would be minus infinity.

    References
    ----------
    Alexandari, Kundaje, Shrikumar (2020). Maximum likelihood with bias-corrected calibration is hard-to-beat at label
    shift adaptation. ICML.

    Examples
    --------
    >>> fit = bias_corrected_scaling([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1])
    >>> bool(fit.nll_after < fit.nll_before)
    True
    """
    return _fit(logits, y, classes, "bias-corrected")


def vector_scaling(logits: Any, y: Any, *, classes: Sequence[Any] | None = None) -> LogitScaling:
    """A scale and a bias for each class: ``p = softmax(a * logits + b)`` with vectors a and b.

    Parameters
    ----------
    logits, y, classes
        As for :func:`bias_corrected_scaling`. A scale for each class depends on a constant added to all logits of a
        row; each row is therefore shifted first, so that its largest logit is 0.

    Returns
    -------
    LogitScaling

    Warns
    -----
    UserWarning
        As for :func:`temperature_scaling`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`bias_corrected_scaling`.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML, section 4.2.

    Examples
    --------
    >>> fit = vector_scaling([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1])
    >>> fit.scale.shape
    (2,)
    """
    return _fit(logits, y, classes, "vector")


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def mean_nll(z: np.ndarray, y: np.ndarray) -> float:
    return max(0.0, float(-log_softmax(z)[np.arange(len(y)), y].mean()))


def _fit(
    logits: Any, y: Any, classes: Sequence[Any] | None, kind: Literal["bias-corrected", "vector"]
) -> LogitScaling:
    from scipy.optimize import minimize

    logits = as_logits(logits)
    n, k = logits.shape
    y = as_class_indices(y, n, k, classes=classes)
    truth = np.eye(k)[y]
    if not truth.any(0).all():
        raise ValueError(
            f"every class needs a label to fit its bias, but class {truth.any(0).argmin()} has none"
        )
    # L-BFGS steps suit parameters of about 1: logits enter in units of their spread.
    unit = float(logits.std()) or 1.0
    logits_in_units = logits / unit
    scales = 1 if kind == "bias-corrected" else k

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_p = log_softmax(logits_in_units * parameters[:scales] + parameters[scales:])
        error = (np.exp(log_p) - truth) / n
        by_scale = (error * logits_in_units).sum(0)
        if scales == 1:
            by_scale = by_scale.sum(keepdims=True)
        return float(-(log_p * truth).sum() / n), np.concatenate([by_scale, error.sum(0)])

    low, high = SCALES[0] * unit, SCALES[1] * unit
    start = np.concatenate([np.full(scales, np.clip(unit, low, high)), np.zeros(k)])
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, high)] * scales + [BIASES] * k,
        options={"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8},
    ).x
    scale = found[:scales] / unit
    bias = found[scales:]
    return _result(logits, y, float(scale[0]) if scales == 1 else scale, bias - bias.mean(), kind)


def _result(
    logits: np.ndarray, y: np.ndarray, scale: float | np.ndarray, bias: np.ndarray, kind: str
) -> LogitScaling:
    margin = 1 + 1e-6
    at_bound = bool(np.any(scale <= SCALES[0] * margin) or np.any(scale >= SCALES[1] / margin))
    after = mean_nll(logits * scale + bias, y)
    # Where all predictions can be right, a search may also stop on the way to the bound.
    at_bound = at_bound or after < 1e-6
    if at_bound:
        warnings.warn(
            f"{kind} scaling: the likelihood has no maximum between the scales {SCALES[0]:g} and {SCALES[1]:g}, "
            "because the predictions are all right or say nothing about the labels; a fit at the bound is returned",
            UserWarning,
            stacklevel=3 if kind == "temperature" else 4,
        )
    return LogitScaling(scale, bias, mean_nll(logits, y), after, at_bound, kind)
