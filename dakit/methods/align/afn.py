"""Adaptive feature norm (AFN): give source and target features one large norm, or let both grow step by step.

Target features of a network trained on the source are often shorter than source features, and short features are said
to be the ones that transfer badly. The hard variant draws the mean norms of both domains to one radius; the stepwise
variant asks every example, at every step, for a norm a little above its present one. No adversary and no statistic of
the distributions takes part: the domains meet in their norms only.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: that what separates the domains shows in feature norms, and that the directions of the features agree already.

Objective: with features f = G_f(x) of shape (b, d) and norms ||f||, one number an example,

    min over θ of  mean_S CE(G_y(f), y) + λ L,
    hard:      L = (mean_S ||f|| - R)² + (mean_T ||f|| - R)²,
    stepwise:  L = mean over S and T of (||f|| - (||f||' + Δr))²,

where ||f||' is the norm of the same example without gradient. The paper takes it from the last parameters, which are
the present ones before the step; the loss then always has the value Δr², and its gradient the constant length
2 Δr / (number of examples) an example.

Fails when: the domains differ in direction rather than in norm, for examples whose features are all 0, which have no
direction in which to grow, and, in the stepwise variant, when norms run away: it has no resting point, and every layer
that is not normalised multiplies the growth. Behind the batch normalisation of the paper's bottleneck, here
``{"name": "mlp", "norm": "batch"}``, norms rose fourfold in 200 steps; without any, on the same toy data, to over a
million in 600, or the features died. That is why the hard variant is the default here, though the paper finds the
stepwise one better. The curve of the stepwise loss is flat whatever happens: watch the diagnostics ``source_norm`` and
``target_norm``. R has to suit the number of features; 25 is for the paper's bottleneck of 1000. The first steps are
steep: with the default R and a learning rate of 0.05 both variants lost the source, with 0.01 the hard one did not.

Paper: Xu, Li, Yang, Lin, Larger Norm More Transferable: An Adaptive Feature Norm Approach for Unsupervised Domain
Adaptation, ICCV 2019, arXiv:1811.07456.
"""

import math

import torch
from torch import Tensor

from dakit import losses
from dakit.losses.feature_norm import check_positive
from dakit.methods.method import Batch, Method

__all__ = ["AFN"]


class AFN(Method):
    """Adaptive feature norm, hard (HAFN) or stepwise (SAFN).

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    variant : {"hard", "stepwise"}
        The stepwise one needs a backbone that normalises before its features.
    lambda_ : float, at least 0
        λ, the weight of the norm loss; 0.05 in the paper.
    step : float, positive
        Δr of the stepwise variant; 1 in the paper for most tasks.
    radius : float, positive
        R of the hard variant; 25 in the paper.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        variant: str = "hard",
        lambda_: float = 0.05,
        step: float = 1.0,
        radius: float = 25.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        if variant not in ("hard", "stepwise"):
            raise ValueError(f"afn has variant='hard' or variant='stepwise', not {variant!r}")
        if not 0 <= lambda_ < math.inf:
            raise ValueError(f"afn needs a finite lambda_ of at least 0, got {lambda_}")
        check_positive("step", step)
        check_positive("radius", radius)
        self.variant, self.lambda_, self.step, self.radius = variant, lambda_, step, radius
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        if self.variant == "hard":
            norm = losses.hard_feature_norm(fs, ft, radius=self.radius)
        else:
            norm = losses.stepwise_feature_norm(fs, ft, step=self.step)
        return {"label": label, "norm": self.lambda_ * norm}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Mean feature norm of each domain."""
        norms = [torch.linalg.vector_norm(f.detach(), dim=1).mean() for f in (source, target)]
        return {"source_norm": float(norms[0]), "target_norm": float(norms[1])}
