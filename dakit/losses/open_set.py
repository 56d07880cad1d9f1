"""Losses for targets with classes that the source never had."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus


def unknown_boundary(logits: Tensor, *, t: float = 0.5) -> Tensor:
    """Binary cross-entropy between the probability of the last class, "unknown", and a constant t.

    ``- t mean_i log p_i,k+1 - (1 - t) mean_i log (1 - p_i,k+1)`` with ``p = softmax(logits)``. A classifier that
    minimises it says "unknown" with probability t of every example; features that maximise it have to choose a side.

    Parameters
    ----------
    logits : Tensor of shape (n, k + 1)
        k known classes and the unknown one, k at least 1.
    t : float in [0, 1]

    Returns
    -------
    Tensor, scalar, at least the entropy of t: log 2 = 0.693 for one half

    Raises
    ------
    ValueError
        If ``logits`` does not have shape (n, k + 1), is empty, or ``t`` lies outside [0, 1].

    References
    ----------
    Saito, Yamamoto, Ushiku, Harada (2018). Open set domain adaptation by backpropagation. ECCV, eq. 2.

    Examples
    --------
    >>> unknown_boundary(torch.zeros(1, 2))  # log 2
    tensor(0.6931)
    """
    _check(logits, "logits", 2)
    if not 0 <= t <= 1:
        raise ValueError(f"t must lie in [0, 1], got {t}")
    # log p / (1 - p) of the unknown class: everything follows from it without a difference of large numbers.
    odds = logits[:, -1] - logits[:, :-1].logsumexp(1)
    return (softplus(odds) - t * odds).mean()


def entropy_separation(logits: Tensor, *, threshold: float | None = None, margin: float = 0.5) -> Tensor:
    """Pushes the entropy of each prediction away from a threshold, where it is clearly on one side.

    ``- mean_i |H_i - ρ| [ |H_i - ρ| > m ]`` with ``H_i`` the entropy of row i in nats: examples that are surely known
    get surer, those that are surely unknown less sure, and those between are left alone.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Of the known classes.
    threshold : float, optional
        ρ; ``log(k) / 2`` by default.
    margin : float, at least 0
        m. An entropy lies within ρ of ρ = log(k) / 2, so that the loss is 0 throughout where k ≤ exp(2 m): with
        m = 0.5, for two classes.

    Returns
    -------
    Tensor, scalar in [-max(ρ, log k - ρ), 0]

    Raises
    ------
    ValueError
        If ``logits`` is not of shape (n, k), or empty, or ``margin`` is negative.

    References
    ----------
    Saito, Kim, Sclaroff, Saenko (2020). Universal domain adaptation through self supervision. NeurIPS, eq. 5.

    Examples
    --------
    >>> entropy_separation(torch.zeros(1, 4))  # H = log 4, ρ = log 2
    tensor(-0.6931)
    """
    _check(logits, "logits", 2)
    if not margin >= 0:
        raise ValueError(f"margin must be at least 0, got {margin}")
    rho = math.log(logits.shape[1]) / 2 if threshold is None else threshold
    distance = (row_entropy(logits) - rho).abs()
    return -torch.where(distance > margin, distance, 0.0).mean()


def neighbourhood_entropy(
    features: Tensor, anchors: Tensor, *, own: Tensor | None = None, temperature: float = 0.05
) -> Tensor:
    """Mean entropy of each example's similarity to the anchors: low where it has few near neighbours.

    ``- mean_i Σ_j p_ij log p_ij`` with ``p_ij = exp(f_i · a_j / τ) / Σ_l exp(f_i · a_l / τ)``, j and l over all
    anchors except the example's own.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Of length 1.
    anchors : Tensor of shape (m, d)
        What the examples may be near: remembered features of the whole target, and prototypes of the known classes.
        Of length 1.
    own : Tensor of shape (n,), int64, optional
        Rows of ``anchors`` that are the examples themselves, left out of their sums.
    temperature : float, positive
        τ.

    Returns
    -------
    Tensor, scalar in [0, log m]

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, or ``temperature`` is not positive.

    References
    ----------
    Saito, Kim, Sclaroff, Saenko (2020). Universal domain adaptation through self supervision. NeurIPS, eq. 2 and 3.

    Examples
    --------
    >>> x = torch.eye(3)
    >>> neighbourhood_entropy(x, x, own=torch.arange(3))  # each as near to both others: log 2
    tensor(0.6931)
    """
    _check(features, "features", 1)
    _check(anchors, "anchors", 1)
    if features.shape[1] != anchors.shape[1]:
        raise ValueError(
            f"features and anchors must have the same width, got {tuple(features.shape)} and {tuple(anchors.shape)}"
        )
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive, got {temperature}")
    similarity = features @ anchors.T / temperature
    if own is not None:
        if own.shape != features.shape[:1]:
            raise ValueError(
                f"own must name one row of anchors for each of {len(features)} examples, got {tuple(own.shape)}"
            )
        if len(anchors) < 2:
            raise ValueError("an example needs an anchor beside its own, got one anchor")
        similarity = similarity.scatter(1, own[:, None], -torch.inf)
    return row_entropy(similarity).mean()


def row_entropy(logits: Tensor) -> Tensor:
    """Entropy of softmax(logits), row by row, in nats; a score of -inf rules a column out.

    Parameters
    ----------
    logits : Tensor of shape (n, k)

    Returns
    -------
    Tensor of shape (n,), in [0, log k]
    """
    log_p = log_softmax(logits, dim=1)
    # 0 log 0 is 0, and the clamp keeps the gradient from becoming NaN there.
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(1)


def _check(x: Tensor, name: str, least: int) -> None:
    if x.ndim != 2 or len(x) == 0 or x.shape[1] < least:
        raise ValueError(
            f"{name} must have shape (n, k) with at least one row and {least} column{'s'[: least > 1]}, "
            f"got {tuple(x.shape)}"
        )
