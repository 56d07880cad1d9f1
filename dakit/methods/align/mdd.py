"""Margin disparity discrepancy (MDD): features on which no second head can contradict the first.

A second head learns to give the first head's predictions with a margin on the source, and anything else on the target;
how far it gets is the discrepancy of the domains that matters for the classifier at hand. A gradient reversal layer in
front of it lets the backbone undo what the second head finds. Unlike a domain discriminator the second head is of the
classifier's own kind, for which the paper proves a bound of the target's error.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs, similar class proportions, and a classifier that would do well on both domains.

Objective: features f of shape (b, d), logits G_y(f) and G_a(f) of shape (b, k) of the head and of the second head,
h = argmax G_y(f), which passes no gradient, p_a = softmax(G_a(f)),

    min over θ_f, θ_y, max over θ_a of  mean_S CE(G_y(f), y) - η [ γ mean_S -log p_a[h] + mean_T -log(1 - p_a[h]) ]

γ = exp(ρ) for a margin ρ: where the domains cannot be told apart the second head gives h the probability γ / (1 + γ).
Over progress p in [0, 1] the weight grows, η_p = η (2 / (1 + exp(-10 p)) - 1). The second head descends the bracket
without η.

Fails when: class proportions differ between the domains, the second head is too weak to contradict (a linear one is
nearly powerless with two classes) or learns too slowly beside the backbone, or γ is so large that it is content with
agreeing on the source. Where the first head is wrong on a cluster of the target, the second is taught to leave that
wrong answer, which need not be the way to the right one. The bracket has no upper bound: a backbone that is pushed too
hard drives its features to infinity, as small networks did at a learning rate of 0.05 with η = 1, and at η = 0.1 with
1024 units in the second head.

The paper has, from memory, γ = 4 for Office-31 and Office-Home, η = 0.1, and a second head with one hidden layer of
1024 units, with dropout in the authors' code, which is left out here; the 100 units are those of DANN. In that code η
grows by 2 / (1 + exp(-i / 1000)) - 1 with the step i, here as in DANN with the share of all steps. The first head is a
single linear layer; the paper's has the form of the second.

Paper: Zhang, Liu, Long, Jordan, Bridging Theory and Algorithm for Domain Adaptation, ICML 2019, arXiv:1904.05801.
"""

import math

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real
from dakit.models.layers import gradient_reversal

__all__ = ["MDD"]


class MDD(Method):
    """Margin disparity discrepancy with an adversarial second head.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    gamma : float, positive
        γ, the weight of the agreement on the source, exp of the margin.
    eta : float, at least 0
        η, the weight of the reversed gradient on the backbone (and nowhere else).
    ramp : bool
        Let η grow from 0 with progress.
    hidden : int
        Units of the second head's hidden layer; 0 for a linear one. 1024 in the paper, for backbones of 2048 features.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        gamma: float = 4.0,
        eta: float = 0.1,
        ramp: bool = True,
        hidden: int = 100,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.gamma = check_real("gamma", gamma, open_low=True)
        self.eta, self.ramp, self.hidden = check_real("eta", eta), ramp, check_int("hidden", hidden, 0)
        self.label_smoothing = label_smoothing
        d = backbone.out_features
        self.adversary = (
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))
            if hidden
            else nn.Linear(d, num_classes)
        )

    def eta_at(self, progress: float) -> float:
        """η_p = η (2 / (1 + exp(-10 p)) - 1): 0 at the start, 0.99991 η at the end."""
        return self.eta * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.eta

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        features = self.features(torch.cat([source.x, target.x]))
        n = len(source)
        logits = self.head(features)
        h = logits.detach().argmax(1)
        label = losses.cross_entropy(logits[:n], source.y, label_smoothing=self.label_smoothing)
        # η acts on the feature path only: the second head itself descends the full loss.
        other = self.adversary(gradient_reversal(features, self.eta_at(progress)))
        disparity = losses.margin_disparity(other[:n], other[n:], h[:n], h[n:], gamma=self.gamma)
        return {"label": label, "disparity": disparity}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """How often the second head contradicts the first on each domain: only on the target where it wins."""

        def contradicted(f: Tensor) -> float:
            return (self.head(f).argmax(1) != self.adversary(f).argmax(1)).float().mean().item()

        return {"source_contradicted": contradicted(source), "target_contradicted": contradicted(target)}
