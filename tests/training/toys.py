"""Small domains for the tests of training."""

import numpy as np
import torch

from dakit import methods
from dakit.domains.domain import Domain

CLASSES = ("left", "right")


def blobs(n: int = 120, *, shift: float = 0.0, seed: int = 0, name: str = "blobs", d: int = 4) -> Domain:
    """Two Gaussian classes in d dimensions; ``shift`` moves both along the last axis, which tells no class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, d))
    x[:, 0] += 4 * y - 2
    x[:, -1] += shift
    return Domain(name, torch.tensor(x, dtype=torch.float32), torch.tensor(y), CLASSES)


def pictures(
    n: int = 48, *, dark: float = 0.0, seed: int = 0, name: str = "pictures", side: int = 16
) -> Domain:
    """Bright bars, upright or lying; ``dark`` dims them."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.uniform(0, 0.2, size=(n, 1, side, side))
    for i, c in enumerate(y):
        at = rng.integers(4, side - 4)
        (x[i, 0] if c else x[i, 0].T)[at : at + 2] += 0.7 * (1 - dark)
    return Domain(name, torch.tensor(x, dtype=torch.float32), torch.tensor(y), CLASSES)


PICTURES_ONLY = {"ibn", "mixstyle"}


def pair(name: str) -> tuple[Domain, Domain]:
    """A source, and a target that differs, for a method by name: blobs, or pictures where it takes nothing else."""
    if name in PICTURES_ONLY:
        return pictures(), pictures(40, dark=0.5, seed=1, name="dark")
    return blobs(), blobs(100, shift=2.0, seed=1, name="moved")


def poisoned(domain: Domain) -> Domain:
    """The same domain with every label wrong."""
    return Domain(domain.name, domain.x, domain.num_classes - 1 - domain.y, domain.classes)


def noisy(name: str = "dann", **hyperparameters):
    """A function seed -> Method whose training draws random numbers: dropout, batch norm, an adversary."""

    def make(seed: int):
        source = blobs()
        backbone = {"name": "mlp", "hidden": (8,), "norm": "batch", "dropout": 0.3}
        return methods.build(name, source, backbone=backbone, seed=seed, **hyperparameters)

    return make


def weights(run) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in run.method.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


QUICK = {
    "steps": 20,
    "batch_size": 16,
    "progress": False,
    "precision": "float32",
    "snapshots": 4,
    "log_every": 3,
}
