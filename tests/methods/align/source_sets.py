"""Several small sources and a target, and batches of them."""

from dataclasses import replace

import torch

from dakit.domains import pool
from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from tests.methods.labels.class_worlds import circle, moved
from tests.training.toys import blobs

SOURCES = [blobs(60, seed=3, name="one"), blobs(40, shift=1.0, seed=4, name="two")]
TARGET = blobs(50, shift=2.0, seed=1, name="target")


def batches(n: int = 12, sources=SOURCES) -> tuple[Batch, Batch]:
    """The first ``n`` examples of each source, joined, and of the target."""
    few = pool([d.subset(slice(n)) for d in sources])
    group = torch.arange(len(sources)).repeat_interleave(n)
    index = torch.arange(len(few))
    source = Batch(few.x, few.y, index, 0, *((group, (n,) * len(sources)) if len(sources) > 1 else ()))
    return source, Batch(TARGET.x[:n], None, torch.arange(n), 1)


def moved_along_one_class_axis(n: int = 300, k: int = 4) -> tuple[list[Domain], Domain]:
    """Classes on a circle; a source at home, one moved by 2, and a target moved by 2 the other way."""
    home = replace(circle(n, k), name="home")
    right = replace(moved(circle(n, k, seed=5), 2.0, 0), name="right")
    return [home, right], moved(circle(n, k, seed=1), -2.0, 0)
