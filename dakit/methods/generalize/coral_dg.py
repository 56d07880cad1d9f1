"""CORAL between sources: features with the same mean and covariance in every source domain.

What deep CORAL does between source and target is done between each pair of sources: squared distances of the mean
features and of their covariances are added to the mean risk. Features that keep the first two moments over domains
known are hoped to keep them in an unknown one.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation).

Assumes: covariate shift that shows in the first two moments, similar class proportions in all domains, and a new
domain that differs from the sources as they differ among each other.

Objective: source domains e = 1 … m, features f of shape (b, d) in each with mean μ_e of shape (d,) and covariance C_e
of shape (d, d), logits G_y(f) of shape (b, k),

    min over θ of  (1/m) Σ_e mean_e CE(G_y(f), y)
                   + γ (2 / (m (m - 1))) Σ_{e < l} (||μ_e - μ_l||² / d + ||C_e - C_l||²_F / d²).

Fails when: class proportions differ among the sources (matching moments then mixes classes), the domains differ in
higher moments, or batches are small beside d. Both distances fall when all features shrink: watch the label loss.

Paper: Sun, Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation, ECCV 2016 workshops,
arXiv:1607.01719, for one source and one target; among sources, on features rather than logits, with the means and γ =
1 as in DomainBed (Gulrajani, Lopez-Paz, ICLR 2021).
"""

from itertools import combinations

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.generalize.risks import by_domain, risks
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["CORALDG"]


class CORALDG(Method):
    """Correlation alignment among sources.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    gamma : float, at least 0
        γ, the weight of the distances.
    label_smoothing : float in [0, 1)
    """

    uses_target = False
    min_sources = 2

    def __init__(
        self, backbone, num_classes: int, *, gamma: float = 1.0, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(backbone, num_classes)
        self.gamma, self.label_smoothing = check_real("gamma", gamma), label_smoothing

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        features, parts = self.features(source.x), source.parts()
        label = risks(self.head(features), parts, label_smoothing=self.label_smoothing).mean()
        pairs = combinations(by_domain(features, parts), 2)
        # losses.coral divides by 4 d², and here it is d².
        distances = [(a.mean(0) - b.mean(0)).square().mean() + 4 * losses.coral(a, b) for a, b in pairs] or [
            features.new_zeros(())
        ]
        return {"label": label, "coral": self.gamma * torch.stack(distances).mean()}
