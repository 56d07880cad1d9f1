"""Central moment discrepancy."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cmd(xs: Tensor, xt: Tensor, *, moments: int = 5, interval: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Central moment discrepancy: distances of the means and of the central moments up to order K.

    ``|E xs - E xt| / w + sum_{k=2..K} |c_k(xs) - c_k(xt)| / w^k`` with ``c_k(x) = E (x - E x)^k`` feature by feature,
    Euclidean norms over the features, and ``w = b - a`` the width of the interval [a, b] that holds all features.

    Only for features in an interval do the moments of all orders determine the distributions, and only then is each
    term bounded: by ``sqrt(d)``. Outside of it a term grows with the k-th power of the features, and the highest order
    drowns all others. Values are not checked against the interval; bound the features first, by a sigmoid or tanh.
    What features do together (covariances) is not seen.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain, within ``interval``.
    moments : int, at least 1
        K. With 1 only the means are compared.
    interval : (float, float)
        Lower and upper bound of every feature: (0, 1) after a sigmoid, (-1, 1) after a tanh.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, ``moments`` is no positive whole number, or ``interval`` is not a
        finite lower bound and a higher one.

    References
    ----------
    Zellinger, Grubinger, Lughofer, Natschläger, Saminger-Platz (2017). Central moment discrepancy (CMD) for
    domain-invariant representation learning. ICLR.

    Examples
    --------
    >>> import torch
    >>> cmd(
    ...     torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [0.5]])
    ... )  # means equal; 1/4 of order 2, 1/16 of order 4
    tensor(0.3125)
    """
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or 0 in (*xs.shape, *xt.shape):
        raise ValueError(
            "cmd needs batches of shape (n, d) and (m, d), at least 1 example each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
    check_moments(moments)
    low, high = check_interval(interval)
    width = high - low
    # Divided before the powers are taken: all that follows stays within [-1, 1].
    mean_s, mean_t = xs.mean(0) / width, xt.mean(0) / width
    cs, ct = xs / width - mean_s, xt / width - mean_t
    total = _norm(mean_s - mean_t)
    for k in range(2, moments + 1):
        total = total + _norm(cs.pow(k).mean(0) - ct.pow(k).mean(0))
    return total


def check_moments(moments: int) -> None:
    """Raise ValueError unless ``moments`` is a positive whole number."""
    if isinstance(moments, bool) or not isinstance(moments, int) or moments < 1:
        raise ValueError(
            f"moments, the highest order K, must be a whole number of at least 1, got {moments!r}"
        )


def check_interval(interval: tuple[float, float]) -> tuple[float, float]:
    """The two bounds as floats; ValueError unless they are finite and the second is higher."""
    bounds = tuple(float(b) for b in interval)
    if len(bounds) != 2 or not -math.inf < bounds[0] < bounds[1] < math.inf:
        raise ValueError(
            f"interval must be a finite lower bound and a higher one, such as (0, 1), got {interval!r}"
        )
    return bounds


def _norm(x: Tensor) -> Tensor:
    # The slope of the root is infinite at 0, where torch.linalg.vector_norm gives the gradient 0: equal moments stay.
    return torch.linalg.vector_norm(x)
