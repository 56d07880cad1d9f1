"""Label shift: the class shares of an unlabelled target, from what a source classifier predicts there.

Setting: p(x | y) is the same in both domains and only p(y) moves. The classifier is fixed; it needs predictions on
*held-out* labelled source examples and on unlabelled target examples. This file solves moment equations: the mean
prediction on the target is a mixture of the mean predictions on each source class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dakit.metrics.label_shift_result import LabelShift, Predictions, percentile_interval


def bbse(
    ys: Any,
    probs_s: Any,
    probs_t: Any,
    *,
    soft: bool = True,
    bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
) -> LabelShift:
    """Black-box shift estimation: target class shares by inverting the confusion matrix.

    With ``M_ij = mean f_i(x) over source examples of class j`` and ``mu_i = mean f_i(x) over the target``, label shift
    implies ``mu = M q`` for the target class shares q; the weights are ``w_j = q_j / p_j``. The solution's negative
    entries, which are sampling errors, are set to 0, and the rest is scaled to sum to 1.

    Parameters
    ----------
    ys : array of shape (n,)
        Labels of held-out source examples: column numbers 0 .. k-1, or names of classes. Each class occurs.
    probs_s, probs_t : array or tensor of shape (n, k) and (m, k)
        Predicted probabilities on these source examples and on the target. They need not be calibrated.
    soft : bool
        Use the probabilities as they are. With False, the predicted class alone (the paper's form).
    bootstrap : int
        Resamples of both samples for the intervals, percentile method; 0 for none. The classifier is never refitted.
    level : float in (0, 1)
        Of each class's interval, one class at a time.
    seed : int
        Which resamples.
    classes : sequence of k names, optional
        What the columns stand for, where ``ys`` holds names whose sorted order is not theirs.

    Returns
    -------
    LabelShift

    Warns
    -----
    UnidentifiableWarning
        If a singular confusion matrix is within its sampling error, so that different class shares explain the
        target equally well; :class:`LabelShift` states the rule.

    Raises
    ------
    TypeError
        If the predictions are not numeric.
    ValueError
        If they are not probabilities (logits are not), labels and columns do not fit, or a class has no source example.

    References
    ----------
    Lipton, Wang, Smola (2018). Detecting and correcting for label shift with black box predictors. ICML.

    Examples
    --------
    >>> source = np.repeat([[0.8, 0.2], [0.4, 0.6]], 50, axis=0)
    >>> target = [[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 30
    >>> bbse([0] * 50 + [1] * 50, source, target, bootstrap=0).priors
    array([0.25, 0.75])
    """
    given = Predictions.of(ys, probs_s, probs_t, classes=classes, hard=not soft)
    return _by_moments(given, _inverted, "BBSE", bootstrap, level, seed)


def rlls(
    ys: Any,
    probs_s: Any,
    probs_t: Any,
    *,
    lambda_: float | None = None,
    soft: bool = True,
    bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
) -> LabelShift:
    """Regularised learning under label shift: moment equations, pulled towards "no shift".

    Minimises ``|C w - mu| + lambda_ |w - 1|`` over weights ``w >= 0`` (Euclidean norms, not squared), with the joint
    confusion matrix ``C_ij = mean f_i(x) [y = j]`` over the source. ``lambda_ = 0`` is least squares without negative
    weights; a large one gives w = 1 exactly.

    Parameters
    ----------
    ys, probs_s, probs_t, soft, bootstrap, level, seed, classes
        As for :func:`bbse`. Resamples keep the strength of the ridge penalty that ``lambda_`` amounts to.
    lambda_ : float, optional
        By default 0.01 times the paper's bound on the error of C, which holds with probability 0.95:
        ``3 (2 log(2k/0.05) / (3n) + sqrt(2 log(2k/0.05) / n))``. The bound itself is far too cautious; 0.01 is the
        factor of the authors' experiments.

    Returns
    -------
    LabelShift
        Its intervals do not know of the bias that the penalty brings.

    Warns
    -----
    UnidentifiableWarning
        As for :func:`bbse`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`bbse`, and if ``lambda_`` is negative or not finite.

    References
    ----------
    Azizzadenesheli, Liu, Yang, Anandkumar (2019). Regularized learning for domain adaptation under label shifts. ICLR.

    Examples
    --------
    >>> source = np.repeat([[0.8, 0.2], [0.4, 0.6]], 50, axis=0)
    >>> target = [[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 30
    >>> rlls([0] * 50 + [1] * 50, source, target, lambda_=0, bootstrap=0).priors.round(6)
    array([0.25, 0.75])
    """
    given = Predictions.of(ys, probs_s, probs_t, classes=classes, hard=not soft)
    n, k = given.source.shape
    if lambda_ is None:
        log = np.log(2 * k / 0.05)
        lambda_ = 0.01 * 3 * (2 * log / (3 * n) + np.sqrt(2 * log / n))
    if not 0 <= lambda_ < np.inf:
        raise ValueError(f"lambda_ must be a number of at least 0, got {lambda_}")
    joint = given.confusion() * given.shares
    ridge = _ridge_of(joint, given.target.mean(0), lambda_)

    def solve(confusion: np.ndarray, mean: np.ndarray, shares: np.ndarray) -> np.ndarray:
        return _ridge(confusion * shares, mean, ridge) * shares

    return _by_moments(given, solve, "RLLS", bootstrap, level, seed)


def _by_moments(
    given: Predictions,
    solve: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    method: str,
    bootstrap: int,
    level: float,
    seed: int,
) -> LabelShift:
    """``solve`` maps a confusion matrix, the mean prediction on the target and the source shares to target shares."""

    def shares_of(confusion: np.ndarray, mean: np.ndarray, shares: np.ndarray) -> np.ndarray:
        q = np.maximum(solve(confusion, mean, shares), 0)
        return q / q.sum() if q.sum() > 0 else shares

    resampled = given.resample(bootstrap, seed)
    draws = [
        shares_of(*moments)
        for moments in zip(resampled.confusions, given.resampled_means(bootstrap, seed), resampled.shares)
    ]
    return LabelShift.of(
        given,
        shares_of(given.confusion(), given.target.mean(0), given.shares),
        method,
        resampled=resampled,
        interval=percentile_interval(draws, level, given.k),
        level=level,
    )


def _inverted(confusion: np.ndarray, mean: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(confusion, mean, rcond=1e-10)[0]


def _ridge(joint: np.ndarray, mean: np.ndarray, ridge: float) -> np.ndarray:
    """Minimises ``|C w - mean|² + ridge |w - 1|²`` over w >= 0."""
    from scipy.optimize import nnls

    k = joint.shape[1]
    if ridge == np.inf:
        return np.ones(k)
    root = np.sqrt(ridge)
    return nnls(np.vstack([joint, root * np.eye(k)]), np.concatenate([mean, np.full(k, root)]))[0]


def _ridge_of(joint: np.ndarray, mean: np.ndarray, lambda_: float) -> float:
    """The penalty on squares whose solution minimises ``|C w - mean| + lambda_ |w - 1|`` over w >= 0.

    Along the ridge path |C w - mean| is a convex function of |w - 1|, so the sum has no second minimum along it.
    """
    from scipy.optimize import minimize_scalar

    if lambda_ == 0:
        return 0.0

    def cost(log_ridge: float) -> float:
        w = _ridge(joint, mean, np.exp(log_ridge))
        return float(np.linalg.norm(joint @ w - mean) + lambda_ * np.linalg.norm(w - 1))

    # A coarse look first: the path is flat where it has reached its ends, and a search would lose its way there.
    grid = np.linspace(np.log(1e-14), np.log(1e6), 47)
    best = int(np.argmin([cost(x) for x in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(cost, bounds=around, method="bounded", options={"xatol": 1e-5})
    still = float(np.linalg.norm(joint.sum(1) - mean))
    return np.inf if still <= found.fun else float(np.exp(found.x))
