"""Distances of moments among several sources and a target."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dakit.losses.central_moments import check_moments


def moment_distances(sources: Sequence[Tensor], target: Tensor, *, moments: int = 2) -> Tensor:
    """Distance of each source's moments from the target's.

    ``d_i = Σ_{k=1..K} |E x_i^k - E x_t^k|`` with powers taken feature by feature and Euclidean norms over the features.

    Parameters
    ----------
    sources : sequence of Tensor of shape (n_i, d)
        Features of a batch of each source.
    target : Tensor of shape (m, d)
    moments : int, at least 1
        K.

    Returns
    -------
    Tensor of shape (number of sources,), at least 0

    Raises
    ------
    ValueError
        As :func:`source_moment_distance`.

    References
    ----------
    Peng, Bai, Xia, Huang, Saenko, Wang (2019). Moment matching for multi-source domain adaptation. ICCV.

    Examples
    --------
    >>> xt = torch.tensor([[0.0], [2.0]])
    >>> moment_distances([xt, xt + 1], xt)  # the second: 1 of the means, (1 + 9 - 4) / 2 of the squares
    tensor([0., 4.])
    """
    of_sources, of_target = _moments(sources, target, moments)
    return _norm(of_sources - of_target).sum(0)


def source_moment_distance(sources: Sequence[Tensor], target: Tensor, *, moments: int = 2) -> Tensor:
    """Mean distance of moments between sources and target, plus that of the sources among themselves.

    ``Σ_{k=1..K} ( 1/N Σ_i |E x_i^k - E x_t^k| + 1/(N choose 2) Σ_{i<j} |E x_i^k - E x_j^k| )``: raw moments, powers
    taken feature by feature, Euclidean norms over the features. With one source the second sum is empty.

    Raw moments, unlike central ones, move with the mean: where means differ, orders above the first mostly repeat that
    at a larger scale. Nothing bounds the features; see :func:`cmd` for a distance that wants them bounded.

    Parameters
    ----------
    sources : sequence of Tensor of shape (n_i, d)
        Features of a batch of each source.
    target : Tensor of shape (m, d)
    moments : int, at least 1
        K; 2 in the paper.

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If there is no source, a batch is empty, the widths differ, or ``moments`` is no positive whole number.

    References
    ----------
    Peng, Bai, Xia, Huang, Saenko, Wang (2019). Moment matching for multi-source domain adaptation. ICCV, eq. 1.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [2.0]])
    >>> source_moment_distance([x, x + 1], x)  # (0 + 4) / 2 to the target, 4 between the sources
    tensor(6.)
    """
    of_sources, of_target = _moments(sources, target, moments)
    total = _norm(of_sources - of_target).mean(1).sum()
    n = len(sources)
    if n > 1:
        i, j = torch.triu_indices(n, n, 1, device=target.device)
        total = total + _norm(of_sources[:, i] - of_sources[:, j]).mean(1).sum()
    return total


def _moments(sources: Sequence[Tensor], target: Tensor, moments: int) -> tuple[Tensor, Tensor]:
    """Raw moments of the sources (K, N, d) and of the target (K, 1, d)."""
    if not len(sources):
        raise ValueError("moments need at least one source, got none")
    for name, x in (("the target", target), *((f"source {i}", x) for i, x in enumerate(sources))):
        if x.ndim != 2 or 0 in x.shape or x.shape[1] != target.shape[1]:
            raise ValueError(
                f"moments need batches of shape (n, d), at least 1 example each and all of one width d, got "
                f"{tuple(x.shape)} for {name} and {tuple(target.shape)} for the target"
            )
    check_moments(moments)
    orders = range(1, moments + 1)
    of_sources = torch.stack([torch.stack([x.pow(k).mean(0) for x in sources]) for k in orders])
    return of_sources, torch.stack([target.pow(k).mean(0, keepdim=True) for k in orders])


def _norm(x: Tensor) -> Tensor:
    # The slope of the root is infinite at 0, where torch.linalg.vector_norm gives the gradient 0: equal moments stay.
    return torch.linalg.vector_norm(x, dim=-1)
