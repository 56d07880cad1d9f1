"""Covariate shifts of colour: cast, contrast, inversion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from dakit.domains.domain import Domain
from dakit.domains.shifts import checks

WARM = (1.0, 0.55, 0.2)
"""Light of a bulb: the default colour of a cast."""


def colour_cast(domain: Domain, strength: float, *, colour: Sequence[float] = WARM) -> Domain:
    """Look at colour images through a coloured glass: x' = x · ((1 − strength) + strength · colour).

    A covariate shift, as by another light or another camera.

    Parameters
    ----------
    domain : Domain
        RGB images in [0, 1].
    strength : float in [0, 1]
    colour : three floats in [0, 1]
        How much of red, green and blue passes at strength 1.

    Returns
    -------
    Domain
        Same labels; ``strength=0`` gives the same inputs bit for bit.

    Raises
    ------
    ValueError
        If the images do not have three channels.

    Examples
    --------
    >>> d = Domain("white", torch.ones(1, 3, 1, 1))
    >>> colour_cast(d, 0.5, colour=(1, 0.5, 0)).x.flatten()
    tensor([1.0000, 0.7500, 0.5000])
    """
    x = checks.images(domain, "colour_cast")
    strength = checks.between(strength, 0, 1, "strength")
    if x.shape[1] != 3:
        raise ValueError(
            f"colour_cast needs images with 3 channels; those of {domain.name!r} have {x.shape[1]}"
        )
    if len(colour) != 3 or not all(0 <= c <= 1 for c in colour):
        raise ValueError(f"colour must be three numbers in [0, 1], got {colour!r}")
    if strength == 0:
        return domain
    glass = 1 - strength + strength * torch.tensor(colour, dtype=torch.float32).to(x)
    return replace(domain, x=x * glass.view(3, 1, 1))


def contrast(domain: Domain, strength: float) -> Domain:
    """Pull each picture towards its mean grey: x' = m + (1 − strength) · (x − m).

    A covariate shift, as by fog or a worn print. At strength 1 nothing can be seen any more.

    Parameters
    ----------
    domain : Domain
        Images in [0, 1].
    strength : float in [0, 1]

    Returns
    -------
    Domain
        Same labels; ``strength=0`` gives the same inputs bit for bit.
    """
    x = checks.images(domain, "contrast")
    strength = checks.between(strength, 0, 1, "strength")
    if strength == 0:
        return domain
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return replace(domain, x=torch.lerp(x, mean.expand_as(x), strength))


def inversion(domain: Domain, fraction: float = 1.0, *, seed: int = 0) -> Domain:
    """Turn a random fraction of the pictures into their negatives: x' = 1 − x.

    A covariate shift. The pictures inverted at one fraction stay inverted at every larger one.

    Parameters
    ----------
    domain : Domain
        Images in [0, 1].
    fraction : float in [0, 1]
        Share of the pictures, up to rounding.
    seed : int
        Which pictures.

    Returns
    -------
    Domain
        Same labels; ``fraction=0`` gives the same inputs bit for bit.
    """
    x = checks.images(domain, "inversion")
    chosen = checks.nested(len(x), checks.between(fraction, 0, 1, "fraction"), seed, x.device)
    if not len(chosen):
        return domain
    changed = x.clone()
    changed[chosen] = 1 - changed[chosen]
    return replace(domain, x=changed)
