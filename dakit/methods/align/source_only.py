"""Source only: learn from the source and hope.

A classifier is trained on the labelled source as if there were no shift. The target is never looked at.
Every adaptation method has to beat it, and its target accuracy says how much the shift costs.

Setting: labelled source; the target is not used.

Assumes: no shift that matters, p_S(x, y) = p_T(x, y).

Objective: with features G_f(x) of shape (b, d), logits of shape (b, k) and labels y of shape (b,),

    min over θ_f, θ_y of  mean_S CE(G_y(G_f(x)), y).

Fails when: the features that separate the source classes look different, or mean something else, in the
target.

Paper: the baseline of all; as a bound on the target risk, Ben-David et al., A theory of learning from
different domains, Machine Learning 79 (2010).
"""

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method

__all__ = ["SourceOnly"]


class SourceOnly(Method):
    """A classifier trained on the source alone.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    label_smoothing : float in [0, 1)
    """

    uses_target = False

    def __init__(self, backbone, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        super().__init__(backbone, num_classes)
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        logits = self.logits(source.x)
        return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}
