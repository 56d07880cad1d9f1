"""Canonical correlations of two representations of the same examples, and the similarities made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.samples import as_tensor
from dakit.metrics.similarity import as_views


def canonical_correlations(a: Any, b: Any) -> np.ndarray:
    """Canonical correlations: the largest correlations of linear combinations of ``a`` and ``b``, one after another.

    The singular values of ``Qa' Qb`` with Q an orthonormal basis of the centred columns. Directions that are rounding
    errors of the data's precision are left out, so that dependent and constant features are harmless.

    Parameters
    ----------
    a, b : array or tensor of shape (n, p) and (n, q)
        Row i of both belongs to example i.

    Returns
    -------
    array of shape (min(rank a, rank b),), float64
        In [0, 1], falling. Too large for few examples: unrelated features have a largest correlation of about
        ``sqrt(p/n) + sqrt(q/n)``.

    Raises
    ------
    TypeError, ValueError
        If a representation is not a finite matrix or has no variation, the two have different numbers of rows, or one
        spans all of the ``n - 1`` directions that n centred examples have: all correlations are 1 then, whatever the
        other is.

    References
    ----------
    Hotelling (1936). Relations between two sets of variates. Biometrika 28. Björck, Golub (1973). Numerical methods for
    computing angles between linear subspaces. Math. Comput. 27.

    Examples
    --------
    >>> canonical_correlations([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]]).round(6)
    array([1.])
    """
    qa, qb, _ = _bases(a, b, 1.0)
    return _correlations(qa, qb)[0]


def cca(a: Any, b: Any) -> float:
    """Mean canonical correlation of two representations.

    The same after any invertible linear map of either, which makes it blind to what CKA sees: how much of the variance
    lies in the shared directions. With ``p != q`` the mean is over the smaller rank.

    Parameters
    ----------
    a, b
        As for :func:`canonical_correlations`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    TypeError, ValueError
        As for :func:`canonical_correlations`.

    Examples
    --------
    >>> round(cca([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]]), 6)
    1.0
    """
    return float(canonical_correlations(a, b).mean())


def svcca(a: Any, b: Any, *, keep: float = 0.99) -> float:
    """Mean canonical correlation of the leading principal directions of two representations.

    Parameters
    ----------
    a, b
        As for :func:`canonical_correlations`.
    keep : float in (0, 1]
        Of each, take the fewest principal directions that hold this share of the variance.

    Returns
    -------
    float in [0, 1]
        The same after a rotation or a common scale, but not after any linear map.

    Raises
    ------
    TypeError, ValueError
        As for :func:`canonical_correlations`, and if ``keep`` is outside (0, 1].

    References
    ----------
    Raghu, Gilmer, Yosinski, Sohl-Dickstein (2017). SVCCA: singular vector canonical correlation analysis for deep
    learning dynamics and interpretability. NIPS.

    Examples
    --------
    >>> round(svcca([[0.0, 0.01], [1.0, -0.01], [2.0, 0.0], [3.0, 0.0]], [[1.0], [3.0], [5.0], [7.0]]), 6)
    1.0
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must lie in (0, 1], got {keep}")
    qa, qb, _ = _bases(a, b, keep)
    return float(_correlations(qa, qb)[0].mean())


def pwcca(a: Any, b: Any) -> float:
    """Mean canonical correlation, weighted by how much of ``a`` each canonical direction accounts for.

    ``sum_i alpha_i rho_i / sum_i alpha_i`` with ``alpha_i = sum_j |<h_i, a_j>|``, h_i the canonical variates of
    ``a`` and a_j its centred columns. Not symmetric.

    Parameters
    ----------
    a, b
        As for :func:`canonical_correlations`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    TypeError, ValueError
        As for :func:`canonical_correlations`.

    References
    ----------
    Morcos, Raghu, Bengio (2018). Insights on representational similarity in neural networks with canonical correlation.
    NeurIPS.

    Examples
    --------
    >>> round(pwcca([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]]), 6)
    1.0
    """
    qa, qb, columns = _bases(a, b, 1.0)
    rho, left = _correlations(qa, qb)
    alpha = ((qa @ left).T @ columns).abs().sum(1).cpu().numpy()
    return float(alpha @ rho / alpha.sum())


def _bases(a: Any, b: Any, keep: float) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormal bases (n, rank) of the centred columns of both, and the centred ``a``."""
    precisions = [torch.finfo(as_tensor(x, name).dtype).eps for x, name in ((a, "a"), (b, "b"))]
    a, b, *_ = as_views(a, b, at_least=3)
    found = []
    for x, name, eps in zip((a, b), "ab", precisions):
        u, s, _ = torch.linalg.svd(x, full_matrices=False)
        if float(s[0]) == 0:
            raise ValueError(f"all rows of {name} are equal, so they correlate with nothing")
        rank = int((s > max(x.shape) * eps * s[0]).sum())
        if keep < 1:
            shares = s.square().cumsum(0) / s.square().sum()
            rank = min(rank, int((shares < keep * (1 - 1e-12)).sum()) + 1)
        if rank >= len(x) - 1:
            raise ValueError(
                f"{name} spans all {len(x) - 1} directions that {len(x)} centred examples have, so every canonical "
                "correlation is 1; take more examples, or svcca with fewer directions"
            )
        found.append(u[:, :rank])
    return found[0], found[1], a


def _correlations(qa: Tensor, qb: Tensor) -> tuple[np.ndarray, Tensor]:
    """Canonical correlations, and the directions of ``qa`` that belong to them."""
    left, s, _ = torch.linalg.svd(qa.T @ qb, full_matrices=False)
    return s.clamp(max=1).cpu().numpy(), left
