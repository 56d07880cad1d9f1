"""Augmentations of a whole batch of pictures, drawn from a generator of their own.

Every example of a batch gets its own draw, with a handful of tensor operations for the batch, not a Python loop over
examples. The numbers are drawn on the CPU, so that a seed means the same pictures on every device.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Augment = Callable[[Tensor, torch.Generator], Tensor]

NAMES = ("shift", "flip", "rotate", "zoom")

SHIFT = 0.125  # largest move, as a share of the side: 4 pixels of 32
ANGLE = 15.0  # largest rotation, in degrees
ZOOM = 0.15  # largest relative change of size


def resolve(augment: str | Augment | None) -> Augment | None:
    """An augmentation from its name.

    Parameters
    ----------
    augment : str, callable or None
        Names from ``augment.NAMES`` joined by ``+``, for example ``"shift+flip"``; or a function
        ``(x, generator) -> x`` of a batch (b, c, h, w).

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    if augment is None or callable(augment):
        return augment
    wanted = augment.split("+") if isinstance(augment, str) else []
    if not wanted or set(wanted) - set(NAMES):
        raise ValueError(
            f"unknown augmentation {augment!r}; join names of {', '.join(NAMES)} by '+', "
            "or pass a function (x, generator)"
        )
    move, flip = SHIFT * ("shift" in wanted), "flip" in wanted
    angle, zoom = ANGLE * ("rotate" in wanted), ZOOM * ("zoom" in wanted)
    if angle or zoom:
        return lambda x, generator: affine(x, generator, shift=move, flip=flip, degrees=angle, zoom=zoom)
    return lambda x, generator: shift_flip(x, generator, shift=move, flip=flip)


def shift_flip(x: Tensor, generator: torch.Generator, *, shift: float = SHIFT, flip: bool = False) -> Tensor:
    """Move each picture by whole pixels, repeating its border, and mirror every second one.

    Parameters
    ----------
    x : Tensor of shape (b, c, h, w)
    generator : torch.Generator
        On the CPU.
    shift : float
        Largest move as a share of the side.
    flip : bool
        Mirror left and right with probability one half.
    """
    b, _, h, w = x.shape
    rows, columns = torch.arange(h).expand(b, h), torch.arange(w).expand(b, w)
    if flip:
        mirrored = torch.rand(b, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, w - 1 - columns, columns)
    up, left = round(shift * h), round(shift * w)
    if up or left:
        rows = (rows + torch.randint(-up, up + 1, (b, 1), generator=generator)).clamp(0, h - 1)
        columns = (columns + torch.randint(-left, left + 1, (b, 1), generator=generator)).clamp(0, w - 1)
    at = torch.arange(b).view(b, 1, 1), rows.view(b, h, 1), columns.view(b, 1, w)
    # Gather whole pixels: with the channels last they lie together in memory.
    return x.permute(0, 2, 3, 1)[tuple(i.to(x.device) for i in at)].permute(0, 3, 1, 2)


def affine(
    x: Tensor,
    generator: torch.Generator,
    *,
    shift: float = 0.0,
    flip: bool = False,
    degrees: float = ANGLE,
    zoom: float = ZOOM,
) -> Tensor:
    """Rotate, zoom, move and mirror each picture by its own draw, in one bilinear resampling.

    Parameters
    ----------
    x : Tensor of shape (b, c, h, w)
    generator : torch.Generator
        On the CPU.
    shift, degrees, zoom : float
        Largest move (share of the side), rotation, and relative change of size.
    flip : bool
        Mirror left and right with probability one half.
    """
    b = len(x)
    turn, size, right, down = (2 * torch.rand(4, b, generator=generator) - 1).unbind()
    angle = turn * math.radians(degrees)
    scale = torch.exp(size * math.log1p(zoom))
    sign = torch.ones(b)
    if flip:
        sign = torch.where(torch.rand(b, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    # The grid's coordinates run from -1 to 1, so a move by a share s of the side is 2 s.
    matrix = torch.stack(
        [sign * cos, -sin, 2 * shift * right, sign * sin, cos, 2 * shift * down], dim=1
    ).view(b, 2, 3)
    grid = F.affine_grid(matrix.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
