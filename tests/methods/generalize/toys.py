"""Small worlds with several source domains, and batches of them."""

from collections.abc import Sequence

import numpy as np
import torch

from dakit import methods
from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from dakit.training import fit
from tests.training.toys import CLASSES, QUICK, blobs, weights

SOURCES = [blobs(60, shift=s, seed=i, name=f"blobs {i}") for i, s in enumerate((0.0, 1.0, -2.0))]
UNSEEN = blobs(90, shift=4.0, seed=9, name="unseen")


def batch_of(domains: Sequence[Domain], n: int = 12) -> Batch:
    """The first ``n`` examples of every domain, as ``fit`` would hand them to a method."""
    few = [d.subset(slice(n)) for d in domains]
    x, y = torch.cat([d.x for d in few]), torch.cat([d.y for d in few])
    sizes = tuple(len(d) for d in few)
    if len(few) == 1:
        return Batch(x, y, torch.arange(len(x)), 0)
    group = torch.arange(len(few)).repeat_interleave(torch.tensor(sizes))
    return Batch(x, y, torch.arange(len(x)), 0, group, sizes)


def two_bits(colour: float, *, shape: float = 0.75, n: int = 400, name: str = "") -> Domain:
    """Two coordinates of -1 and 1: a shape that agrees with the label in the share ``shape`` of examples, and a colour
    that does in the share ``colour``, independently given the label. The shares hold exactly: no sampling noise."""
    rows = []
    for y in (0, 1):
        for s in (0, 1):
            for c in (0, 1):
                share = (shape if s == y else 1 - shape) * (colour if c == y else 1 - colour) / 2
                rows += [(2 * s - 1, 2 * c - 1, y)] * round(n * share)
    table = torch.tensor(rows, dtype=torch.float32)
    return Domain(name or f"colour {colour:g}", table[:, :2], table[:, 2].long(), CLASSES)


def coloured() -> tuple[list[Domain], Domain]:
    """Sources in which the colour predicts the label better than the shape does, and a domain where it misleads."""
    return [two_bits(0.9), two_bits(0.8)], two_bits(0.1, name="colours swapped")


LEARN = {**QUICK, "snapshots": 0, "batch_size": 400, "lr": 0.05}


def mean_accuracy(name: str, sources: Sequence[Domain], test: Domain, *, seeds: int = 3, fitting=(), **hyper):
    """Mean accuracy over seeds on a domain that was not seen."""
    backbone = {"name": "mlp", "hidden": (8,)}

    def make(seed: int):
        return methods.build(name, sources, backbone=backbone, seed=seed, **hyper)

    runs = fit(make, list(sources), None, seeds=seeds, **{**LEARN, **dict(fitting)})
    return float(np.mean(runs.accuracies(test)))


def takes_the_path_of_erm(
    name: str, sources: Sequence[Domain] = SOURCES, erm_lr: float = 0.05, **hyper
) -> bool:
    """Whether 20 steps of the method end at the weights of ERM, to rounding."""
    ends = []
    for key, lr, options in (("erm", erm_lr, {}), (name, 0.05, hyper)):
        method = methods.build(key, sources, seed=1, **options)
        ends.append(weights(fit(method, sources, None, seed=1, **{**QUICK, "lr": lr})))
    return all(torch.allclose(ends[1][k], v, atol=2e-5) for k, v in ends[0].items())
