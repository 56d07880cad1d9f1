"""The contract of a method: what it minimises, and what it sees."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    group : Tensor of shape (b,), int64, or None
        With several sources, which of them each example comes from, in rising order; None where there is one.
    sizes : tuple of int
        With several sources, how many examples each of them has in the batch.
    """

    x: Tensor
    y: Tensor | None
    index: Tensor
    domain: int
    group: Tensor | None = None
    sizes: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def parts(self) -> list[Batch]:
        """One batch for each source domain, in their order; the batch itself where there is one domain."""
        if self.group is None:
            return [self]
        pieces = zip(self.x.split(self.sizes), self.y.split(self.sizes), self.index.split(self.sizes))
        return [Batch(x, y, index, self.domain) for x, y, index in pieces]


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

    uses_source = True
    uses_target = True
    """Where False, ``losses`` gets None for that batch, and ``fit`` accepts None for that domain."""

    min_sources = 1
    """Source domains without which the idea makes no sense."""

    open_set = False
    """True for methods that may answer "unknown": their logits have one more column, the last."""

    side = "target"
    """Whose path ``features`` takes in a method with parts for each domain: see :meth:`on`."""

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {num_classes}")
        self.backbone = backbone
        self.num_classes = num_classes
        self.head = nn.Linear(backbone.out_features, num_classes)
        self.autocast_dtype: torch.dtype | None = None  # set by fit; None is full precision

    @staticmethod
    def auto_backbone(shape: tuple[int, ...]) -> dict[str, Any]:
        """What ``backbone="auto"`` means for this method; other than by default where it needs special layers."""
        return {"name": "auto"}

    # -- the idea of the method -----------------------------------------------------------------------------

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Named scalar terms, already weighted; ``fit`` minimises their sum.

        Parameters
        ----------
        source, target : Batch
            The source batch holds ``batch_size`` examples of every source domain: ``source.parts()``.
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

    def begin(self) -> None:
        """Called as a training begins, not as one is resumed: what an earlier one left beside the weights has to go."""

    def prepare(self, source: Any, target: Any, progress: float) -> None:
        """Called with the whole domains before training and at every epoch; for methods that need a pass.

        What it finds out belongs into buffers (``register_buffer``): those are saved, and a resumed run has them.
        """

    def pass_due(self, progress: float) -> bool:
        """Whether :meth:`prepare` is to be called now, though no epoch begins; False by default.

        For methods with a stage that begins somewhere in an epoch. Asked at every step.
        """
        return False

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Numbers worth watching, from features of shape (n, d) of both domains; none by default."""
        return {}

    # -- whose input is read -------------------------------------------------------------------------------

    @contextmanager
    def on(self, side: str) -> Iterator[None]:
        """Read inputs as the source's or as the target's inside, where a method has parts for each domain.

        Sets ``side`` on the method and on each of its modules that has it, and restores them after. Everything else
        ignores it.

        Parameters
        ----------
        side : {"source", "target"}
        """
        if side not in ("source", "target"):
            raise ValueError(f"side must be 'source' or 'target', got {side!r}")
        before = [(m, m.side) for m in self.modules() if hasattr(m, "side")]
        for m, _ in before:
            m.side = side
        try:
            yield
        finally:
            for m, s in before:
                m.side = s

    # -- what every method shares ---------------------------------------------------------------------------

    def features(self, x: Tensor) -> Tensor:
        """Features before the head, (b, ...) to (b, d), always float32."""
        return self.in_precision(self.backbone, x)

    def in_precision(self, network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """``network(x)`` in the number format that ``fit`` chose; what comes out of a shorter one becomes float32."""
        if self.autocast_dtype is None:
            return network(x)
        with torch.autocast(x.device.type, self.autocast_dtype):
            return network(x).float()

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
