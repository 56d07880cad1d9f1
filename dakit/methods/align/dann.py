"""Domain-adversarial training (DANN): features that no domain classifier can tell apart.

A discriminator G_d learns to say from the features which domain an example came from, while the backbone
G_f learns to deny it that and to serve the label head G_y all the same. A gradient reversal layer R_λ
(identity forward, -λ times the gradient backward) between backbone and discriminator lets one minimiser
play both roles: the discriminator descends its loss, the backbone ascends it.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs, similar class proportions, and features that can be invariant and
discriminative at once.

Objective: features f = G_f(x) of shape (b, d), logits G_y(f) of shape (b, k), one domain logit G_d(f) an
example, shape (b,), the source called 0 and the target 1:

    min over θ_f, θ_y, max over θ_d of  mean_S CE(G_y(f), y) - λ [ mean_S BCE(G_d(f), 0) + mean_T BCE(G_d(f), 1) ]

Over progress p in [0, 1] the weight grows, λ_p = λ (2 / (1 + exp(-10 p)) - 1), and the learning rate falls,
μ_p = μ_0 (1 + 10 p)^-0.75.

Fails when: class proportions differ between the domains (matching the features then must mix classes), when
λ is so large or rises so early that the label loss cannot hold the features together, and on tasks where
source and target classes can be matched in a wrong order. A domain loss at chance is no proof of
invariance, since an untrained discriminator is at chance too: measure the A-distance with a fresh
classifier.

Paper: Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand, Lempitsky, Domain-Adversarial
Training of Neural Networks, JMLR 17 (2016), arXiv:1505.07818.
"""

import math

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.models.layers import gradient_reversal

__all__ = ["DANN"]


class DANN(Method):
    """Domain-adversarial neural network.

    Parameters
    ----------
    backbone : nn.Module
        G_f: maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float
        λ, the weight of the reversed gradient on the backbone (and nowhere else). 1 for the paper's deep networks.
    ramp : bool
        Let λ grow from 0 with progress, as for the paper's deep networks; False keeps it, as for its shallow ones.
    hidden : int
        Units of the discriminator's hidden layer; 100 for the paper's digit network, 0 for the logistic regressor of
        its shallow networks.
    anneal : bool
        Let the learning rate fall by (1 + 10 p)^-0.75, the paper's schedule.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        ramp: bool = True,
        hidden: int = 100,
        anneal: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_, self.ramp, self.hidden, self.anneal = lambda_, ramp, hidden, anneal
        self.label_smoothing = label_smoothing
        d = backbone.out_features
        self.discriminator = (
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            if hidden
            else nn.Linear(d, 1)
        )

    def lambda_at(self, progress: float) -> float:
        """λ_p = λ (2 / (1 + exp(-10 p)) - 1): 0 at the start, 0.99991 λ at the end."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def lr_factor(self, progress: float) -> float:
        """(1 + 10 p)^-0.75: 1 at the start, 0.166 at the end."""
        return (1 + 10 * progress) ** -0.75 if self.anneal else 1.0

    def domain_logits(self, features: Tensor) -> Tensor:
        """G_d: (b, d) to (b,), positive where the discriminator says target."""
        return self.discriminator(features).squeeze(1)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        features = self.features(torch.cat([source.x, target.x]))
        n = len(source)
        label = losses.cross_entropy(self.head(features[:n]), source.y, label_smoothing=self.label_smoothing)
        # λ acts on the feature path only: the discriminator itself descends its full loss.
        domain = self.domain_logits(gradient_reversal(features, self.lambda_at(progress)))
        return {"label": label, "domain": losses.domain_adversarial(domain[:n], domain[n:])}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Balanced accuracy of the discriminator: 0.5 is chance, 1 is a discriminator that wins."""
        right_source = (self.domain_logits(source) < 0).float().mean()
        right_target = (self.domain_logits(target) > 0).float().mean()
        return {"discriminator_accuracy": float((right_source + right_target) / 2)}
