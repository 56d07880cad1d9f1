"""Channel attention whose first layer belongs to a domain, and the gate that says whether it does."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DomainAttention(nn.Module):
    """Squeeze and excitation with one squeezing layer for each domain, one exciting layer for both.

    With g the mean of each map (of each unit's value, for flat inputs), shape (b, c):

        z = A_0 g for the source, A_1 g for the target,  w = sigmoid(A_2 relu(z)),  output w * x.

    The gate decides for each batch whether the target has a layer of its own. With ``rho = mean(g) / sqrt(var(g) +
    1e-5)`` over all entries of a domain's half, ``p = tanh(|rho_s - rho_t| / |rho_t|)``; where ``p < eta`` the target
    goes through A_0 as well.

    Outside of a joint batch (``split=None``) ``side`` says whose input it is, and the target's path follows the running
    value of p, which is saved with the weights. A fresh layer has p = 0: it shares.

    Parameters
    ----------
    channels : int
    reduction : int
        The squeezed layer has ``channels // reduction`` units, at least 1.
    eta : float
        Above 1 (inf) the target always shares A_0; at 0 or below it never does.
    momentum : float in (0, 1]
        Weight of the newest batch in the running value of p.

    Attributes
    ----------
    side : {"source", "target"}
        Whose path is taken where the batch is of one domain.
    p : Tensor, scalar
        Running value of the gate's statistic; buffer.
    last : Tensor, scalar
        Its value in the last joint batch; buffer.
    batches, opened : Tensor, scalar, int64
        Joint batches seen in training, and those of them in which the target took A_1; buffers.

    References
    ----------
    Li, Xie, Lin, Liu, Huang, Wang (2021). Generalized domain conditioned adaptation network. TPAMI.
    Hu, Shen, Sun (2018). Squeeze-and-excitation networks. CVPR.

    Examples
    --------
    >>> layer = DomainAttention(8, reduction=4)
    >>> layer(torch.zeros(6, 8, 5, 5), split=3).shape
    torch.Size([6, 8, 5, 5])
    """

    def __init__(self, channels: int, *, reduction: int = 4, eta: float = 0.2, momentum: float = 0.1) -> None:
        super().__init__()
        if channels < 1 or reduction < 1:
            raise ValueError(
                f"channels and reduction must be at least 1, got channels={channels} and reduction={reduction}"
            )
        units = max(1, channels // reduction)
        self.eta, self.momentum, self.side = eta, momentum, "source"
        self.a0, self.a1 = nn.Linear(channels, units), nn.Linear(channels, units)
        self.a2 = nn.Linear(units, channels)
        self.copy_source()
        self.register_buffer("p", torch.tensor(0.0))
        self.register_buffer("last", torch.tensor(0.0))
        self.register_buffer("batches", torch.tensor(0))
        self.register_buffer("opened", torch.tensor(0))

    def copy_source(self) -> None:
        """Let A_1 start from the weights of A_0."""
        self.a1.load_state_dict(self.a0.state_dict())

    @property
    def open_share(self) -> float:
        """Share of the joint batches in which the target had a layer of its own; NaN before the first."""
        return int(self.opened) / int(self.batches) if self.batches else float("nan")

    def forward(self, x: Tensor, split: int | None = None) -> Tensor:
        """(b, c, h, w) or (b, c) to the same shape; with ``split`` so many rows are the source's, then the target's."""
        g = x.mean(dim=tuple(range(2, x.ndim))) if x.ndim > 2 else x
        if split is None and self.side == "source":
            return self.weigh(x, self.a0(g))
        if split is None:
            own = self.p >= self.eta
        else:
            own = self.decide(g, split) & (torch.arange(len(g), device=g.device) >= split)[:, None]
        # Both layers see every row and where(...) picks: rows that are not picked get a gradient of exactly 0, and no
        # GPU has to report which way the gate went.
        return self.weigh(x, torch.where(own, self.a1(g), self.a0(g)))

    def weigh(self, x: Tensor, z: Tensor) -> Tensor:
        """sigmoid(A_2 relu(z)) * x."""
        w = torch.sigmoid(self.a2(torch.relu(z)))
        return x * w.view(*w.shape, *[1] * (x.ndim - 2))

    @torch.no_grad()
    def decide(self, g: Tensor, split: int) -> Tensor:
        """Whether the target's half takes A_1, a 0-d bool; in training the running values are updated."""
        p = gate_statistic(g[:split], g[split:])
        own = p >= self.eta
        if self.training:
            weight = torch.where(self.batches == 0, 1.0, self.momentum)
            self.p.lerp_(p.to(self.p.dtype), weight)
            self.last.copy_(p)
            self.batches += 1
            self.opened += own
        return own


def gate_statistic(gs: Tensor, gt: Tensor) -> Tensor:
    """How far the channel means of two domains are apart, ``tanh(|rho_s - rho_t| / |rho_t|)``, in [0, 1].

    ``rho = mean(g) / sqrt(var(g) + 1e-5)`` over all entries. A common scale of one half cancels (but for the 1e-5), an
    offset does not.

    The divisor is the absolute value. Channel means before the rectifier can have a negative mean, and without it p
    would then be negative, so below every threshold, however far apart the domains are.

    Parameters
    ----------
    gs, gt : Tensor of shape (n, c) and (m, c)

    Returns
    -------
    Tensor, scalar, without gradient

    Examples
    --------
    >>> g = torch.tensor([[1.0, 2.0, 3.0]])
    >>> gate_statistic(g, g).item(), round(gate_statistic(g, -g).item(), 3)
    (0.0, 0.964)
    """

    def rho(g: Tensor) -> Tensor:
        g = g.detach().float()
        return g.mean() / (g.var() + 1e-5).sqrt()

    if min(gs.numel(), gt.numel()) < 2:
        raise ValueError(
            f"the gate needs at least 2 entries of each domain, got shapes {tuple(gs.shape)} and {tuple(gt.shape)}"
        )
    source, target = rho(gs), rho(gt)
    return torch.tanh((source - target).abs() / target.abs().clamp(min=1e-12))
