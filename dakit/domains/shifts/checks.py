"""What shifts ask of a domain and of their knob, each refused in one sentence."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dakit.domains.domain import Domain


def images(domain: Domain, shift: str) -> Tensor:
    """The images of a domain, (n, c, h, w) in [0, 1]."""
    if domain.kind != "image":
        raise ValueError(
            f"{shift} changes images; domain {domain.name!r} is {domain.kind} of shape {domain.shape}"
        )
    low, high = float(domain.x.min()), float(domain.x.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"{shift} needs images with values in [0, 1]; those of {domain.name!r} run from {low:g} to {high:g}"
        )
    return domain.x


def flat(domain: Domain, shift: str) -> Tensor:
    """The features of a flat domain, (n, d)."""
    if domain.kind != "flat":
        raise ValueError(
            f"{shift} changes flat features; domain {domain.name!r} is {domain.kind} of shape {domain.shape}"
        )
    return domain.x


def labels(domain: Domain, shift: str) -> Tensor:
    """The labels of a domain, (n,)."""
    if domain.y is None:
        raise ValueError(f"{shift} changes labels or their shares, but domain {domain.name!r} has none")
    return domain.y


def between(value: float, low: float, high: float, what: str) -> float:
    """``value`` as a float, if it lies in [low, high]."""
    if not (isinstance(value, (int, float)) and low <= value <= high):
        upper = f"at least {low:g}" if math.isinf(high) else f"in [{low:g}, {high:g}]"
        raise ValueError(f"{what} must be a number {upper}, got {value!r}")
    return float(value)


def drawn(shape: tuple[int, ...], seed: int, like: Tensor, *, normal: bool = False) -> Tensor:
    """Random numbers that depend on ``seed`` and not on the device: uniform in [0, 1), or standard normal."""
    generator = torch.Generator().manual_seed(int(seed))
    make = torch.randn if normal else torch.rand
    return make(shape, generator=generator, dtype=torch.float32).to(like)


def nested(count: int, fraction: float, seed: int, device: torch.device) -> Tensor:
    """Positions of a random ``fraction`` of ``count``; a larger fraction contains every smaller one."""
    order = torch.argsort(drawn((count,), seed, torch.zeros(())))
    return order[: round(fraction * count)].sort().values.to(device)
