"""Deep CORAL: give source and target the same covariance.

The squared distance between the covariance matrices of both domains is added to the label loss. It is the
simplest discrepancy that looks beyond the mean: no kernel, no bandwidth, no adversary.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift that shows in second moments, and similar class proportions.

Objective: with C_S and C_T the (d, d) covariance matrices of a layer of shape (b, d) over the source and the
target batch,

    min over θ of  mean_S CE(G_y(f), y) + λ ||C_S - C_T||²_F / (4 d²).

Fails when: the domains differ in mean or in higher moments only, when class proportions differ, and when
batches are small beside d: a (d, d) covariance of b < d examples is mostly noise, which is why the paper
takes the layer of the logits. The value falls when all activations shrink, so watch the source accuracy.

Paper: Sun, Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation, ECCV 2016 workshops,
arXiv:1607.01719.
"""

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method

__all__ = ["DeepCORAL"]


class DeepCORAL(Method):
    """Deep correlation alignment.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float
        λ, the weight of the covariance distance. The paper sets it so that label and CORAL loss end up of one size.
    layer : {"logits", "features"}
        What is aligned; the paper takes the last layer, the logits.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        layer: str = "logits",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        if layer not in ("logits", "features"):
            raise ValueError(f"deep_coral aligns layer='logits' or layer='features', not {layer!r}")
        self.lambda_, self.layer, self.label_smoothing = lambda_, layer, label_smoothing

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        logits = self.head(fs)
        coral = losses.coral(logits, self.head(ft)) if self.layer == "logits" else losses.coral(fs, ft)
        label = losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)
        return {"label": label, "coral": self.lambda_ * coral}
