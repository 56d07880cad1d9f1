"""Batches of a source and a target, as ``fit`` hands them to a method of two domains."""

import torch

from dakit.domains.domain import Domain
from dakit.methods.method import Batch
from tests.training.toys import blobs


def batch_pair(n: int = 12, source: Domain | None = None) -> tuple[Batch, Batch]:
    """The first ``n`` examples of a domain, and the same moved by 1 without labels."""
    source = blobs() if source is None else source
    index = torch.arange(n)
    return Batch(source.x[:n], source.y[:n], index, 0), Batch(source.x[:n] + 1, None, index, 1)
