"""How far a head is from being the best one in every environment: penalties from its gradients, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def irm_penalty(logits: Tensor, y: Tensor, *, label_smoothing: float = 0.0, halves: bool = False) -> Tensor:
    """Squared slope of the risk along a scale of the logits: the penalty of IRMv1, for one environment.

    ``(d/dw R(w · z) at w = 1)²`` for logits z and the mean cross-entropy R. The slope is
    ``mean_i sum_k (p_ik - q_ik) z_ik`` with ``p = softmax(z)`` and the (smoothed) labels q as distributions: 0 where no
    scaling of the logits would lower the risk, whatever the risk is.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
    y : Tensor of shape (n,), int64
    label_smoothing : float in [0, 1]
    halves : bool
        Multiply the slopes of two halves of the rows (every second one) instead of squaring that of all. The square of
        a noisy slope is too large on average, the product is not; but it can be negative. Needs 2 rows.

    Returns
    -------
    Tensor, scalar, at least 0 unless ``halves``

    Raises
    ------
    ValueError
        If the shapes do not fit, there are too few rows, or ``label_smoothing`` lies outside [0, 1].

    References
    ----------
    Arjovsky, Bottou, Gulrajani, Lopez-Paz (2019). Invariant risk minimization. arXiv:1907.02893, section 3.1.

    Examples
    --------
    >>> import torch
    >>> z = torch.tensor([[1.0, -1.0]])
    >>> irm_penalty(z, torch.tensor([0]))  # p = 0.8808, slope 2 (p - 1) = -0.2384
    tensor(0.0568)
    """
    if halves and len(logits) < 2:
        raise ValueError(f"two halves need at least 2 rows of logits, got {len(logits)}")
    slopes = (residuals(logits, y, label_smoothing=label_smoothing) * logits).sum(1)
    return slopes[::2].mean() * slopes[1::2].mean() if halves else slopes.mean().square()


def gradient_variance(features: Tensor, logits: Tensor, y: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Variance over the examples of the gradients of a linear head, entry by entry.

    With ``z = W f + b`` and ``r = softmax(z) - q`` the cross-entropy of one example has the gradients ``r f'`` with
    respect to W and ``r`` with respect to b. Their variances (n in the denominator) are returned. They come from two
    products of matrices; the n gradients are never held at once.

    Parameters
    ----------
    features : Tensor of shape (n, d)
    logits : Tensor of shape (n, k)
        What the head makes of ``features``.
    y : Tensor of shape (n,), int64
    label_smoothing : float in [0, 1]

    Returns
    -------
    Tensor of shape (k, d + 1)
        The bias in the last column. At least 0, but for rounding.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no rows, or ``label_smoothing`` lies outside [0, 1].

    References
    ----------
    Rame, Dancette, Cord (2022). Fishr: invariant gradient variances for out-of-distribution generalization. ICML.

    Examples
    --------
    >>> import torch
    >>> f, z = torch.tensor([[2.0], [2.0]]), torch.zeros(2, 2)  # r = (-1/2, 1/2) and (1/2, -1/2)
    >>> gradient_variance(f, z, torch.tensor([0, 1]))
    tensor([[1.0000, 0.2500],
            [1.0000, 0.2500]])
    """
    if features.ndim != 2 or len(features) != len(logits):
        raise ValueError(
            f"features must have shape (n, d) with one row for each of the {len(logits)} rows of logits, "
            f"got {tuple(features.shape)}"
        )
    r = residuals(logits, y, label_smoothing=label_smoothing)
    f = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
    return (r.square().T @ f.square()) / len(f) - (r.T @ f / len(f)).square()


def residuals(logits: Tensor, y: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Gradient of each example's cross-entropy with respect to its logits: ``softmax(z) - q``, shape (n, k)."""
    if logits.ndim != 2 or 0 in logits.shape or y.shape != logits.shape[:1]:
        raise ValueError(
            "logits must have shape (n, k) and y shape (n,), with at least one example, "
            f"got {tuple(logits.shape)} and {tuple(y.shape)}"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in [0, 1], got {label_smoothing}")
    k = logits.shape[1]
    q = functional.one_hot(y, k).to(logits.dtype) * (1 - label_smoothing) + label_smoothing / k
    return logits.softmax(1) - q
