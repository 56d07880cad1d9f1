"""Losses on the singular values of a batch of features."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_spectral(xs: Tensor, xt: Tensor, *, k: int = 1) -> Tensor:
    """Batch spectral penalty: the squares of the k largest singular values of each domain's batch, summed.

    ``sum_{i=1..k} (σ_i(xs)² + σ_i(xt)²)`` with the matrices (n, d) and (m, d) as they are, not centred. The gradient
    with respect to xs is ``2 sum_i σ_i u_i v_i'``: features lose length along the leading directions only.

    The values come from the smaller of the two matrices of inner products, whose eigenvalues are the squares. Their
    gradient needs no differences of eigenvalues in a denominator, which makes the gradient of singular vectors explode
    where two of them meet; with ties it is that of one of the valid choices of vectors. It is 0 for features that
    are all 0. NaN or infinite features, and such whose squares overflow, give NaN, not an
    error from the solver.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.
    k : int
        From 1 to the smallest of n, m and d. With all of them it is ``|xs|_F² + |xt|_F²``.

    Returns
    -------
    Tensor, scalar, at least 0
        In squared units of the features; it grows with the number of examples.

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, or ``k`` is out of range.

    References
    ----------
    Chen, Wang, Long, Wang (2019). Transferability vs. discriminability: batch spectral penalization for adversarial
    domain adaptation. ICML.

    Examples
    --------
    >>> import torch
    >>> batch_spectral(torch.diag(torch.tensor([3.0, 1.0])), torch.tensor([[0.0, 2.0]]))  # 9 + 4
    tensor(13.)
    """
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or 0 in (*xs.shape, *xt.shape):
        raise ValueError(
            "batch_spectral needs batches of shape (n, d) and (m, d), at least 1 example each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
    check_k(k)
    most = min(len(xs), len(xt), xs.shape[1])
    if k > most:
        raise ValueError(
            f"k must not exceed {most}, the singular values that batches of shape {tuple(xs.shape)} and "
            f"{tuple(xt.shape)} both have, got {k}"
        )
    return _leading_squares(xs, k) + _leading_squares(xt, k)


def check_k(k: int) -> None:
    """Raise ValueError unless ``k`` is a positive whole number."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k, the number of singular values, must be a whole number of at least 1, got {k!r}")


def _leading_squares(x: Tensor, k: int) -> Tensor:
    gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    # The solver raises on NaN and infinity, before the training loop can say which loss went wrong.
    finite = gram.detach().isfinite().all()
    squares = torch.linalg.eigvalsh(torch.where(finite, gram, 0.0))[-k:].clamp(min=0)  # ascending
    return torch.where(finite, squares.sum(), torch.nan)
