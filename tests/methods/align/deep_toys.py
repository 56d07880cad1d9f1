"""A small world on which deep methods learn within a second, and what they reach on it."""

import numpy as np
import torch

from dakit import methods
from dakit.domains.domain import Domain
from dakit.training import fit
from tests.training.toys import QUICK, blobs

LEARN = {**QUICK, "steps": 200, "batch_size": 64, "lr": 0.05, "snapshots": 2}


def moved_along_the_classes(shift: float = 2.0) -> tuple[Domain, Domain]:
    """Two blobs, and another draw of them moved along the axis that tells the classes: one blob crosses the border."""
    source, target = blobs(300), blobs(300, seed=1)
    offset = torch.tensor([shift, 0.0, 0.0, 0.0])
    return source, Domain("moved", target.x + offset, target.y, target.classes)


def dimmed(contrast: float = 0.3) -> tuple[Domain, Domain]:
    """Two blobs, and another draw of them scaled down and moved a little: target features come out short."""
    source, target = blobs(300), blobs(300, seed=1)
    return source, Domain("dimmed", contrast * target.x + 0.5, target.y, target.classes)


def runs(name: str, source: Domain, target: Domain, *, norm: str = "none", **hyperparameters):
    """Three seeds of a method on a small network."""
    backbone = {"name": "mlp", "hidden": (16, 8), "norm": norm}

    def make(seed):
        return methods.build(name, source, backbone=backbone, seed=seed, **hyperparameters)

    return fit(make, source, target, seeds=3, **LEARN)


def mean_accuracy(group, target: Domain) -> float:
    return float(np.mean(group.accuracies(target)))
