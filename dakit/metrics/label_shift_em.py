"""Label shift by maximum likelihood: EM over the class shares of the target, after calibration on the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dakit.metrics.label_shift_result import LabelShift, Predictions, percentile_interval, resampled_counts
from dakit.metrics.logit_scaling import bias_corrected_scaling, log_softmax, temperature_scaling
from dakit.metrics.mixture_em import mixture_proportions

SMALLEST = 1e-12  # probabilities below become this before their logarithm is taken


def mlls(
    ys: Any,
    probs_s: Any,
    probs_t: Any,
    *,
    calibrate: Literal["temperature", "bcts"] | None = "bcts",
    bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
    classes: Sequence[Any] | None = None,
) -> LabelShift:
    """Maximum-likelihood label shift: the class shares under which the target's predictions are most likely.

    Maximises ``mean over the target of log Σ_j (q_j / p_j) f_j(x)`` over class shares q, by EM. The likelihood is
    concave; ``p_j`` is the mean of ``f_j`` over the source, so that equal samples give "no shift" exactly.

    Parameters
    ----------
    ys, probs_s, probs_t, bootstrap, level, seed, classes
        As for :func:`bbse`, but the probabilities must be calibrated on the source, or become so by ``calibrate``.
    calibrate : {"bcts", "temperature", None}
        Calibrate on the labelled source sample first: with a temperature and a bias for each class, with a temperature
        alone, or not at all. Neural networks are too sure of themselves, and EM takes their word for it.
    tolerance : float
        Stop when the mean log-likelihood is within this of its maximum.
    max_iterations : int

    Returns
    -------
    LabelShift
        With ``iterations`` and ``log_likelihood``.

    Warns
    -----
    UnidentifiableWarning
        As for :func:`bbse`: a constant classifier says nothing to either method.
    UserWarning
        If the calibration has no optimum (every source prediction is right); the bounds of the scale are used.

    Raises
    ------
    TypeError, ValueError
        As for :func:`bbse`, and if ``calibrate`` is unknown or the classifier gives a class probability 0 everywhere.

    Notes
    -----
    Resamples repeat the calibration by one Newton step from its optimum, which is exact to first order.

    References
    ----------
    Saerens, Latinne, Decaestecker (2002). Adjusting the outputs of a classifier to new a priori probabilities.
    Neural Computation 14.
    Alexandari, Kundaje, Shrikumar (2020). Maximum likelihood with bias-corrected calibration is hard-to-beat at label
    shift adaptation. ICML.
    Garg, Wu, Balakrishnan, Lipton (2020). A unified view of label shift estimation. NeurIPS.

    Examples
    --------
    >>> source = [[0.8, 0.2]] * 50 + [[0.2, 0.8]] * 50
    >>> target = [[0.8, 0.2]] * 35 + [[0.2, 0.8]] * 65  # 0.35 = 0.8 q + 0.2 (1 - q)
    >>> ys = [0] * 40 + [1] * 10 + [0] * 10 + [1] * 40
    >>> mlls(ys, source, target, calibrate=None, bootstrap=0).priors.round(4)
    array([0.25, 0.75])
    """
    if calibrate not in ("bcts", "temperature", None):
        raise ValueError(f"calibrate must be 'bcts', 'temperature' or None, got {calibrate!r}")
    given = Predictions.of(ys, probs_s, probs_t, classes=classes)
    resampled = given.resample(bootstrap, seed)
    calibration = _Calibration(given, calibrate)

    def fit(parameters: np.ndarray, count_s, count_t, start=None, tol=tolerance):
        source, target = calibration.apply(parameters)
        p = source.mean(0) if count_s is None else count_s @ source / count_s.sum()
        if not p.all():
            raise ValueError(
                f"the classifier gives class {p.argmin()} probability 0 on every source example, "
                "so its share cannot be estimated"
            )
        # Rows of zeros do not occur: each row sums to 1.
        return mixture_proportions(
            target / p,
            start=p if start is None else start,
            counts=count_t,
            tolerance=tol,
            max_iterations=max_iterations,
        )

    found = fit(calibration.fitted, None, None)
    draws = []
    rng = np.random.default_rng([seed, 2])
    as_fitted = calibration.apply(calibration.fitted)[0]
    inside = np.maximum(found.values, 1e-4)  # a share that EM starts at zero stays there
    for _ in range(bootstrap):
        count_s = resampled_counts(len(given.source), 1, rng)[0]
        count_t = resampled_counts(len(given.target), 1, rng)[0]
        # A resample may lack a class: its mean prediction may then be 0.
        if not (count_s @ as_fitted > 0).all():
            continue
        draws.append(
            fit(calibration.resampled(count_s), count_s, count_t, inside, max(tolerance, 1e-5)).values
        )
    return LabelShift.of(
        given,
        found.values,
        "MLLS" if calibrate is None else f"MLLS ({calibrate})",
        resampled=resampled,
        interval=percentile_interval(draws, level, given.k),
        level=level,
        log_likelihood=found.log_likelihood,
    )


class _Calibration:
    """``softmax(scale * log probs + bias)`` with parameters (scale, biases), and how resampling moves them."""

    def __init__(self, given: Predictions, kind: str | None) -> None:
        self.given, self.kind, k = given, kind, given.k
        self.log_s, self.log_t = (np.log(np.maximum(p, SMALLEST)) for p in (given.source, given.target))
        if kind is None:
            self.fitted = np.concatenate([[1.0], np.zeros(k)])
            return
        scaling = (bias_corrected_scaling if kind == "bcts" else temperature_scaling)(self.log_s, given.ys)
        self.fitted = np.concatenate([[scaling.scale], scaling.bias])
        # Each example's part in the gradient of the loss, and the mean of the Hessians: a Newton step for the
        # loss of a resample, whose gradient is another weighting of the same parts.
        p = np.exp(log_softmax(self.log_s * scaling.scale + scaling.bias))
        error = p - np.eye(k)[given.ys]
        self.parts = np.column_stack([(error * self.log_s).sum(1), error])
        slope = p * (self.log_s - (p * self.log_s).sum(1, keepdims=True))
        hessian = np.empty((k + 1, k + 1))
        hessian[0, 0] = (slope * self.log_s).sum(1).mean()
        hessian[0, 1:] = hessian[1:, 0] = slope.mean(0)
        hessian[1:, 1:] = np.diag(p.mean(0)) - p.T @ p / len(p)
        free = slice(0, 1 if kind == "temperature" else k + 1)
        self.inverse = np.zeros_like(hessian)
        if not scaling.at_bound:  # at a bound, resamples leave the parameters as they are
            # Biases have a direction without effect, which the pseudo-inverse leaves alone.
            self.inverse[free, free] = np.linalg.pinv(hessian[free, free], rcond=1e-8, hermitian=True)

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Parameters for a resample in which example i occurs ``counts[i]`` times."""
        if self.kind is None:
            return self.fitted
        step = self.inverse @ (counts @ self.parts / counts.sum())
        # Far out a single Newton step overshoots; the scale keeps its sign and its order of magnitude.
        step[0] = np.clip(step[0], -self.fitted[0], self.fitted[0] / 2)
        return self.fitted - step

    def apply(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated source and target probabilities."""
        if self.kind is None:
            return self.given.source, self.given.target
        scale, bias = parameters[0], parameters[1:]
        return tuple(np.exp(log_softmax(z * scale + bias)) for z in (self.log_s, self.log_t))
