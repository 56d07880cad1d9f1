"""Risk on the target estimated from labelled source examples, reweighted to look like the target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dakit.metrics.results import Estimate
from dakit.metrics.samples import as_tensor


def iwcv(losses: Any, weights: Any, *, level: float = 0.95) -> Estimate:
    """Importance-weighted validation risk, ``mean_i w_i l_i``. **Lower is better.**

    Unbiased for the risk on the target if the labels follow the same law given the features in both domains (covariate
    shift) and the weights are the true density ratio. Its variance grows with that of the weights and is infinite where
    the target has mass that the source lacks.

    Parameters
    ----------
    losses : array or tensor of shape (v,)
        Loss of each labelled source example held out from training.
    weights : array or tensor of shape (v,)
        Ratio of target to source density at each, such as from :func:`importance_weights`.
    level : float in (0, 1)
        Of the interval, which is the normal one and takes the weights as known.

    Returns
    -------
    Estimate
        In the unit of the losses.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than 2 losses, another number of weights, values that are not finite, or a negative weight.

    References
    ----------
    Sugiyama, Krauledat, Müller (2007). Covariate shift adaptation by importance weighted cross validation. JMLR 8.

    Examples
    --------
    >>> iwcv([0.0, 1.0], [0.5, 1.5]).value
    0.75
    """
    losses, weights = _losses_and_weights(losses, weights)
    return _estimate(weights * losses, level, "importance-weighted validation")


def dev(losses: Any, weights: Any, *, level: float = 0.95) -> Estimate:
    """Deep embedded validation: :func:`iwcv` with a control variate. **Lower is better.**

    ``DEV = mean(w l) + eta mean(w) - eta`` with ``eta = -Cov(w l, w) / Var(w)``: the true mean of the weights is 1, and
    the part of the error that shows in their sample mean is taken off. The variance falls by the factor
    ``1 - Corr(w l, w)²``. With ``eta`` from the same examples the estimate has a bias of order 1/v.

    Parameters
    ----------
    losses : array or tensor of shape (v,)
        Loss of each labelled source example held out from training.
    weights : array or tensor of shape (v,)
        Ratio of target to source density at the features of each, from :func:`importance_weights` with the features
        of the training source and of the target.
    level : float in (0, 1)

    Returns
    -------
    Estimate
        In the unit of the losses. Noisy, and below 0 now and then: where few examples carry most of the weight, the
        control variate over-corrects. Weights without variance leave nothing to correct: DEV is then IWCV.

    Raises
    ------
    TypeError, ValueError
        As for :func:`iwcv`.

    References
    ----------
    You, Wang, Long, Jordan (2019). Towards accurate model selection in deep unsupervised domain adaptation. ICML.

    Examples
    --------
    >>> dev([1.0, 1.0, 1.0], [0.5, 1.0, 3.0]).value  # all of the error comes from the weights
    1.0
    """
    losses, weights = _losses_and_weights(losses, weights)
    weighted = weights * losses
    centred = weights - weights.mean()
    variance = float((centred**2).mean())
    # Weights equal up to rounding: dividing by their variance would amplify the rounding.
    if variance <= (1e-10 * float(weights.max())) ** 2:
        return _estimate(weighted, level, "deep embedded validation")
    eta = -float((centred * weighted).mean()) / variance
    return _estimate(weighted + eta * (weights - 1), level, "deep embedded validation")


def effective_sample_size(weights: Any) -> float:
    """Number of equally weighted examples that would be as precise, ``(sum w)² / sum w²``.

    Parameters
    ----------
    weights : array or tensor of shape (v,)
        Not negative, not all 0.

    Returns
    -------
    float in [1, v]
        Near 1 where one example carries all the weight: :func:`iwcv` and :func:`dev` are then worth little.

    Raises
    ------
    TypeError, ValueError
        If the weights are not finite, or negative, or all 0.

    References
    ----------
    Kong (1992). A note on importance sampling using standardized weights. Univ. Chicago, Tech. Rep. 348.

    Examples
    --------
    >>> effective_sample_size([1.0, 1.0, 0.0])
    2.0
    """
    weights = _vector(weights, "weights")
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError("weights must not be negative, and not all 0")
    weights = weights / weights.max()
    return float(weights.sum() ** 2 / (weights**2).sum())


def _vector(x: Any, name: str) -> np.ndarray:
    x = as_tensor(x, name).double().cpu().numpy()
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(f"{name} must have shape (n,), one number per example, got {x.shape}")
    if not (np.abs(x) <= 1e100).all():
        raise ValueError(f"{name} holds values that are NaN, infinite or beyond 1e100")
    return x


def _losses_and_weights(losses: Any, weights: Any) -> tuple[np.ndarray, np.ndarray]:
    losses, weights = _vector(losses, "losses"), _vector(weights, "weights")
    if len(losses) != len(weights):
        raise ValueError(f"each loss needs a weight, got {len(losses)} losses and {len(weights)} weights")
    if len(losses) < 2:
        raise ValueError(f"losses needs at least 2 examples, got {len(losses)}")
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError("weights must not be negative, and not all 0")
    largest = max(1.0, float(np.abs(losses).max())) * max(1.0, float(weights.max()))
    if largest > 1e100:
        raise ValueError("losses and weights are so large that their products overflow; rescale them first")
    return losses, weights


def _estimate(terms: np.ndarray, level: float, method: str) -> Estimate:
    from scipy.stats import norm

    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
    value, stderr = float(terms.mean()), float(terms.std(ddof=1)) / math.sqrt(len(terms))
    half = float(norm.ppf((1 + level) / 2)) * stderr
    return Estimate(value, stderr, (value - half, value + half), level, method)
