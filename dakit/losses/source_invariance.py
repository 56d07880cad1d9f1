"""Keep a correction that is made for the target from changing the source."""

from __future__ import annotations

import torch
from torch import Tensor

from dakit.losses.linear_mmd import kernel_factors
from dakit.losses.mmd import _squared_distances


def source_invariance(
    plain: Tensor,
    corrected: Tensor,
    y: Tensor,
    kept: Tensor,
    *,
    kernels: int = 5,
    bandwidth: float | None = None,
) -> Tensor:
    """Discrepancy between each class of the source as it is and a random part of the corrected source.

    ``(1/k) sum_c MMD²({plain_i : y_i = c}, {corrected_i : kept_ci}) / 2``, each MMD² by :func:`linear_mmd` on as many
    rows as the smaller of its two sets has. The half comes from the authors' mean over the rows of both sets. A class
    whose sets have fewer than two rows counts as 0: there is nothing to estimate.

    On average over independent draws, and with classes of equal share, ``MMD²(P_c, Q)`` averaged over c is
    ``|μ_Q - μ|²`` plus the scatter of the class means around their mean μ, in the space of the kernel. So the
    correction is drawn to where it leaves the source as a whole in place; and plain features that get a gradient are
    drawn to class means that lie together, which the label loss has to outweigh. A row that meets its own corrected
    form makes the value smaller: it may well be negative.

    Parameters
    ----------
    plain : Tensor of shape (n, d)
        Source features, or logits, without the correction.
    corrected : Tensor of shape (n, d)
        The same rows with it.
    y : Tensor of shape (n,), int64
        Classes, 0 … k - 1.
    kept : Tensor of shape (k, n), bool
        Which corrected rows are compared with class c.
    kernels, bandwidth
        As for :func:`linear_mmd`; the default bandwidth is found for each class.

    Returns
    -------
    Tensor, scalar in [-kernels, kernels]

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``kernels`` or ``bandwidth`` is out of range.

    References
    ----------
    Li, Liu, Lin, Xie, Ding, Huang, Tang (2020). Domain conditioned adaptation network. AAAI.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    >>> y, all_of_them = torch.tensor([0, 0, 0, 0]), torch.ones(1, 4, dtype=torch.bool)
    >>> source_invariance(x, x, y, all_of_them, bandwidth=1.0)
    tensor(0.)
    """
    n = len(plain)
    if plain.ndim != 2 or corrected.shape != plain.shape or y.shape != (n,) or kept.ndim != 2:
        raise ValueError(
            "source_invariance needs plain and corrected rows of one shape (n, d), y of shape (n,) and kept of shape "
            f"(k, n), got {tuple(plain.shape)}, {tuple(corrected.shape)}, {tuple(y.shape)} and {tuple(kept.shape)}"
        )
    if kept.shape[1] != n:
        raise ValueError(f"kept must have a column for each of the {n} rows, got shape {tuple(kept.shape)}")
    factors = kernel_factors(kernels, bandwidth)
    k = len(kept)
    of_class = y == torch.arange(k, device=y.device)[:, None]
    # Classes side by side, padded to n rows: no loop over classes, and no size that a GPU would have to report.
    sizes = torch.minimum(of_class.sum(1), kept.sum(1))[:, None]
    first, second = (torch.argsort(~rows.bool(), dim=1, stable=True) for rows in (of_class, kept))
    at = torch.arange(n, device=y.device).expand(k, n)
    used = at < sizes
    after = torch.where(at + 1 < sizes, at + 1, 0)
    s, s_after, t, t_after = first, first.gather(1, after), second + n, second.gather(1, after) + n
    distances = _squared_distances(plain, corrected)
    if bandwidth is None:
        members = torch.zeros(k, 2 * n, dtype=distances.dtype, device=y.device)
        members.scatter_(1, torch.cat([s, t], 1), torch.cat([used, used], 1).to(members.dtype))
        total = ((members @ distances.detach()) * members).sum(1, keepdim=True)
        scales = (total / (2 * sizes * (2 * sizes - 1)).clamp(min=1)).clamp(min=1e-12)
    else:
        scales = bandwidth
    pairs = torch.stack(
        [distances[s, s_after], distances[t, t_after], distances[s, t_after], distances[s_after, t]]
    )
    value = sum((-pairs / (scales * f)).exp() for f in factors)
    terms = (value[0] + value[1] - value[2] - value[3]) * (used & (sizes >= 2))
    return (terms.sum(1, keepdim=True) / (2 * sizes).clamp(min=1)).sum() / k
