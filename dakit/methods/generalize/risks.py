"""The risk on each source domain: what methods for unseen domains weigh, compare and penalise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch

__all__ = ["by_domain", "risks"]


def by_domain(values: Tensor, parts: Sequence[Batch]) -> tuple[Tensor, ...]:
    """``values``, one row for each example of all ``parts``, cut into the rows of each part."""
    return values.split([len(part) for part in parts])


def risks(logits: Tensor, parts: Sequence[Batch], *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy on each of m domains, from the logits (b, k) of all their examples; shape (m,)."""
    pairs = zip(by_domain(logits, parts), parts)
    return torch.stack(
        [losses.cross_entropy(z, part.y, label_smoothing=label_smoothing) for z, part in pairs]
    )
