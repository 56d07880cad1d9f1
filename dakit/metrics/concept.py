"""Concept shift: has the rule from inputs to labels changed, beyond what covariates and class shares explain?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dakit.metrics.samples import as_labels, as_pair

LANDMARKS = 100  # of the kernel map that makes the rule flexible
DIMENSIONS = 50  # wider inputs are reduced to their first principal components


@dataclass(frozen=True)
class ConceptShift:
    """What :func:`concept_shift` found.

    Attributes
    ----------
    gain : float
        Nats per held-out example by which a rule of its own for each domain predicts the labels better than one
        rule with class shares of its own. Below 0 where there is nothing to gain.
    stderr : float
    pvalue : float in (0, 1]
        One-sided, of "a rule of its own gains nothing".
    overlap : float in (0, 1]
        Mean over both domains of ``2 P(other domain | x)``: 1 for equal distributions of inputs. Near 0 hardly an
        example of one domain lies where the other does; a rule is then compared with its own extrapolation, and gain
        and p-value, large or small, say nothing about a change.
    shared_accuracy, own_accuracy : float in [0, 1]
        Held-out accuracy of the two rules on the target, where the domains overlap.
    """

    gain: float
    stderr: float
    pvalue: float
    overlap: float
    shared_accuracy: float
    own_accuracy: float


def concept_shift(xs: Any, ys: Any, xt: Any, yt: Any, *, folds: int = 5, seed: int = 0) -> ConceptShift:
    """Does each domain need a labelling rule of its own?

    Two logistic regressions on a kernel map φ of the inputs predict the label. The shared rule is
    ``log p(y|x, d) = w_y·φ(x) + b_{y,d} + const``, with intercepts that follow the class shares of each domain. The
    other has weights for each domain, ``w_{y,d}``. Under covariate shift and label shift ``p_t(y|x) ∝ r_y p_s(y|x)``
    holds and the first suffices; where the rule has changed the second predicts held-out examples better.

    Source examples weigh ``P(target | x)`` and target examples ``P(source | x)``. With these overlap weights both
    domains have the same distribution of inputs, so that a rule that is too simple is wrong in the same way in both,
    and the places where only one domain lives count for nothing.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
    ys, yt : array or tensor of shape (n,) and (m,)
        Labels, of one vocabulary.
    folds : int
        Parts for cross-fitting.
    seed : int

    Returns
    -------
    ConceptShift

    Raises
    ------
    TypeError, ValueError
        If inputs or labels are malformed, fewer than two classes occur in both domains, or a domain has fewer than
        ``2 * folds`` examples of those classes.

    Notes
    -----
    The p-value is that of a one-sided normal test on the gains of held-out examples, both domains weighing the same. A
    rule of its own costs parameters, so that the gain is negative on average where nothing has changed and the test is
    conservative. ``P(target | x)`` is a logistic regression on φ, fitted to the training folds. Classes that occur in
    one domain only are left out.

    References
    ----------
    Li, Morgan, Zaslavsky (2018). Balancing covariates via propensity score weighting. JASA 113 (the overlap weights).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> xs, xt = rng.normal(size=(200, 2)), rng.normal(size=(200, 2))
    >>> same = concept_shift(xs, xs[:, 0] > 0, xt, xt[:, 0] > 0)
    >>> turned = concept_shift(xs, xs[:, 0] > 0, xt, xt[:, 1] > 0)
    >>> same.pvalue > 0.05 > turned.pvalue
    True
    """
    from scipy.stats import norm
    from sklearn.model_selection import StratifiedKFold

    xs, xt = as_pair(xs, xt)
    names = _common_names(ys, yt, len(xs), len(xt))
    x = np.concatenate([xs.cpu().numpy(), xt.cpu().numpy()]).astype(np.float64)
    domain = np.repeat([0, 1], [len(xs), len(xt)])
    y = as_labels(names, len(x))
    known = names != ""
    x, y, domain = x[known], np.unique(y[known], return_inverse=True)[1], domain[known]
    k = int(y.max()) + 1 if len(y) else 0
    if k < 2:
        raise ValueError("concept_shift needs at least two classes that occur in both domains")
    counts = np.bincount(domain, minlength=2)
    if folds < 2 or counts.min() < 2 * folds:
        raise ValueError(
            f"folds must be at least 2, and each domain needs {2 * max(folds, 2)} examples of the classes that both "
            f"have; got folds={folds} and {counts[0]} and {counts[1]} examples"
        )
    strata = domain * k + y
    counts = np.bincount(strata, minlength=2 * k)
    common = counts.reshape(2, k).argmax(1)
    # Classes with fewer examples than folds go with their domain's most common one.
    strata = np.where(counts[strata] < folds, domain * k + common[domain], strata)
    shared, own, weight = np.empty((2, len(y))), np.empty((2, len(y))), np.empty(len(y))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, strata):
        a, b = _features(x, train, test, seed)
        of_train, weight[test] = _overlap_weights(a, domain[train], b, domain[test])
        for out, interacting in ((shared, False), (own, True)):
            model = _fit(a, y[train], domain[train], of_train, interacting)
            out[:, test] = _judge(model, b, y[test], domain[test], k, interacting)
    gains = own[0] - shared[0]
    parts = [(gains[domain == d], weight[domain == d] / weight[domain == d].sum()) for d in (0, 1)]
    means = [float(w @ g) for g, w in parts]
    gain = sum(means) / 2
    stderr = float(np.sqrt(sum((w**2) @ (g - mean) ** 2 for (g, w), mean in zip(parts, means)))) / 2
    pvalue = float(norm.sf(gain / stderr)) if stderr > 0 else 1.0
    overlap = min(1.0, float(weight[domain == 0].mean() + weight[domain == 1].mean()))
    accuracies = [float(parts[1][1] @ rule[1][domain == 1]) for rule in (shared, own)]
    return ConceptShift(gain, stderr, pvalue, overlap, *accuracies)


def _common_names(ys: Any, yt: Any, n: int, m: int) -> np.ndarray:
    """Labels of both samples as text, empty for classes that only one of them has."""
    sides = []
    for y, size, name in ((ys, n, "ys"), (yt, m, "yt")):
        as_labels(y, size, name)  # its checks
        sides.append(np.asarray(y.detach().cpu() if hasattr(y, "detach") else y).astype(str))
    shared = np.intersect1d(*sides)
    pooled = np.concatenate(sides)
    return np.where(np.isin(pooled, shared), pooled, "")


def _features(x: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised inputs beside a kernel map of them, learnt from the training rows without labels."""
    from sklearn.decomposition import PCA
    from sklearn.kernel_approximation import Nystroem
    from sklearn.preprocessing import StandardScaler

    a, b = x[train], x[test]
    if x.shape[1] > DIMENSIONS:
        reduce = PCA(min(DIMENSIONS, len(a) - 1), svd_solver="randomized", random_state=seed).fit(a)
        a, b = reduce.transform(a), reduce.transform(b)
    scale = StandardScaler().fit(a)
    a, b = scale.transform(a), scale.transform(b)
    gamma = 1 / (2 * a.shape[1])  # half the expected squared distance of standardised points
    kernel = Nystroem(gamma=gamma, n_components=min(LANDMARKS, len(a) // 4 or 1), random_state=seed).fit(a)
    return np.hstack([a, kernel.transform(a)]), np.hstack([b, kernel.transform(b)])


def _overlap_weights(a, da, b, db) -> tuple[np.ndarray, np.ndarray]:
    """How much the other domain claims each training and each held-out example."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        model = LogisticRegression(max_iter=500, tol=1e-3, class_weight="balanced").fit(a, da)
    return tuple(model.predict_proba(z)[np.arange(len(z)), 1 - d] for z, d in ((a, da), (b, db)))


def _design(z: np.ndarray, domain: np.ndarray, interacting: bool) -> np.ndarray:
    sign = np.where(domain == 1, 1.0, -1.0)[:, None]
    # The intercepts of the domains are hardly penalised, for class shares may differ as they like.
    return np.hstack([z, 10 * sign, *([sign * z] if interacting else [])])


def _fit(z, y, domain, weight, interacting: bool):
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Each domain has half of the weight.
    totals = np.bincount(domain, weight, minlength=2)
    weight = weight * (len(weight) / 2) / totals[domain]
    with threadpool_limits(1, user_api="blas"):
        return LogisticRegression(max_iter=500, tol=1e-3).fit(_design(z, domain, interacting), y, weight)


def _judge(model, z, y, domain, k: int, interacting: bool) -> np.ndarray:
    """Log-likelihood and correctness of held-out labels."""
    logp = np.full((len(z), k), -np.inf)
    logp[:, model.classes_] = model.predict_log_proba(_design(z, domain, interacting))
    return np.stack([np.maximum(logp[np.arange(len(z)), y], -20.0), logp.argmax(1) == y])
