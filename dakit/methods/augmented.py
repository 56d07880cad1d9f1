"""Weakly and strongly changed copies of a batch, for methods that want one answer to both.

Pictures are moved by whole pixels (weak), and then recoloured, made noisy and partly covered (strong); anything else
gets Gaussian noise, a little or more of it. Random numbers come from torch's global generator of the device that holds
the batch, which ``fit`` seeds and keeps in its checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT = 0.125  # largest move as a share of the side: 4 pixels of 32
COVER = 0.5  # side of the covered square as a share of the picture's
NOISE = 0.05  # sd of the pixel noise of a strong view, where pixels lie in [0, 1]


def weak(x: Tensor, *, jitter: float = 0.1, flip: bool = False) -> Tensor:
    """A view that hardly differs: pictures moved (and mirrored), other inputs with a little noise.

    Parameters
    ----------
    x : Tensor of shape (b, c, h, w), or (b, ...)
    jitter : float
        Noise of inputs that are no pictures, in standard deviations of each feature over the batch.
    flip : bool
        Mirror every second picture left and right.
    """
    return moved(x, flip=flip) if x.ndim == 4 else jittered(x, jitter)


def strong(x: Tensor, *, jitter: float = 0.5, flip: bool = False) -> Tensor:
    """A view that differs a lot: pictures moved, recoloured, noisy and partly covered, other inputs with more noise.

    Parameters are those of :func:`weak`.
    """
    if x.ndim != 4:
        return jittered(x, jitter)
    return covered(recoloured(moved(x, flip=flip)))


def jittered(x: Tensor, jitter: float) -> Tensor:
    """x plus Gaussian noise of ``jitter`` standard deviations of each feature over the batch."""
    return x + jitter * x.std(dim=0, correction=0) * torch.randn_like(x)


def moved(x: Tensor, *, shift: float = SHIFT, flip: bool = False) -> Tensor:
    """Pictures moved by up to a share of their side, the border repeated; with ``flip`` every second one mirrored."""
    b, _, h, w = x.shape
    device = x.device
    rows, columns = torch.arange(h, device=device).expand(b, h), torch.arange(w, device=device).expand(b, w)
    if flip:
        columns = torch.where(torch.rand(b, 1, device=device) < 0.5, w - 1 - columns, columns)
    down, right = round(shift * h), round(shift * w)
    rows = (rows + torch.randint(-down, down + 1, (b, 1), device=device)).clamp(0, h - 1)
    columns = (columns + torch.randint(-right, right + 1, (b, 1), device=device)).clamp(0, w - 1)
    at = torch.arange(b, device=device).view(b, 1, 1), rows.view(b, h, 1), columns.view(b, 1, w)
    return x.permute(0, 2, 3, 1)[at].permute(0, 3, 1, 2)


def recoloured(x: Tensor, *, noise: float = NOISE) -> Tensor:
    """Contrast times 0.5 to 1.5, brightness and each channel moved by up to 0.2, and pixel noise."""
    b, c = x.shape[:2]

    def draw(*shape: int) -> Tensor:  # uniform on [-1, 1]
        return 2 * torch.rand(*shape, 1, 1, device=x.device, dtype=x.dtype) - 1

    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = mean + (1 + 0.5 * draw(b, 1)) * (x - mean) + 0.2 * draw(b, 1)
    if c > 1:
        x = x + 0.2 * draw(b, c)
    return x + noise * torch.randn_like(x)


def covered(x: Tensor) -> Tensor:
    """A square of half the side, around a random pixel of each picture, painted with the mean of each channel."""
    b, _, h, w = x.shape

    def inside(side: int) -> Tensor:  # (b, side)
        centre = torch.randint(side, (b, 1), device=x.device)
        return (torch.arange(side, device=x.device) - centre).abs() <= COVER * side / 2

    hidden = inside(h).view(b, 1, h, 1) & inside(w).view(b, 1, 1, w)
    return torch.where(hidden, x.mean(dim=(2, 3), keepdim=True), x)
