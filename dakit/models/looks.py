"""Several looks at one picture: the 16 views of an augmented classifier, the windows of a spatial search."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["VIEWS", "sixteen_views", "windows"]

VIEWS = 16


def sixteen_views(x: Tensor, *, degrees: float = 15.0) -> Tensor:
    """Whole picture, four corners and centre, two rotations; and all eight mirrored.

    Corners and centre are crops of 2/3 of each side, 4/9 of the area, enlarged to the size of the picture (bilinear).
    What a rotation turns in from outside repeats the border.

    Parameters
    ----------
    x : Tensor of shape (n, channels, height, width)
    degrees : float
        The rotations are by this angle and its negative.

    Returns
    -------
    Tensor of shape (n, 16, channels, height, width); view i + 8 is view i mirrored.

    References
    ----------
    Razavian, Azizpour, Sullivan, Carlsson, CNN Features off-the-shelf, CVPR workshops 2014, arXiv:1403.6382.

    Examples
    --------
    >>> sixteen_views(torch.zeros(2, 3, 12, 12)).shape
    torch.Size([2, 16, 3, 12, 12])
    """
    _check(x)
    crops = [_crop(2 / 3, across / 3, down / 3) for down in (-1, 1) for across in (-1, 1)]
    aspect = x.shape[2] / x.shape[3]
    maps = [
        _crop(1, 0, 0),
        *crops,
        _crop(2 / 3, 0, 0),
        _turn(degrees, aspect),
        _turn(-degrees, aspect),
    ]
    views = _look(x, maps)
    return torch.cat([views, views.flip(-1)], dim=1)


def windows(x: Tensor, levels: int) -> Tensor:
    """Windows of a spatial search: at level i = 1 ... h a grid of i x i that overlap by half and cover the picture.

    A window of level i has 2 / (i + 1) of each side, level 1 is the whole picture. The paper asks for i² overlapping
    windows of one size whose union is the picture; the overlap by half is this library's reading of it.

    Parameters
    ----------
    x : Tensor of shape (n, channels, height, width)
    levels : int
        h, at least 1.

    Returns
    -------
    Tensor of shape (n, h (h + 1) (2 h + 1) / 6, channels, height, width), each window enlarged to the whole size.

    Examples
    --------
    >>> windows(torch.zeros(1, 1, 12, 12), levels=3).shape[1]  # 1 + 4 + 9
    14
    """
    _check(x)
    if levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    maps = []
    for i in range(1, levels + 1):
        side = 2 / (i + 1)
        centres = [(1 - side) * (2 * j / (i - 1) - 1) for j in range(i)] if i > 1 else [0.0]
        maps += [_crop(side, across, down) for down in centres for across in centres]
    return _look(x, maps)


def _check(x: Tensor) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(
            f"pictures must be a floating-point tensor (n, channels, height, width), got {x.dtype} of shape "
            f"{tuple(x.shape)}"
        )


def _crop(side: float, across: float, down: float) -> list[list[float]]:
    """Affine map from output to input coordinates in [-1, 1]: a window of relative ``side`` around a centre."""
    return [[side, 0, across], [0, side, down]]


def _turn(degrees: float, aspect: float) -> list[list[float]]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [[c, -s * aspect, 0], [s / aspect, c, 0]]


def _look(x: Tensor, maps: list[list[list[float]]]) -> Tensor:
    """(n, c, h, w) through v affine maps to (n, v, c, h, w)."""
    n, v = len(x), len(maps)
    theta = torch.tensor(maps, dtype=x.dtype, device=x.device)
    looks = x[:, None].expand(-1, v, -1, -1, -1).flatten(0, 1)
    grid = F.affine_grid(theta.repeat(n, 1, 1), list(looks.shape), align_corners=False)
    looks = F.grid_sample(looks, grid, padding_mode="border", align_corners=False)
    return looks.view(n, v, *x.shape[1:])
