"""Losses on the Euclidean norm of features."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def hard_feature_norm(xs: Tensor, xt: Tensor, *, radius: float = 25.0) -> Tensor:
    """Distance of each domain's mean feature norm from a common radius: ``(m_s - R)² + (m_t - R)²``.

    ``m = mean_i |x_i|`` is the mean norm of a batch. Single norms are free to spread about it.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.
    radius : float, positive
        R, in units of the features.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, or ``radius`` is not positive.

    References
    ----------
    Xu, Li, Yang, Lin (2019). Larger norm more transferable: an adaptive feature norm approach for unsupervised domain
    adaptation. ICCV.

    Examples
    --------
    >>> import torch
    >>> hard_feature_norm(
    ...     torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]]), radius=4.0
    ... )  # 1 + 4
    tensor(5.)
    """
    _check(xs, xt)
    check_positive("radius", radius)
    return sum((_norms(x).mean() - radius).square() for x in (xs, xt))


def stepwise_feature_norm(xs: Tensor, xt: Tensor, *, step: float = 1.0) -> Tensor:
    """Pull the norm of every example a step beyond what it is: ``mean_i (|x_i| - (|x_i|' + Δr))²`` over both batches.

    ``|x_i|'`` is the same norm without gradient. The value is therefore always ``Δr²`` and tells nothing; what counts
    is the gradient, of length ``2 Δr / (n + m)`` an example, along the example itself, whatever its norm. A feature
    vector of exactly 0 has no direction and gets the gradient 0.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.
    step : float, positive
        Δr, in units of the features.

    Returns
    -------
    Tensor, scalar
        ``Δr²``.

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, or ``step`` is not positive.

    References
    ----------
    Xu, Li, Yang, Lin (2019). Larger norm more transferable: an adaptive feature norm approach for unsupervised domain
    adaptation. ICCV.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[3.0, 4.0]], requires_grad=True)
    >>> stepwise_feature_norm(x, torch.ones(1, 2)).backward()
    >>> x.grad  # -2 / 2 times the direction (0.6, 0.8)
    tensor([[-0.6000, -0.8000]])
    """
    _check(xs, xt)
    check_positive("step", step)
    norms = torch.cat([_norms(xs), _norms(xt)])
    return (norms - (norms.detach() + step)).square().mean()


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` is positive and finite."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive, finite number, got {value}")


def _norms(x: Tensor) -> Tensor:
    # vector_norm gives the gradient 0 at a feature vector of 0, where the root of a sum of squares gives NaN.
    return torch.linalg.vector_norm(x, dim=1)


def _check(xs: Tensor, xt: Tensor) -> None:
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or 0 in (*xs.shape, *xt.shape):
        raise ValueError(
            "feature norms need batches of shape (n, d) and (m, d), at least 1 example each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
