"""Correlation alignment."""

from __future__ import annotations

from torch import Tensor


def coral(xs: Tensor, xt: Tensor) -> Tensor:
    """Deep CORAL loss: squared distance of the covariances, ``|Cs - Ct|_F² / (4 d²)``.

    ``C`` is the covariance with ``n - 1`` in the denominator. Blind to the means: a pure translation costs nothing.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit or a batch holds fewer than 2 examples.

    References
    ----------
    Sun, Saenko (2016). Deep CORAL: correlation alignment for deep domain adaptation. ECCV workshops, eq. 1.

    Examples
    --------
    >>> import torch
    >>> coral(torch.tensor([[-1.0], [1.0]]), torch.tensor([[-2.0], [2.0]]))  # variances 2 and 8
    tensor(9.)
    """
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or min(len(xs), len(xt)) < 2:
        raise ValueError(
            "coral needs batches of shape (n, d) and (m, d), at least 2 examples each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )
    difference = _covariance(xs) - _covariance(xt)
    return difference.square().sum() / (4 * xs.shape[1] ** 2)


def _covariance(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    return x.T @ x / (len(x) - 1)
