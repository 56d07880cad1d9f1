"""Contrastive losses: examples that belong together attract, all others repel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def supcon(z: Tensor, y: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss: examples of one class attract one another.

    ``mean_i -1/|P(i)| sum_{p in P(i)} log( e^(z_i.z_p / t) / sum_{a != i} e^(z_i.z_a / t) )``, where ``z`` is scaled to
    length 1 and ``P(i)`` holds the other examples with the label of i (the "out" form of the paper, without the
    factor by which its code multiplies). Examples whose class occurs once have no partner and are left out; the loss
    is 0 where nobody has one.

    Parameters
    ----------
    z : Tensor of shape (n, d)
        Any length; several views of an example are several rows with the same label.
    y : Tensor of shape (n,)
    temperature : float, positive

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes do not fit, there are fewer than 2 examples, or ``temperature`` is not positive.

    References
    ----------
    Khosla et al. (2020). Supervised contrastive learning. NeurIPS, eq. 2.

    Examples
    --------
    >>> import torch
    >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    >>> supcon(z, torch.tensor([0, 0, 1, 1]), temperature=1.0)  # log(1 + 2 e^-2)
    tensor(0.2395)
    """
    if z.ndim != 2 or len(z) < 2 or y.shape != z.shape[:1]:
        raise ValueError(
            "supcon needs z of shape (n, d) with n of at least 2 and y of shape (n,), "
            f"got {tuple(z.shape)} and {tuple(y.shape)}"
        )
    log_p = _log_probability_of_partners(z, temperature)
    partners = (y[:, None] == y).fill_diagonal_(False)
    count = partners.sum(1)
    per_anchor = -torch.where(partners, log_p, 0.0).sum(1) / count.clamp(min=1)
    return per_anchor.sum() / (count > 0).sum().clamp(min=1)


def nt_xent(z1: Tensor, z2: Tensor, *, temperature: float = 0.5) -> Tensor:
    """Normalised, temperature-scaled cross-entropy: the two views of an example attract each other.

    ``mean over the 2n views i of -log( e^(z_i.z_j / t) / sum_{a != i} e^(z_i.z_a / t) )``, where j is the other view of
    the same example, ``z`` is scaled to length 1, and a runs over all other 2n - 1 views.

    Parameters
    ----------
    z1, z2 : Tensor of shape (n, d)
        Row i of both comes from one example.
    temperature : float, positive

    Returns
    -------
    Tensor, scalar, at least 0

    Raises
    ------
    ValueError
        If the shapes differ, or ``temperature`` is not positive.

    References
    ----------
    Chen, Kornblith, Norouzi, Hinton (2020). A simple framework for contrastive learning of visual representations.
    ICML, eq. 1.

    Examples
    --------
    >>> import torch
    >>> z = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> nt_xent(z, z, temperature=1.0)  # log(1 + 2 e^-2)
    tensor(0.2395)
    """
    if z1.ndim != 2 or z1.shape != z2.shape or len(z1) == 0:
        raise ValueError(
            f"nt_xent needs two views of shape (n, d), got {tuple(z1.shape)} and {tuple(z2.shape)}"
        )
    n = len(z1)
    log_p = _log_probability_of_partners(torch.cat([z1, z2]), temperature)
    # The other view sits n rows away: the diagonals of the two off-diagonal blocks.
    return -(log_p.diagonal(n).sum() + log_p.diagonal(-n).sum()) / (2 * n)


def _log_probability_of_partners(z: Tensor, temperature: float) -> Tensor:
    """log of e^(z_i.z_j / t) / sum_{a != i} e^(z_i.z_a / t), a matrix (n, n); -inf on its diagonal."""
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = functional.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return functional.log_softmax((z @ z.T / temperature).masked_fill(itself, -torch.inf), dim=1)
