"""Distances between the means and covariances of two samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
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
    means = [x.mean(0, dtype=torch.float64) for x in (xs, xt)]
    between_means = float((means[0] - means[1]).square().sum())
    traces = _regular_traces(xs, xt, means) if min(len(xs), len(xt)) > xs.shape[1] else None
    of_covariances, of_root = traces or _singular_traces(xs, xt)
    return between_means + max(0.0, of_covariances - 2 * of_root)


def _centred_root(x: Tensor) -> Tensor:
    """``A`` of shape (n, d) in float64, with ``A'A`` the covariance of ``x``."""
    return (x - x.mean(0, dtype=torch.float64)).div_((len(x) - 1) ** 0.5)


def _sum_of_squared_products(a: Tensor, b: Tensor) -> Tensor:
    """``|a b'|_F²``, a block of rows at a time."""
    return sum((a[at] @ b.T).square().sum() for at in blocks(len(a), tile=1024))


def _regular_traces(xs: Tensor, xt: Tensor, means: list[Tensor]) -> tuple[float, float] | None:
    """``tr(Cs + Ct)`` and ``tr (Cs^½ Ct Cs^½)^½``, or None where a covariance is singular or nearly so."""
    from scipy.linalg import eigvalsh, lapack

    cs, ct = (_covariance(x, mean) for x, mean in zip((xs, xt), means))
    scales = [float(c.trace()) for c in (cs, ct)]
    if not min(scales) > 0:
        return None
    # In units of their traces, for the product of two covariances of huge features could overflow.
    cs, ct = cs / scales[0], ct / scales[1]
    root, failed = lapack.dpotrf(cs, lower=True)
    other, also_failed = lapack.dpotrf(ct, lower=True)
    if failed or also_failed or _nearly_singular(root) or _nearly_singular(other):
        return None
    middle, _ = lapack.dsygst(ct, root, itype=2, lower=True)  # L' Ct L by half the arithmetic of two products
    values = eigvalsh(middle, lower=True, check_finite=False)
    return sum(scales), math.sqrt(scales[0]) * math.sqrt(scales[1]) * float(np.sqrt(values.clip(min=0)).sum())


def _singular_traces(xs: Tensor, xt: Tensor) -> tuple[float, float]:
    """The same two numbers from any roots of the covariances, which may be singular."""
    a, b = _centred_root(xs), _centred_root(xt)
    of_covariances = float(torch.linalg.vector_norm(a) ** 2 + torch.linalg.vector_norm(b) ** 2)
    # R of A = QR is a root with at most d rows.
    a, b = (torch.linalg.qr(r, mode="r").R if len(r) > r.shape[1] else r for r in (a, b))
    return of_covariances, float(torch.linalg.svdvals(a @ b.T).sum())


def _covariance(x: Tensor, mean: Tensor) -> np.ndarray:
    """The lower triangle of the covariance, float64, in LAPACK's order."""
    if x.device.type != "cpu":
        root = _centred_root(x)
        return (root.T @ root).cpu().numpy().T
    from scipy.linalg.blas import dsyrk

    x, mean = x.numpy(), mean.numpy()
    covariance = np.zeros((x.shape[1], x.shape[1]), order="F")
    # Blocks of rows: a float64 copy of the sample would cost more than its product where memory is fresh.
    for at in blocks(len(x), tile=1024):
        covariance = dsyrk(
            1 / (len(x) - 1), (x[at] - mean).T, beta=1, c=covariance, lower=True, overwrite_c=True
        )
    return covariance


def _nearly_singular(root: np.ndarray) -> bool:
    pivots = root.diagonal()
    return bool(pivots.min() <= 1e-6 * pivots.max())
