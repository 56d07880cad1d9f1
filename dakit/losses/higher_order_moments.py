"""Distance of moment tensors of any order."""

from __future__ import annotations

import torch
from torch import Tensor

from dakit.losses.mmd import _estimate


def higher_order_moments(
    xs: Tensor, xt: Tensor, *, order: int = 3, central: bool = True, indices: Tensor | None = None
) -> Tensor:
    """Mean squared difference of the entries of two moment tensors, ``|E xs^⊗p - E xt^⊗p|_F² / d^p``.

    The entry at ``(j_1, ..., j_p)`` of the tensor of order p is ``E x_j1 x_j2 ... x_jp``: unlike :func:`cmd` it holds
    what features do together. With ``central`` the mean of each batch is subtracted first. Order 1 of raw moments is
    the squared distance of the means over d, and order 2 of central ones four times :func:`coral`, but for ``n`` in
    place of ``n - 1``.

    The d^p entries are never formed: ``<x^⊗p, y^⊗p> = <x, y>^p``, so that the distance is the squared maximum mean
    discrepancy with the kernel ``(<x, y> / d)^p``, at the cost of one matrix of all pairs. With ``indices`` the mean
    runs over these entries alone.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain. The value grows with the 2p-th power of their scale.
    order : int, at least 1
        p.
    central : bool
    indices : Tensor of shape (N, p), int64, optional
        Entries of the tensor, each index in [0, d). Drawn evenly, they make the value right on average.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch is empty, or ``order`` is no positive whole number.

    References
    ----------
    Chen, Fu, Chen, Jin, Cheng, Jin, Hua (2020). HoMM: Higher-order moment matching for unsupervised domain adaptation.
    AAAI.

    Examples
    --------
    >>> import torch
    >>> xs, xt = torch.tensor([[-1.0], [-1.0], [2.0]]), torch.tensor([[1.0], [1.0], [-2.0]])
    >>> higher_order_moments(xs, xt)  # third moments 2 and -2
    tensor(16.)
    >>> higher_order_moments(xs, xt, order=2)
    tensor(0.)
    """
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or 0 in (*xs.shape, *xt.shape):
        raise ValueError(
            "higher_order_moments needs batches of shape (n, d) and (m, d), at least 1 example each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
    check_order(order)
    if central:
        xs, xt = xs - xs.mean(0), xt - xt.mean(0)
    if indices is not None:
        return _over_entries(xs, xt, indices, order)
    z = torch.cat([xs, xt])
    return _estimate((z @ z.T / z.shape[1]).pow(order), len(xs), len(xt), unbiased=False)


def check_order(order: int) -> None:
    """Raise ValueError unless ``order`` is a positive whole number."""
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order, that of the moments, must be a whole number of at least 1, got {order!r}")


def _over_entries(xs: Tensor, xt: Tensor, indices: Tensor, order: int) -> Tensor:
    if indices.ndim != 2 or len(indices) == 0 or indices.shape[1] != order:
        raise ValueError(
            f"moments of order {order} need indices of shape (N, {order}), at least one row, got {tuple(indices.shape)}"
        )

    def moments(x: Tensor) -> Tensor:
        product = x[:, indices[:, 0]]
        for k in range(1, order):
            product = product * x[:, indices[:, k]]
        return product.mean(0)

    return (moments(xs) - moments(xt)).square().mean()
