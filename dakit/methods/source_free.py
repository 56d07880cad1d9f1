"""Methods that see the source first and the target after it, and never both."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real


class SourceFree(Method):
    """Two stages: a classifier learns the source; then it adapts to the target without the source.

    In the first ``pretrain`` of the steps ``losses`` is the cross-entropy of source labels and does not look at the
    target batch; after that it is :meth:`adapt`, which does not get the source batch. With ``pretrain=0`` the method
    begins with the weights that it is given (:meth:`start_from`), and ``fit`` needs no source; with 1 it never adapts.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by in the second stage.
    label_smoothing : float in [0, 1)
        In the first stage.
    """

    def __init__(
        self, backbone, num_classes: int, *, pretrain: float, adapt_lr: float, label_smoothing: float
    ) -> None:
        super().__init__(backbone, num_classes)
        self.pretrain = check_real("pretrain", pretrain, high=1.0)
        self.adapt_lr = check_real("adapt_lr", adapt_lr)
        self.label_smoothing = label_smoothing

    @property
    def uses_source(self) -> bool:
        """False with ``pretrain=0``."""
        return self.pretrain > 0

    def learns_source(self, progress: float) -> bool:
        """Whether ``progress`` lies in the first stage."""
        return progress < self.pretrain or self.pretrain == 1

    def lr_factor(self, progress: float) -> float:
        """1 while the source is learned, ``adapt_lr`` after that."""
        return 1.0 if self.learns_source(progress) else self.adapt_lr

    def start_from(self, trained: Method) -> Self:
        """Take the weights of the backbone and the head of a trained method with the same network.

        Parameters
        ----------
        trained : Method
            For example ``run.method`` of ``source_only``.

        Raises
        ------
        ValueError
            If the networks differ.
        """
        for name in ("backbone", "head"):
            try:
                getattr(self, name).load_state_dict(getattr(trained, name).state_dict())
            except RuntimeError as error:
                reason = str(error).split("\n", 1)[-1].strip()
                raise ValueError(f"the {name} of {type(trained).__name__} does not fit: {reason}") from None
        return self

    def losses(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        if self.learns_source(progress):
            logits = self.logits(source.x)
            return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}
        return self.adapt(target)

    def adapt(self, target: Batch) -> dict[str, Tensor]:
        """Named terms of the second stage, from a target batch alone."""
        raise NotImplementedError(f"{type(self).__name__} must define adapt(target)")
