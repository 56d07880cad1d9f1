"""Minimum class confusion (MCC): adapt by making target predictions that do not mix classes up.

The probabilities that a classifier gives to the target say which pairs of classes it confuses, without any label: the
correlation of two classes over a batch. That confusion is added to the label loss. There is no discriminator and no
explicit matching of the domains.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: target examples lie in clusters that belong to one class each, and the source classifier names most clusters
rightly. Class proportions may differ, but each class should occur in a batch.

Objective: target logits z_T of shape (b, k), probabilities Y = softmax(z_T / T) of shape (b, k), H_i the entropy of
row i, W a diagonal matrix of shape (b, b),

    min over θ of  mean_S CE(G_y(f), y) + μ (1/k) Σ_j Σ_{j' ≠ j} C̃_jj',
    C = Yᵀ W Y,  C̃_jj' = C_jj' / Σ_l C_jl,  W_ii = b (1 + exp(-H_i)) / Σ_l (1 + exp(-H_l)),

where no gradient flows through W.

Fails when: the source classifier is wrong about whole clusters (it grows sure of the error), and when batches are
small beside the number of classes: a class that is missing from a batch counts as confused, and the loss pulls some
example towards it. A low confusion is no proof of right predictions.

Paper: Jin, Wang, Long, Wang, Minimum Class Confusion for Versatile Domain Adaptation, ECCV 2020, arXiv:1912.03699.
"""

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["MCC"]


class MCC(Method):
    """Minimum class confusion.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    mu : float, at least 0
        μ, the weight of the confusion.
    temperature : float, positive
        T, which divides the target logits in the confusion only.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        mu: float = 1.0,
        temperature: float = 2.5,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.mu = check_real("mu", mu)
        self.temperature = check_real("temperature", temperature, open_low=True)
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        confusion = losses.class_confusion(self.head(ft), temperature=self.temperature)
        return {"label": label, "confusion": self.mu * confusion}
