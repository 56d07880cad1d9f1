"""Maximum classifier discrepancy (MCD): two heads that disagree point at target examples far from the source.

Two heads learn the source labels on one backbone. In turns the heads are pushed apart on the target, while they must
stay right on the source, and the backbone brings them together again. Where both must agree however far they are
pushed, target features lie within the support of the source and away from the boundary between the classes.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: target examples near the source's class clusters belong to those classes. Class proportions may differ.

Objective: features f of shape (b, d), two heads F_1 and F_2 with logits of shape (b, k), p_1 and p_2 their
probabilities, d(p_1, p_2) = 1/k Σ_j |p_1j - p_2j|, L(F) = mean_S CE(F_1(f), y) + mean_S CE(F_2(f), y). Each step has
three phases on the same batch:

    classify:   min over θ_f, θ_1, θ_2 of  L(F)
    disagree:   min over θ_1, θ_2 of       L(F) - mean_T d(p_1, p_2)
    agree:      min over θ_f of            mean_T d(p_1, p_2),  n times.

The heads are single linear layers, where the paper's have more; what ``logits`` returns is F_1. Each phase has a
momentum of its own. The domains pass the backbone one by one.

Fails when: the two heads cannot differ enough on the target (they start alike, or the features leave them no room), a
target class lies within the support of another source class, or n is so large that the backbone loses the labels for
the sake of agreement. Agreement of two heads is no proof that they are right.

Paper: Saito, Watanabe, Ushiku, Harada, Maximum Classifier Discrepancy for Unsupervised Domain Adaptation, CVPR 2018,
arXiv:1712.02560.
"""

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int

__all__ = ["MCD"]


class MCD(Method):
    """Maximum classifier discrepancy.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    n : int
        How often the backbone moves in its own phase for each move of the heads. The paper tries 2, 3 and 4.
    label_smoothing : float in [0, 1)
    """

    def __init__(self, backbone, num_classes: int, *, n: int = 4, label_smoothing: float = 0.0) -> None:
        super().__init__(backbone, num_classes)
        self.n, self.label_smoothing = check_int("n", n, 1), label_smoothing
        self.head2 = nn.Linear(backbone.out_features, num_classes)
        self.phase = "classify"

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        features = list(self.backbone.parameters())
        heads = [*self.head.parameters(), *self.head2.parameters()]
        return [("classify", [*features, *heads]), ("disagree", heads), *[("agree", features)] * self.n]

    def label_loss(self, features: Tensor, y: Tensor) -> Tensor:
        """L(F): the sum of both heads' cross-entropies."""
        s = self.label_smoothing
        return sum(losses.cross_entropy(h(features), y, label_smoothing=s) for h in (self.head, self.head2))

    def discrepancy(self, features: Tensor) -> Tensor:
        """Mean of d(p_1, p_2) over the rows of ``features``."""
        return losses.classifier_discrepancy(self.head(features), self.head2(features))

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        if self.phase == "classify":
            return {"label": self.label_loss(self.features(source.x), source.y)}
        if self.phase == "disagree":
            with torch.no_grad():  # the heads' turn
                fs, ft = self.features(source.x), self.features(target.x)
            return {"label": self.label_loss(fs, source.y), "discrepancy": -self.discrepancy(ft)}
        return {"discrepancy": self.discrepancy(self.features(target.x))}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Discrepancy of the heads on both domains, in [0, 2/k]: the target's should fall to the source's."""
        return {
            "source_discrepancy": self.discrepancy(source).item(),
            "target_discrepancy": self.discrepancy(target).item(),
        }
