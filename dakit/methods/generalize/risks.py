"""The risk on each source domain: what methods for unseen domains weigh, compare and penalise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch

__all__ = ["annealed", "by_domain", "risks"]


def by_domain(values: Tensor, parts: Sequence[Batch]) -> tuple[Tensor, ...]:
    """``values``, one row for each example of all ``parts``, cut into the rows of each part."""
    return values.split([len(part) for part in parts])


def risks(logits: Tensor, parts: Sequence[Batch], *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy on each of m domains, from the logits (b, k) of all their examples; shape (m,)."""
    pairs = zip(by_domain(logits, parts), parts)
    return torch.stack(
        [losses.cross_entropy(z, part.y, label_smoothing=label_smoothing) for z, part in pairs]
    )


def annealed(weight: float, progress: float, share: float, *, before: float) -> float:
    """``before`` over the first ``share`` of the training, ``weight`` from there on; with a share of 1 never."""
    return before if progress < share or share == 1 else weight
