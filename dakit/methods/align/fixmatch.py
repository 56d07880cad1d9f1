"""FixMatch on the target: the class seen in a hardly changed example is the label of the same example changed a lot.

The classifier looks at a weak view of each target example (moved a little). Where it is sure, the class that it sees
becomes the label of a strong view of the same example (recoloured, noisy, partly covered). Source labels are learned
as ever.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: the views keep the class, confidence goes with being right on the target, and the shift is small enough that
some target examples are confident and right from the start: labels then spread from them to their neighbours.

Objective: weak view a(x) and strong view A(x) of target examples, logits of shape (b, k), q_i = softmax of the logits
of a(x_i), ŷ_i = argmax q_i, no gradient through either, threshold τ,

    min over θ of  mean_S CE(G_y(f), y) + λ_u (1/b) Σ_i [max q_i >= τ] CE(G_y(G_f(A(x_i))), ŷ_i).

The paper is semi-supervised: labelled and unlabelled examples of one distribution. Here the unlabelled ones are the
target's, as in AdaMatch (Berthelot et al., ICLR 2022, arXiv:2106.04732) and other uses of FixMatch under shift, and as
in AdaMatch λ_u grows over progress p, λ_u (1 - cos(min(π, 2 π p))) / 2: from optdigits to mnist a constant weight lets
the target fall into few classes (diversity of its predictions 0.53 ± 0.33 against 0.88 ± 0.03 over 3 seeds, by
``benchmarks/signs.py fixmatch ramp False True``). The paper's batches hold 7 times as many unlabelled examples as
labelled ones, here as many; its strong views are RandAugment or CTAugment, here one fixed recipe; it also changes the
labelled examples weakly, which ``fit(augment=…)`` does for both domains. Inputs that are no pictures get Gaussian noise
for both views, which the paper does not have.

Fails when: the classifier is sure and wrong on the target (no gradient says so): a target far from the source is put
into one class with confidence and stays there. Also when a view changes the class (a mirrored digit), or noise is no
natural change of a flat input. A rising share of confident examples is no proof of right labels.

Paper: Sohn, Berthelot, Li, Zhang, Carlini, Cubuk, Kurakin, Zhang, Raffel, FixMatch: Simplifying Semi-Supervised
Learning with Consistency and Confidence, NeurIPS 2020, arXiv:2001.07685.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from dakit import losses
from dakit.methods import augmented
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["FixMatch"]


class FixMatch(Method):
    """FixMatch with the target as the unlabelled set.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    tau : float in [0, 1]
        τ, the least probability of a class that becomes a label.
    lambda_u : float, at least 0
        λ_u, the weight of the target's term.
    ramp : bool
        Let λ_u grow from 0 over the first half of the steps, as in AdaMatch; False keeps it, as in FixMatch.
    weak, strong : float, at least 0
        Noise of the two views of inputs that are no pictures, in standard deviations of each feature over the batch.
        Not from the paper.
    flip : bool
        Mirror pictures left and right in both views. The paper does so but for house numbers; digits and letters mean
        something else in a mirror, so it is off here.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        tau: float = 0.95,
        lambda_u: float = 1.0,
        ramp: bool = True,
        weak: float = 0.1,
        strong: float = 0.5,
        flip: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.ramp = ramp
        self.tau, self.lambda_u = check_real("tau", tau, high=1.0), check_real("lambda_u", lambda_u)
        self.weak, self.strong = check_real("weak", weak), check_real("strong", strong)
        self.flip, self.label_smoothing = flip, label_smoothing

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        n, b = len(source), len(target)
        views = (
            augmented.weak(target.x, jitter=self.weak, flip=self.flip),
            augmented.strong(target.x, jitter=self.strong, flip=self.flip),
        )
        of_source, of_weak, of_strong = self.logits(torch.cat([source.x, *views])).split([n, b, b])
        label = losses.cross_entropy(of_source, source.y, label_smoothing=self.label_smoothing)
        return {"label": label, "unlabelled": self.weight_at(progress) * self.consistency(of_weak, of_strong)}

    def weight_at(self, progress: float) -> float:
        """λ_u; with ``ramp`` λ_u (1 - cos(2 π p)) / 2 in the first half, which begins at 0, and λ_u in the second."""
        return (
            self.lambda_u * (1 - math.cos(min(math.pi, 2 * math.pi * progress))) / 2
            if self.ramp
            else self.lambda_u
        )

    def consistency(self, weak: Tensor, strong: Tensor) -> Tensor:
        """Cross-entropy of strong views with the classes of confident weak ones, over all rows: (b, k) twice to ()."""
        confidence, label = weak.detach().softmax(dim=1).max(dim=1)
        return ((confidence >= self.tau) * functional.cross_entropy(strong, label, reduction="none")).mean()

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of target examples whose class would be taken as a label, looked at unchanged."""
        confidence = self.head(target).softmax(dim=1).amax(dim=1)
        return {"confident_share": float((confidence >= self.tau).float().mean())}
