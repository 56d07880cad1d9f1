"""Open-set adaptation by backpropagation (OSBP): a classifier with a class "unknown", and features that choose a side.

A classifier of the known classes has one more, the unknown one, for which the source has no example. It is trained to
call every target example unknown with probability t, one half; the backbone, through a gradient reversal, to drive that
probability away from t. Target examples that look like known classes are thereby aligned with them, and the others are
pushed over to the unknown one.

Setting: labelled source, unlabelled target with the source's classes and others beside them (open-set domain
adaptation). The last column of ``logits`` is the unknown class.

Assumes: unknown examples lie farther from the source than those of known classes, and all known classes occur in the
target.

Objective: features f = G(x) of shape (b, d), logits C(f) and probabilities p of shape (b, k + 1), the last column the
unknown class:

    L_s = mean_S CE(C(f), y),  L_adv = - t mean_T log p_k+1 - (1 - t) mean_T log (1 - p_k+1),
    min over θ_C of  L_s + L_adv,  min over θ_G of  L_s - λ L_adv.

The reversal has λ = 1 throughout, as in the paper. The loss that the backbone climbs has no upper bound, and features
would grow until training breaks down: batch norm at the end of G, over both domains together, holds them, as (from
memory) in the paper's networks. The classifier is one linear layer, where the paper's have more.

Fails when: the backbone pushes whole known classes over to the unknown one or unknown ones into known ones, for nothing
but the start decides on the side; when few or most target examples are unknown, for t says nothing of their share; and
when source classes are missing in the target (take a universal method).

Paper: Saito, Yamamoto, Ushiku, Harada, Open Set Domain Adaptation by Backpropagation, ECCV 2018, arXiv:1804.10427.
"""

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real
from dakit.models.layers import gradient_reversal

__all__ = ["OSBP"]


class OSBP(Method):
    """Open-set domain adaptation by backpropagation.

    Parameters
    ----------
    backbone : nn.Module
        G: maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
        k, the known classes.
    lambda_ : float, at least 0
        λ, the weight of the reversed gradient on the backbone (and nowhere else).
    t : float strictly between 0 and 1
        Probability of "unknown" that the classifier aims at on the target.
    label_smoothing : float in [0, 1)
        Among all k + 1 classes.
    """

    open_set = True

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        t: float = 0.5,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_, self.t = check_real("lambda_", lambda_), check_real("t", t, high=1.0, open_low=True)
        if t == 1:
            raise ValueError("t must lie strictly between 0 and 1, got 1")
        self.label_smoothing = label_smoothing
        self.unknown = nn.Linear(backbone.out_features, 1)
        self.norm = nn.BatchNorm1d(backbone.out_features, affine=False)

    def features(self, x: Tensor) -> Tensor:
        """G: (b, ...) to (b, d), each feature with mean 0 and variance 1 over the batch, or in evaluation as then."""
        return self.norm(super().features(x))

    def classify(self, features: Tensor) -> Tensor:
        """C: (b, d) to (b, k + 1)."""
        return torch.cat([self.head(features), self.unknown(features)], dim=1)

    def logits(self, x: Tensor) -> Tensor:
        """Class scores, (b, ...) to (b, k + 1), the last one of the unknown class."""
        return self.classify(self.features(x))

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.classify(fs), source.y, label_smoothing=self.label_smoothing)
        # The classifier descends the boundary loss, the backbone climbs it.
        z = self.classify(gradient_reversal(ft, self.lambda_))
        return {"label": label, "boundary": losses.unknown_boundary(z, t=self.t)}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of the examples that are called unknown: of the source, all of them wrongly, and of the target."""
        share = [
            float((self.classify(f).argmax(1) == self.num_classes).float().mean()) for f in (source, target)
        ]
        return {"source_unknown": share[0], "target_unknown": share[1]}
