"""Covariate shifts that move pixels or coordinates: rotation, stroke width, translation, scaling."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from dakit.domains.domain import Domain
from dakit.domains.shifts import checks


def rotation(domain: Domain, degrees: float) -> Domain:
    """Turn images about their centre, or the first two coordinates of flat features about the origin.

    A covariate shift: labels stay, and each input has exactly one place to go.

    Parameters
    ----------
    domain : Domain
        Images, or flat features with at least two columns.
    degrees : float
        Angle, counter-clockwise as seen. Corners are filled with the paper of each image: the median of its
        border, channel by channel.

    Returns
    -------
    Domain
        Same labels; ``degrees=0`` gives the same inputs bit for bit.

    Raises
    ------
    ValueError
        If the domain is a series or has one column.

    Examples
    --------
    >>> d = Domain("toy", torch.tensor([[1.0, 0.0, 5.0]]))
    >>> rotation(d, 90).x.round(decimals=3)
    tensor([[0., 1., 5.]])
    """
    degrees = checks.between(degrees, -math.inf, math.inf, "degrees")
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    if domain.kind == "flat":
        if domain.shape[0] < 2:
            raise ValueError(f"rotation needs two coordinates; domain {domain.name!r} has one")
        if degrees == 0:
            return domain
        turn = torch.tensor([[cos, -sin], [sin, cos]]).to(domain.x)
        return replace(domain, x=torch.cat([domain.x[:, :2] @ turn.T, domain.x[:, 2:]], dim=1))
    x = checks.images(domain, "rotation")
    if degrees == 0:
        return domain
    # affine_grid works in units of half the picture, so that a turn of an oblong picture needs its aspect ratio.
    ratio = x.shape[2] / x.shape[3]
    matrix = torch.tensor([[cos, -sin * ratio, 0.0], [sin / ratio, cos, 0.0]]).to(x)
    edges = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]], dim=2)
    paper = edges.median(dim=2).values[:, :, None, None]
    turned = []
    for part in (x - paper).split(1024):  # the grid takes as much memory as two channels of its images
        grid = F.affine_grid(matrix.expand(len(part), 2, 3), list(part.shape), align_corners=False)
        turned.append(F.grid_sample(part, grid, padding_mode="zeros", align_corners=False))
    return replace(domain, x=(torch.cat(turned) + paper).clamp_(0, 1))


def stroke_width(domain: Domain, radius: float, *, ink: str = "auto") -> Domain:
    """Thicken or thin the strokes of drawings and digits by grey-scale dilation or erosion.

    A covariate shift. The structuring element is a square; between whole radii the two results are mixed.

    Parameters
    ----------
    domain : Domain
        Images in [0, 1].
    radius : float
        Pixels to add on each side of a stroke; negative values take pixels away.
    ink : {"auto", "bright", "dark"}
        Whether strokes are brighter or darker than the paper. ``"auto"`` takes the border of the pictures for
        paper and looks whether it is darker than one half on average.

    Returns
    -------
    Domain
        Same labels; ``radius=0`` gives the same inputs bit for bit.

    Raises
    ------
    ValueError
        If the domain holds no images in [0, 1] or ``ink`` is unknown.
    """
    x = checks.images(domain, "stroke_width")
    radius = checks.between(radius, -math.inf, math.inf, "radius")
    if ink not in ("auto", "bright", "dark"):
        raise ValueError(f"ink must be 'auto', 'bright' or 'dark', got {ink!r}")
    if radius == 0:
        return domain
    if ink == "auto":
        edges = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]], dim=2)
        ink = "bright" if float(edges.mean()) < 0.5 else "dark"
    brighten = (ink == "bright") == (radius > 0)
    whole = math.floor(abs(radius))
    part = abs(radius) - whole
    grown = _grow(x, whole, brighten)
    if part > 0:
        grown = torch.lerp(grown, _grow(x, whole + 1, brighten), part)
    return replace(domain, x=grown)


def translation(domain: Domain, distance: float, *, seed: int = 0) -> Domain:
    """Move flat features along one random direction: x' = x + distance · s · u.

    A covariate shift. ``u`` is a random unit vector and ``s`` holds the standard deviation of each feature.

    Parameters
    ----------
    domain : Domain
        Flat features.
    distance : float
        Length of the way, in standard deviations.
    seed : int
        Which direction.

    Returns
    -------
    Domain
        Same labels; ``distance=0`` gives the same inputs bit for bit.
    """
    x = checks.flat(domain, "translation")
    distance = checks.between(distance, -math.inf, math.inf, "distance")
    if distance == 0:
        return domain
    direction = checks.drawn(domain.shape, seed, x, normal=True)
    spread = x.std(dim=0, correction=0)
    return replace(domain, x=x + distance * spread * direction / direction.norm())


def scaling(domain: Domain, strength: float, *, seed: int = 0) -> Domain:
    """Stretch or shrink each flat feature about the origin: x'_j = x_j · exp(strength · z_j).

    A covariate shift, as by instruments with other units or gains. ``z_j`` is random, uniform in [-1, 1].

    Parameters
    ----------
    domain : Domain
        Flat features.
    strength : float, at least 0
        Logarithm of the largest factor; ``math.log(4)`` scales features by ¼ to 4.
    seed : int
        Which factors.

    Returns
    -------
    Domain
        Same labels; ``strength=0`` gives the same inputs bit for bit.
    """
    x = checks.flat(domain, "scaling")
    strength = checks.between(strength, 0, math.inf, "strength")
    if strength == 0:
        return domain
    z = 2 * checks.drawn(domain.shape, seed, x) - 1
    return replace(domain, x=x * torch.exp(strength * z))


def _grow(x: Tensor, radius: int, brighten: bool) -> Tensor:
    if radius == 0:
        return x
    signed = x if brighten else -x
    pooled = F.max_pool2d(signed, 2 * radius + 1, stride=1, padding=radius)
    return pooled if brighten else -pooled
