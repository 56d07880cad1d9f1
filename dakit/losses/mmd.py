"""Maximum mean discrepancy as a loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mmd(
    xs: Tensor,
    xt: Tensor,
    *,
    bandwidths: float | Sequence[float] | Tensor | None = None,
    kernel: str = "rbf",
    unbiased: bool = False,
) -> Tensor:
    """Squared maximum mean discrepancy between two batches.

    ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` with ``k(x, y) = mean_b exp(-|x - y|² / b)``.

    The default keeps the pairs of a point with itself (V-statistic): a squared norm, never negative, and 0 for equal
    batches. For equal distributions it is too large by about ``(1 - mean k) (1/n + 1/m)``, which falls with the batch
    sizes but rewards features that are concentrated: a weak pull towards collapse. ``unbiased=True`` leaves those pairs
    out (U-statistic, whose linear-time form DAN uses): right on average, single values may be negative.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)
        Features of a batch of each domain.
    bandwidths : float, sequence of float or Tensor, optional
        Scales ``b`` of the squared distance. By default :func:`median_bandwidth` times ¼, ½, 1, 2, 4; no gradient flows
        through it, for otherwise features could lower the loss by growing instead of by meeting.
    kernel : {"rbf", "laplace", "imq"}
        With D the squared distance: ``exp(-D/b)``, ``exp(-sqrt(D/b))``, ``1/sqrt(1 + D/b)``.
    unbiased : bool

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    ValueError
        If the shapes do not fit, a batch holds fewer than 2 examples, or the kernel is unknown.

    References
    ----------
    Gretton et al. (2012). A kernel two-sample test. JMLR 13, eq. 3 and 5.
    Long, Cao, Wang, Jordan (2015). Learning transferable features with deep adaptation networks. ICML.

    Examples
    --------
    >>> import torch
    >>> mmd(torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]]), bandwidths=1.0)  # 2 - 2/e
    tensor(1.2642)
    """
    _check(xs, xt)
    return _estimate(_kernel_matrix(xs, xt, bandwidths, kernel), len(xs), len(xt), unbiased)


def median_bandwidth(xs: Tensor, xt: Tensor) -> Tensor:
    """Median squared distance between two points of both batches together, without gradient.

    Where more than half of the pairs coincide it is their mean distance; where all do, a tiny positive number: features
    that have collapsed to a point give an MMD of 0, not a NaN.

    Parameters
    ----------
    xs, xt : Tensor of shape (n, d) and (m, d)

    Returns
    -------
    Tensor, scalar, positive
        The lower of two middle values.

    Examples
    --------
    >>> import torch
    >>> median_bandwidth(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [3.0]]))
    tensor(4.)
    """
    _check(xs, xt)
    with torch.no_grad():
        return _median(_squared_distances(xs, xt))


def _check(xs: Tensor, xt: Tensor) -> None:
    if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1] or min(len(xs), len(xt)) < 2:
        raise ValueError(
            "mmd needs batches of shape (n, d) and (m, d), at least 2 examples each, "
            f"got {tuple(xs.shape)} and {tuple(xt.shape)}"
        )


def _kernel_matrix(
    xs: Tensor, xt: Tensor, bandwidths: float | Sequence[float] | Tensor | None, kernel: str
) -> Tensor:
    """Mean over bandwidths of the kernel between all pooled points, (n + m, n + m)."""
    distances = _squared_distances(xs, xt)
    if bandwidths is None:
        scales = _median(distances.detach()) * distances.new_tensor([0.25, 0.5, 1.0, 2.0, 4.0])
    else:
        scales = (
            torch.as_tensor(bandwidths, dtype=distances.dtype, device=distances.device).detach().reshape(-1)
        )
    return _kernel(distances / scales[:, None, None], kernel).mean(0)


def _estimate(k: Tensor, n: int, m: int, unbiased: bool) -> Tensor:
    """Squared distance of the mean embeddings, from a kernel matrix with ones on its diagonal."""
    xx, yy, xy = k[:n, :n].sum(), k[n:, n:].sum(), k[:n, n:].sum()
    if unbiased:
        return (xx - n) / (n * (n - 1)) + (yy - m) / (m * (m - 1)) - 2 * xy / (n * m)
    # Rounding can leave a squared norm a little below zero.
    return (xx / n**2 + yy / m**2 - 2 * xy / (n * m)).clamp(min=0)


def _squared_distances(xs: Tensor, xt: Tensor) -> Tensor:
    """Squared distances of the pooled points, (n + m, n + m), with an exact 0 on the diagonal."""
    z = torch.cat([xs, xt])
    z = z - z.detach().mean(0)  # a common shift changes no distance but much of the rounding
    norms = z.square().sum(1)
    distances = torch.addmm(norms[:, None] + norms, z, z.T, alpha=-2)
    # A point's distance to itself is 0 with gradient 0, which rounding would blur.
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return distances.masked_fill(itself, 0.0).clamp(min=0)


def _median(distances: Tensor) -> Tensor:
    """Lower median off the diagonal: sorted, its n zeros come first and every other value twice."""
    n = len(distances)
    pairs = n * (n - 1) // 2
    median = distances.flatten().kthvalue(n + 2 * ((pairs + 1) // 2)).values
    # torch.where, not an if: a GPU would have to wait for the answer.
    return torch.where(median > 0, median, distances.sum() / (2 * pairs)).clamp(min=1e-12)


def _kernel(scaled: Tensor, kernel: str) -> Tensor:
    """The kernel of ``scaled`` = D / b."""
    if kernel == "rbf":
        return (-scaled).exp()
    if kernel == "imq":
        return (1 + scaled).rsqrt()
    if kernel == "laplace":
        # The slope of the root is infinite at 0; where(...) on both sides gives coinciding points the gradient 0.
        apart = scaled > 0
        return torch.where(apart, -torch.where(apart, scaled, 1.0).sqrt(), 0.0).exp()
    raise ValueError(f"kernel must be 'rbf', 'laplace' or 'imq', got {kernel!r}")
