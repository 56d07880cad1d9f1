"""Small worlds in which the domains differ in their classes, too."""

import math
from dataclasses import replace

import numpy as np
import torch

from dakit import methods
from dakit.domains.domain import Domain
from dakit.training import fit
from tests.training.toys import QUICK

LEARN = {**QUICK, "steps": 300, "batch_size": 64, "lr": 0.05, "snapshots": 0, "log_every": 300}


def circle(n: int, k: int, *, seed: int = 0, name: str = "circle", radius: float = 4.0, d: int = 4) -> Domain:
    """k Gaussian classes around the corners of a regular polygon, in the first two of d dimensions."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    x = rng.normal(size=(n, d))
    x[:, 0] += radius * np.cos(2 * math.pi * y / k)
    x[:, 1] += radius * np.sin(2 * math.pi * y / k)
    return Domain(name, torch.tensor(x, dtype=torch.float32), torch.tensor(y), tuple("abcdefgh"[:k]))


def corners(n: int, k: int, *, seed: int = 0, radius: float = 4.0, noise: float = 0.5) -> Domain:
    """k Gaussian classes, each along an axis of its own, and one more axis that tells no class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    x = noise * rng.normal(size=(n, k + 1))
    x[np.arange(n), y] += radius
    return Domain("corners", torch.tensor(x, dtype=torch.float32), torch.tensor(y), tuple("abcdefghijkl"[:k]))


def moved(domain: Domain, shift: float, axis: int = -1) -> Domain:
    """Every example moved along one axis; the last one tells no class."""
    offset = torch.zeros(domain.x.shape[1])
    offset[axis] = shift
    return replace(domain, x=domain.x + offset, name="moved")


def runs(
    name: str,
    source,
    target: Domain,
    *,
    hidden: tuple[int, ...] = (16, 8),
    norm: str = "none",
    seeds: int = 3,
    settings: dict | None = None,
    **hyperparameters,
):
    """Some seeds of a method on a small network."""

    def make(seed):
        backbone = {"name": "mlp", "hidden": hidden, "norm": norm}
        return methods.build(name, source, backbone=backbone, seed=seed, **hyperparameters)

    return fit(make, source, target, seeds=seeds, **{**LEARN, **(settings or {})})
