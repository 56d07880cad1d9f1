"""Covariate shifts of texture: blur, noise, photographs as background."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dakit.domains.domain import Domain
from dakit.domains.shifts import checks


def blur(domain: Domain, sigma: float) -> Domain:
    """Blur images with a Gaussian.

    A covariate shift, as by a lens out of focus. Edge pixels are repeated beyond the border.

    Parameters
    ----------
    domain : Domain
        Images in [0, 1].
    sigma : float, at least 0
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    Domain
        Same labels; ``sigma=0`` gives the same inputs bit for bit.
    """
    x = checks.images(domain, "blur")
    sigma = checks.between(sigma, 0, math.inf, "sigma")
    if sigma == 0:
        return domain
    reach = min(max(1, math.ceil(3 * sigma)), 4 * max(domain.shape[1:]))
    # The Gaussian's mass on each pixel, not its height at the centre: right for a sigma below one pixel too.
    edges = torch.arange(-reach - 0.5, reach + 1, dtype=torch.float64) / (sigma * math.sqrt(2))
    kernel = torch.erf(edges).diff()
    kernel = (kernel / kernel.sum()).to(x)
    n, c, h, w = x.shape
    planes = F.pad(x.reshape(n * c, 1, h, w), (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(planes, kernel.view(1, 1, 1, -1))
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1))
    return replace(domain, x=planes.view(n, c, h, w).clamp_(0, 1))


def noise(domain: Domain, sigma: float, *, seed: int = 0) -> Domain:
    """Add Gaussian noise.

    A covariate shift, as by a cheap sensor. One pattern of noise, drawn from ``seed``, is scaled by ``sigma``.

    Parameters
    ----------
    domain : Domain
        Images in [0, 1], flat features or series.
    sigma : float, at least 0
        Standard deviation of the noise: in units of x for images, which are cut to [0, 1] afterwards, and in
        standard deviations of each feature (each channel of a series) otherwise.
    seed : int
        Which noise.

    Returns
    -------
    Domain
        Same labels; ``sigma=0`` gives the same inputs bit for bit.
    """
    image = domain.kind == "image"
    x = checks.images(domain, "noise") if image else domain.x
    sigma = checks.between(sigma, 0, math.inf, "sigma")
    if sigma == 0:
        return domain
    pattern = checks.drawn(tuple(x.shape), seed, x, normal=True)
    if image:
        return replace(domain, x=(x + sigma * pattern).clamp_(0, 1))
    over = [d for d in range(x.ndim) if d != 1]
    return replace(domain, x=x + sigma * x.std(dim=over, correction=0, keepdim=True) * pattern)


def background(domain: Domain, strength: float, *, photos: Tensor | None = None, seed: int = 0) -> Domain:
    """Blend images with crops of photographs as MNIST-M does: x' = (1 − strength) · x + strength · |crop − x|.

    A covariate shift. At strength 1 it is the recipe of MNIST-M: strokes are the negative of their surroundings.

    Parameters
    ----------
    domain : Domain
        Grey or RGB images in [0, 1].
    strength : float in [0, 1]
    photos : Tensor of shape (m, 3, h, w) in [0, 1], optional
        Where the crops are cut from, at least as large as the images; by default the two photographs that come
        with scikit-learn, shrunk so that a crop shows about a sixth of their height.
    seed : int
        Which crops.

    Returns
    -------
    Domain
        Same labels; ``strength=0`` gives the same inputs bit for bit.

    Raises
    ------
    ValueError
        If the images have other than 1 or 3 channels, or the photos do not fit.

    References
    ----------
    Y. Ganin and V. Lempitsky. Unsupervised Domain Adaptation by Backpropagation. ICML 2015, section 4.1 (the
    recipe of MNIST-M).
    """
    x = checks.images(domain, "background")
    strength = checks.between(strength, 0, 1, "strength")
    n, c, h, w = x.shape
    if c not in (1, 3):
        raise ValueError(f"background needs grey or RGB images; those of {domain.name!r} have {c} channels")
    if strength == 0:
        return domain
    if photos is None:
        photos = _sample_photos(h, w)
    if photos.ndim != 4 or photos.shape[1] != 3 or photos.shape[2] < h or photos.shape[3] < w:
        raise ValueError(
            f"photos must have shape (m, 3, height, width) with at least {h}×{w} pixels, got {tuple(photos.shape)}"
        )
    photos = photos.to(x)
    if c == 1:
        photos = photos.mean(dim=1, keepdim=True)
    u = checks.drawn((3, n), seed, torch.zeros(())).tolist()
    crops = torch.empty_like(x)
    for i in range(n):
        photo = photos[int(u[0][i] * len(photos))]
        top = int(u[1][i] * (photo.shape[1] - h + 1))
        left = int(u[2][i] * (photo.shape[2] - w + 1))
        crops[i] = photo[:, top : top + h, left : left + w]
    return replace(domain, x=torch.lerp(x, (crops - x).abs(), strength))


def _sample_photos(h: int, w: int) -> Tensor:
    """The photographs of a temple and of a flower that scikit-learn ships, (2, 3, height, width)."""
    from sklearn.datasets import load_sample_images

    photos = torch.from_numpy(np.stack(load_sample_images().images)).permute(0, 3, 1, 2).float() / 255
    factor = max(6 * h / photos.shape[2], w / photos.shape[3])
    size = [max(h, round(photos.shape[2] * factor)), max(w, round(photos.shape[3] * factor))]
    return F.interpolate(photos, size=size, mode="bilinear", antialias=True, align_corners=False).clamp_(0, 1)
