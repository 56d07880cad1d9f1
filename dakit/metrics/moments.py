"""Distances between the means and covariances of two samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dakit.metrics.pairwise import blocks
from dakit.metrics.samples import as_pair


def coral_distance(xs: Any, xt: Any) -> float:
    """Distance between second-order statistics, ``|Cs - Ct|_F² / (4 d²)``.

    ``Cs`` and ``Ct`` are the covariance matrices with ``n - 1`` in the denominator. The means play no part, so that a
    pure translation is invisible to it. It grows with the fourth power of the scale of the features.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features.

    Returns
    -------
    float, at least 0

    Raises
    ------
    TypeError, ValueError
        If a sample is not numeric, has fewer than 2 examples, NaN or infinite values, or other features than its
        partner.

    Notes
    -----
    Float64, in memory O((n + m) d + d²), or O((n + m) d) where there are more features than points.

    References
    ----------
    Sun, Saenko (2016). Deep CORAL: correlation alignment for deep domain adaptation. ECCV workshops, eq. 1.

    Examples
    --------
    >>> coral_distance([[-1.0], [1.0]], [[-2.0], [2.0]])  # variances 2 and 8
    9.0
    """
    a, b = (_centred_root(x) for x in as_pair(xs, xt))
    d = a.shape[1]
    if d <= len(a) + len(b):
        squared = (a.T @ a - b.T @ b).square().sum()
    else:
        # |A'A - B'B|² by the inner products of the examples, for d x d numbers would be more than the data.
        squared = (
            _sum_of_squared_products(a, a)
            + _sum_of_squared_products(b, b)
            - 2 * _sum_of_squared_products(a, b)
        )
    return max(0.0, float(squared)) / (4 * d**2)


def frechet_distance(xs: Any, xt: Any) -> float:
    """Squared 2-Wasserstein distance between the Gaussians with the samples' moments (the "FID" formula).

    ``|mean_s - mean_t|² + tr(Cs + Ct - 2 (Cs^½ Ct Cs^½)^½)`` with covariances of denominator ``n - 1``. For other
    distributions with these moments it is a lower bound. Few examples bias it upwards, the more the more features there
    are: compare values only at equal numbers of examples.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features.

    Returns
    -------
    float, at least 0
        In squared units of the features.

    Raises
    ------
    TypeError, ValueError
        As for :func:`coral_distance`.

    Notes
    -----
    The trace term is the sum of the roots of the eigenvalues of ``L' Ct L`` with ``Cs = L L'``, a symmetric problem and
    6 to 15 times cheaper than a matrix square root. Where a covariance is singular (no more examples than features,
    or dependent features), it is the sum of the singular values of ``A B'`` with ``Cs = A'A`` and ``Ct = B'B``: the
    same number, free of the square root of a rounding error for every eigenvalue that should be zero.

    References
    ----------
    Dowson, Landau (1982). The Fréchet distance between multivariate normal distributions. J. Multivar. Anal. 12.
    Heusel et al. (2017). GANs trained by a two time-scale update rule converge to a local Nash equilibrium. NIPS.

    Examples
    --------
    >>> frechet_distance([[-1.0], [1.0]], [[2.0], [6.0]])  # (4 - 0)² + (√8 - √2)²
    18.0
    """
    xs, xt = as_pair(xs, xt)
    between_means = float((xs.mean(0, dtype=torch.float64) - xt.mean(0, dtype=torch.float64)).square().sum())
    a, b = _centred_root(xs), _centred_root(xt)
    traces = float(torch.linalg.vector_norm(a) ** 2 + torch.linalg.vector_norm(b) ** 2)
    return between_means + max(0.0, traces - 2 * _trace_of_root(a, b))


def _centred_root(x: Tensor) -> Tensor:
    """``A`` of shape (n, d) in float64, with ``A'A`` the covariance of ``x``."""
    return (x - x.mean(0, dtype=torch.float64)).div_((len(x) - 1) ** 0.5)


def _sum_of_squared_products(a: Tensor, b: Tensor) -> Tensor:
    """``|a b'|_F²``, a block of rows at a time."""
    return sum((a[at] @ b.T).square().sum() for at in blocks(len(a), tile=1024))


def _trace_of_root(a: Tensor, b: Tensor) -> float:
    """``tr (Cs^½ Ct Cs^½)^½`` for ``Cs = a'a`` and ``Ct = b'b``."""
    d = a.shape[1]
    if min(len(a), len(b)) > d:
        cs, ct = a.T @ a, b.T @ b
        root = _regular_root(cs)
        if root is not None and _regular_root(ct) is not None:
            return float(torch.linalg.eigvalsh(root.T @ ct @ root).clamp(min=0).sqrt().sum())
    # Any root of a covariance will do, and R of A = QR is one with at most d rows.
    a, b = (torch.linalg.qr(r, mode="r").R if len(r) > d else r for r in (a, b))
    return float(torch.linalg.svdvals(a @ b.T).sum())


def _regular_root(covariance: Tensor) -> Tensor | None:
    """The Cholesky factor, or None where the covariance is singular or nearly so."""
    root, failed = torch.linalg.cholesky_ex(covariance)
    pivots = root.diagonal()
    return None if failed or bool(pivots.min() <= 1e-6 * pivots.max()) else root
