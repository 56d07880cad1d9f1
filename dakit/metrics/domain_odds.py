"""Density ratios from a classifier that tells the domains apart."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from dakit.metrics.covariate_weights import Weights, checked_pair

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
        centre, scale = x[train].mean(0), x[train].std(0)
        # Constant features, up to rounding, say nothing.
        scale[scale <= 1e-12 * np.abs(x).max(0)] = np.inf
        share = y[train].mean()
        odds[held] = _log_odds(
            (x[train] - centre) / scale, y[train], (x[:n][held] - centre) / scale, probe, c, seed + fold
        ) + np.log((1 - share) / share)
    return Weights.of(np.exp(odds.clip(-LOG_ODDS, LOG_ODDS)), probe, folds=folds, c=c)


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
