"""How well a trained model will transfer to a labelled task, told before any training: LEEP, NCE, H-score, LogME."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dakit.metrics.probabilities import as_probabilities
from dakit.metrics.samples import as_labels, as_sample, as_tensor

FINEST = 1e-12  # smallest noise variance relative to the signal that LogME considers


def leep(source_probs: Any, y: Any) -> float:
    """Log expected empirical prediction. Higher is better.

    ``1/n sum_i log sum_z P(y_i | z) theta_iz``, where ``theta_i`` are the source model's probabilities of *its own*
    classes z on example i of the task, and ``P(y | z) = sum_{i: y_i = y} theta_iz / sum_i theta_iz``.

    Parameters
    ----------
    source_probs : array or tensor of shape (n, k)
        Source classes that no example has any probability of are ignored.
    y : array or tensor of shape (n,)
        Labels of the task; any names.

    Returns
    -------
    float, at most 0
        In nats per example; 0 for a task of one class.

    Raises
    ------
    TypeError, ValueError
        If the rows are not finite probabilities or a label is missing.

    References
    ----------
    Nguyen, Hassner, Seeger, Archambeau (2020). LEEP: a new measure to evaluate transferability of learned
    representations. ICML.

    Examples
    --------
    >>> round(leep([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"]), 6) == 0
    True
    """
    theta = as_probabilities(source_probs, "source_probs")
    y = as_labels(y, len(theta))
    joint = np.zeros((y.max() + 1, theta.shape[1]))
    np.add.at(joint, y, theta)
    marginal = joint.sum(0)
    conditional = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)
    # Positive: an example adds its own probability to the share of its class.
    expected = np.einsum("iz,iz->i", conditional[y], theta)
    return min(0.0, float(np.log(expected).mean()))


def nce(source_labels: Any, y: Any) -> float:
    """Negative conditional entropy of the task's labels given the source model's. Higher is better.

    ``-H(Y | Z) = 1/n sum_i log P(y_i | z_i)`` with the empirical ``P``. LEEP of one-hot
    predictions is the NCE.

    Parameters
    ----------
    source_labels : array or tensor of shape (n,)
        Class that the source model predicts for each example, in its own classes; any names.
    y : array or tensor of shape (n,)
        Labels of the task; any names.

    Returns
    -------
    float in [-log k, 0]
        In nats, k the number of classes of the task.

    Raises
    ------
    ValueError
        If the two have different lengths or a label is missing.

    References
    ----------
    Tran, Nguyen, Hassner (2019). Transferability and hardness of supervised classification tasks. ICCV.

    Examples
    --------
    >>> round(nce([0, 0, 1, 1], [0, 1, 2, 2]), 4)  # half of the examples hide one bit
    -0.3466
    """
    n = np.shape(source_labels)[0] if np.ndim(source_labels) else 0
    if n == 0:
        raise ValueError("source_labels must hold at least one label, shape (n,)")
    z, y = as_labels(source_labels, n, "source_labels"), as_labels(y, n)
    joint = np.zeros((z.max() + 1, y.max() + 1))
    np.add.at(joint, (z, y), 1.0)
    return min(0.0, float(np.log(joint[z, y] / joint.sum(1)[z]).mean()))


def h_score(features: Any, y: Any, *, shrinkage: bool = False) -> float:
    """Share of the features' variance that lies between the classes, direction by direction. Higher is better.

    ``tr(cov(f)⁻¹ cov(E[f | y]))``. The same after any invertible linear map of the features.

    Parameters
    ----------
    features : array or tensor of shape (n, d)
    y : array or tensor of shape (n,)
        Labels; any names, at least two different ones.
    shrinkage : bool
        Shrink the covariance towards a multiple of the identity by Ledoit and Wolf's amount ``a``, and the covariance
        of the class means by ``1 - a``. Without it, the score of as many features as examples says nothing: it is its
        largest value, whatever the labels.

    Returns
    -------
    float in [0, k - 1]
        At most the rank of the features, too.

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or all equal, or there is one class only.

    Notes
    -----
    Directions without variance are left out, as by a pseudo-inverse.

    References
    ----------
    Bao, Li, Huang, Zhang, Zheng, Zamir, Guibas (2019). An information-theoretic approach to transferability in task
    transfer learning. ICIP. Ibrahim, Ponomareva, Mazumder (2022). Newer is not always better: rethinking
    transferability metrics, their peculiarities, stability and performance. ECML PKDD.

    Examples
    --------
    >>> round(h_score([[-1.0], [-1.0], [1.0], [1.0]], [0, 0, 1, 1]), 6)
    1.0
    """
    f, eps = _features(features)
    y = as_labels(y, len(f))
    if y.max() == 0:
        raise ValueError("all examples have one label; the H-score needs at least two classes")
    f = f - f.mean(0)
    largest = np.abs(f).max()
    if largest <= eps:
        raise ValueError("all rows of features are equal, so there is no variance to explain")
    f /= largest
    means = np.zeros((y.max() + 1, f.shape[1]))
    np.add.at(means, y, f)
    counts = np.bincount(y)
    means *= 1 / np.sqrt(counts)[:, None] / math.sqrt(len(f))  # rows whose products sum to cov(E[f | y])
    if not shrinkage:
        _, s, vt = np.linalg.svd(f, full_matrices=False)
        kept = s > max(f.shape) * eps * s[0]
        roots = (means @ vt[kept].T) / (s[kept] / math.sqrt(len(f)))
        return float((roots**2).sum())
    from sklearn.covariance import ledoit_wolf_shrinkage

    amount = float(ledoit_wolf_shrinkage(f, assume_centered=True))
    floor = amount * float((f**2).sum()) / len(f) / f.shape[1]
    # (b f'f/n + floor I)⁻¹ in the directions of f; the class means lie in their span.
    _, s, vt = np.linalg.svd(f, full_matrices=False)
    variance = (1 - amount) * s**2 / len(f) + floor
    kept = variance > max(f.shape) * eps * variance[0]
    return float((1 - amount) * ((means @ vt[kept].T) ** 2 / variance[kept]).sum())


def logme(features: Any, y: Any, *, regression: bool = False) -> float:
    """Log of maximum evidence of a Bayesian linear model of the labels, per example. Higher is better.

    For each class c with targets ``t = [y = c]``: ``max_{alpha, beta} 1/n log p(t | F, alpha, beta)`` where
    ``t ~ N(F w, 1/beta)`` and ``w ~ N(0, 1/alpha)``; the mean over classes. There is no intercept and no
    centring, as in the paper.

    Parameters
    ----------
    features : array or tensor of shape (n, d)
    y : array or tensor of shape (n,), or (n, t) with ``regression``
        Labels, any names, at least two different ones; or real targets.
    regression : bool
        Take ``y`` as numbers to predict.

    Returns
    -------
    float
        In nats per example; without limits, for it is a log density. Comparable between features for the same ``y``.

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers, there is one class only (its targets are constant), or a real target is all
        0.

    Notes
    -----
    With the singular values s and left vectors u of F and the ratio ``lambda = alpha/beta``, the best ``beta`` is known
    and the evidence is ``-1/2 log(2 pi e q/n) - 1/2n sum_i log(1 + s_i²/lambda)``, ``q = |t|² - sum_i (u_i't)²
    s_i²/(s_i² + lambda)``. It is maximised over ``log lambda`` on a grid and then by golden section; the fixed point of
    the paper ends at the same place where it converges, but can also run to infinity (features that say nothing). Where
    the labels are a linear function of the features the evidence has no bound: ``lambda`` stops at 1e-12 of the largest
    ``s²``, and the residual at 1e-12 of ``|t|²``.

    References
    ----------
    You, Liu, Wang, Long (2021). LogME: practical assessment of pre-trained models for transfer learning. ICML.
    MacKay (1992). Bayesian interpolation. Neural Comput. 4.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat([0, 1], 50)
    >>> noise = np.random.default_rng(0).normal(size=(100, 3))
    >>> logme(noise + y[:, None], y) > logme(noise, y)
    True
    """
    f, eps = _features(features)
    if regression:
        t = as_tensor(y, "y").double().cpu().numpy()
        t = t[:, None] if t.ndim == 1 else t
        if t.ndim != 2 or len(t) != len(f) or not (np.abs(t) <= 1e100).all():
            raise ValueError(
                f"y must hold finite targets of shape ({len(f)},) or ({len(f)}, t), got {t.shape}"
            )
        units = np.abs(t).max(0)
        if (units == 0).any():
            raise ValueError("a target in y is 0 for all examples, so there is nothing to predict")
        t = t / units
    else:
        y = as_labels(y, len(f))
        if y.max() == 0:
            raise ValueError("all examples have one label; LogME needs at least two classes")
        t = np.eye(y.max() + 1)[y]
        units = np.ones(t.shape[1])
    n = len(f)
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    kept = s > max(f.shape) * eps * max(s[0], 1e-300)
    u, s = u[:, kept], s[kept]
    x = u.T @ t
    whole = (t**2).sum(0)
    rest = ((t - u @ x) ** 2).sum(0)  # not whole minus explained, which cancels
    if len(s) == 0:
        return float((-0.5 * np.log(2 * math.pi * math.e * whole / n) - np.log(units)).mean())

    def evidence(log_lambda: np.ndarray) -> np.ndarray:
        """Of shape (..., t) for log lambda of shape (..., t)."""
        # Relative to s_0², so that lambda and s² may have any unit.
        ratio = np.exp(log_lambda)[..., None, :] / (s**2 / s[0] ** 2)[:, None]  # lambda / s_i²
        q = np.maximum(rest + (x**2 * (ratio / (1 + ratio))).sum(-2), FINEST * whole)
        return -0.5 * np.log(2 * math.pi * math.e * q / n) - np.log1p(1 / ratio).sum(-2) / (2 * n)

    low, high, step = math.log(FINEST), math.log(1e8 * n), 0.25
    grid = np.arange(low, high + step, step)
    values = np.array([evidence(np.full(t.shape[1], g)) for g in grid])
    best = values.argmax(0)
    a, b = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = b - golden * (b - a), a + golden * (b - a)
        lower = evidence(left) > evidence(right)
        a, b = np.where(lower, a, left), np.where(lower, right, b)
    found = np.maximum(evidence((a + b) / 2), values.max(0))
    return float((found - np.log(units)).mean())


def _features(features: Any) -> tuple[np.ndarray, float]:
    """The features in float64, their largest value 1, and the precision in which they came."""
    f = as_sample(features, "features")
    largest = float(f.abs().max())
    eps = float(np.finfo(str(f.dtype).removeprefix("torch.")).eps)
    return f.double().cpu().numpy() / (largest or 1.0), eps
