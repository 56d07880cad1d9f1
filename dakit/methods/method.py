"""The contract of a method: what it minimises, and what it sees."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Batch:
    """Some examples of one domain, on the device.

    Attributes
    ----------
    x : Tensor of shape (b, ...)
    y : Tensor of shape (b,), or None
        None for every target batch: ``fit`` strips target labels before training begins.
    index : Tensor of shape (b,), int64
        Rows of the domain that the batch holds.
    domain : int
        0 for the source, 1 for the target.
    """

    x: Tensor
    y: Tensor | None
    index: Tensor
    domain: int

    def __len__(self) -> int:
        return len(self.x)


class Method(nn.Module):
    """A way to learn from a labelled source and an unlabelled target.

    A method holds a ``backbone`` (inputs to features) and a ``head`` (features to logits), and says in
    :meth:`losses` what is minimised. Hyper-parameters are keyword arguments, kept under their own names.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    """

    needs_target_labels = False
    """True only for bounds such as ``oracle``: everything else is trained on ``target.unlabeled()``."""

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {num_classes}")
        self.backbone = backbone
        self.num_classes = num_classes
        self.head = nn.Linear(backbone.out_features, num_classes)
        self.autocast_dtype: torch.dtype | None = None  # set by fit; None is full precision

    # -- the idea of the method -----------------------------------------------------------------------------

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Named scalar terms, already weighted; ``fit`` minimises their sum.

        Parameters
        ----------
        source, target : Batch
        progress : float
            0 at the first step, 1 at the last.
        """
        raise NotImplementedError(f"{type(self).__name__} must define losses(source, target, progress)")

    def lr_factor(self, progress: float) -> float:
        """What the learning rate is multiplied by at ``progress``; 1 unless the paper has a schedule."""
        return 1.0

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        """The players, in turn: a name and the parameters that move in its turn.

        A method with one player keeps the default. With more, ``losses`` is called once a phase and finds its
        name in ``self.phase``.
        """
        return [("all", list(self.parameters()))]

    def prepare(self, source: Any, target: Any, progress: float) -> None:
        """Called with the whole domains before training and at every epoch; for methods that need a pass.

        What it finds out belongs into buffers (``register_buffer``): those are saved, and a resumed run has them.
        """

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Numbers worth watching, from features of shape (n, d) of both domains; none by default."""
        return {}

    # -- what every method shares ---------------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        """Features before the head, (b, ...) to (b, d), always float32."""
        mixed = self.autocast_dtype is not None
        with torch.autocast(x.device.type, self.autocast_dtype) if mixed else nullcontext():
            z = self.backbone(x)
        return z.float() if mixed else z

    def features_of_both(self, source: Batch, target: Batch) -> tuple[Tensor, Tensor]:
        """Features of both batches from one forward pass.

        Batch normalisation, where the backbone has it, therefore sees a mixture of the two domains.
        """
        z = self.features(torch.cat([source.x, target.x]))
        return z[: len(source)], z[len(source) :]

    def logits(self, x: Tensor) -> Tensor:
        """Class scores, (b, ...) to (b, k)."""
        return self.head(self.features(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x)

    def hyperparameters(self) -> dict[str, Any]:
        """Keyword arguments of the constructor and their present values."""
        signature = inspect.signature(type(self).__init__)
        return {
            p.name: getattr(self, p.name)
            for p in signature.parameters.values()
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
