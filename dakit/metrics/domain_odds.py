"""Density ratios from a classifier that tells the domains apart."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from dakit.metrics.covariate_weights import Weights, checked_pair
from dakit.metrics.samples import as_pair, as_sample

LOG_ODDS = 30.0  # beyond this the two densities do not overlap, and a weight says no more


def classifier_weights(
    xs: Any,
    xt: Any,
    *,
    probe: Literal["logistic", "mlp"] = "logistic",
    folds: int = 5,
    c: float = 1.0,
    seed: int = 0,
) -> Weights:
    """Weights from the odds of a domain classifier, ``w(x) = (n / m) P(target | x) / P(source | x)``.

    Every source example is weighted by a classifier that was not trained on it. In-sample, a flexible classifier
    recognises single examples and gives them weights near 0.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened. Standardised inside.
    probe : {"logistic", "mlp"}
        Logistic regression, which is right for Gaussians of equal covariance, or scikit-learn's network with one
        hidden layer of 64 units.
    folds : int
        Parts for cross-fitting; 1 fits once, on everything.
    c : float
        Inverse strength of the penalty, as in scikit-learn; small values pull all weights towards 1.
    seed : int
        Which parts, and the start of the network.

    Returns
    -------
    Weights

    Raises
    ------
    TypeError, ValueError
        As for :func:`covariate_weights`, and if ``probe`` is unknown, a sample has fewer than ``folds`` examples or
        ``c`` is not positive.

    References
    ----------
    Bickel, Brückner, Scheffer (2007). Discriminative learning for differing training and test distributions. ICML.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 1))
    >>> w = classifier_weights(x[:200], x[200:] + 1)
    >>> bool(np.corrcoef(w.values, np.exp(x[:200, 0] - 0.5))[0, 1] > 0.95)
    True
    """
    xs, xt, constant = checked_pair(xs, xt)
    n, m = len(xs), len(xt)
    if probe not in ("logistic", "mlp"):
        raise ValueError(f"probe must be 'logistic' or 'mlp', got {probe!r}")
    if not 1 <= folds <= min(n, m):
        raise ValueError(
            f"folds must be at least 1 and at most the size of the smaller sample, {min(n, m)}, got {folds}"
        )
    if not 0 < c < np.inf:
        raise ValueError(f"c must be a positive number, got {c}")
    if constant:
        return Weights.of(np.ones(n), probe)
    x = np.concatenate([xs.cpu().numpy(), xt.cpu().numpy()])
    y = np.r_[np.zeros(n), np.ones(m)]
    rng = np.random.default_rng(seed)
    part = np.concatenate([rng.permutation(size) % folds for size in (n, m)])
    odds = np.empty(n)
    for fold in range(folds):
        train = part != fold if folds > 1 else np.ones(n + m, dtype=bool)
        held = part[:n] == fold
        centre, scale = _standards(x[train])
        share = y[train].mean()
        odds[held] = _log_odds(
            (x[train] - centre) / scale, y[train], (x[:n][held] - centre) / scale, probe, c, seed + fold
        ) + np.log((1 - share) / share)
    return Weights.of(np.exp(odds.clip(-LOG_ODDS, LOG_ODDS)), probe, folds=folds, c=c)


def importance_weights(zs: Any, zt: Any, at: Any, *, c: float = 1.0) -> np.ndarray:
    """Ratio of target to source density at some points, from a logistic regression that tells the domains apart.

    ``w(z) = (n_s / n_t) P(target | z) / P(source | z)``.

    Parameters
    ----------
    zs, zt : array or tensor of shape (n, d) and (m, d)
        Features of the source *training* examples and of the target. Standardised inside by their pooled moments.
    at : array or tensor of shape (v, d)
        Where the ratio is wanted: features of labelled source examples for validation.
    c : float
        Inverse strength of the penalty of the regression, as in scikit-learn. Small values pull all weights towards 1.

    Returns
    -------
    array of shape (v,), float64
        Positive; about 1 on average over fresh source examples. The log-odds are cut at ±30.

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or differ in their number, or ``c`` is not positive.

    References
    ----------
    Bickel, Brückner, Scheffer (2007). Discriminative learning for differing training and test distributions. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(400, 1))
    >>> w = importance_weights(z[:200], z[200:] + 1, [[-1.0], [2.0]])
    >>> bool(w[0] < 0.5 < 2 < w[1])
    True
    """
    zs, zt = as_pair(zs, zt)
    at = as_sample(at, "at", at_least=1)
    if at.shape[1] != zs.shape[1]:
        raise ValueError(f"at has {at.shape[1]} features, but the samples have {zs.shape[1]}")
    if not 0 < c < np.inf:
        raise ValueError(f"c must be a positive number, got {c}")
    zs, zt, at = (z.double().cpu().numpy() for z in (zs, zt, at))
    pooled = np.concatenate([zs, zt])
    centre, scale = _standards(pooled)
    domain = np.r_[np.zeros(len(zs)), np.ones(len(zt))]
    odds = _log_odds((pooled - centre) / scale, domain, (at - centre) / scale, "logistic", c, 0)
    return np.exp(np.clip(odds, -LOG_ODDS, LOG_ODDS)) * (len(zs) / len(zt))


def _standards(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each feature; those that are constant up to rounding say nothing."""
    centre, scale = x.mean(0), x.std(0)
    scale[scale <= 1e-12 * np.abs(x).max(0)] = np.inf
    return centre, scale


def _log_odds(x: np.ndarray, y: np.ndarray, at: np.ndarray, probe: str, c: float, seed: int) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    if probe == "logistic":
        model = LogisticRegression(C=c, max_iter=2000)
    else:
        # A set number of epochs: scikit-learn's early stopping looks at accuracy, which levels off before the odds do.
        model = MLPClassifier(64, alpha=1 / c, max_iter=30, random_state=seed, learning_rate_init=3e-3)
    # The products are small: BLAS threads would spend their time waiting for one another.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
        if probe == "logistic":
            return model.decision_function(at)
        p = np.clip(model.predict_proba(at)[:, 1], 1e-15, 1 - 1e-15)
        return np.log(p) - np.log1p(-p)
