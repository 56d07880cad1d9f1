"""Oracle: trained on the target's own labels. A bound, not a method.

What the same network reaches when the labels that adaptation must do without are given to it. The gap
between ``source_only`` and ``oracle`` is all that an adaptation method can hope to close. It reads target
labels, so no table may rank it among methods.

Setting: labelled target; the source is not used. This is the bound, never a competitor.

Assumes: target labels, which in the setting of every other method do not exist.

Objective: with features G_f(x) of shape (b, d), logits of shape (b, k) and labels y of shape (b,),

    min over θ_f, θ_y of  mean_T CE(G_y(G_f(x)), y).

Fails when: the target sample is small: then a method that also learns from a large source may beat it.

Paper: the "train on target" row of Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17
(2016).
"""

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method

__all__ = ["Oracle"]


class Oracle(Method):
    """A classifier trained on target labels: the bound.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    label_smoothing : float in [0, 1)
    """

    needs_target_labels = True

    def __init__(self, backbone, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__(backbone, num_classes)
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        logits = self.logits(target.x)
        return {"label": losses.cross_entropy(logits, target.y, label_smoothing=self.label_smoothing)}
