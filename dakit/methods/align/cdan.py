"""Conditional adversarial network (CDAN): a domain classifier that sees features and predictions as one.

As in DANN a discriminator D learns which domain an example came from, and the backbone learns to deny it that. Here
D looks at the multilinear map f ⊗ g of features and predicted class probabilities, so that what is matched is the
features class by class, as far as the predictions are right. With entropy conditioning (CDAN+E) examples whose
prediction is sure count more, since a discriminator conditioned on wrong predictions would match wrong classes.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs, similar class proportions, and target predictions that are right often enough
to stand in for labels.

Objective: features f of shape (b, d), logits G_y(f) of shape (b, k), probabilities g = softmax(G_y(f)), joint variable
T(f, g) = f ⊗ g of shape (b, d k), one domain logit D(T) an example, the source called 0 and the target 1, H_i the
entropy of g_i:

    min over θ_f, θ_y, max over θ_d of
        mean_S CE(G_y(f), y) - λ [ mean_S w BCE(D(T(f, g)), 0) + mean_T w BCE(D(T(f, g)), 1) ],
    w_i = 1 (CDAN) or 1 + exp(-H_i) (CDAN+E), divided by their mean over the examples of the domain.

Where d k exceeds 4096, T(f, g) = (f R_f) ⊙ (g R_g) / sqrt(r) with fixed Gaussian matrices R_f of shape (d, r) and R_g
of shape (k, r). λ grows and the learning rate falls with progress as in DANN. g and w are conditions: no gradient flows
through them (through g with detach=False, as the objective reads when taken literally). The paper writes w without the
division; with it the domains weigh alike although the source is the surer one.

Fails when: target predictions are wrong in a systematic way (classes are then matched in that wrong order and grow
sure of it), class proportions differ, or λ is so large or rises so early that the label loss cannot hold the features
together. A domain loss at chance is no proof of invariance.

Paper: Long, Cao, Wang, Jordan, Conditional Adversarial Domain Adaptation, NeurIPS 2018, arXiv:1705.10667.
"""

import math

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real
from dakit.models.layers import gradient_reversal

__all__ = ["CDAN"]


class CDAN(Method):
    """Conditional domain-adversarial network.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the reversed gradient on the backbone (and nowhere else).
    entropy : bool
        Weigh examples by the certainty of their prediction: CDAN+E.
    ramp : bool
        Let λ grow from 0 with progress, 2 / (1 + exp(-10 p)) - 1 times.
    hidden : int
        Units in each of the discriminator's two hidden layers; 0 for a logistic regressor.
    map_limit : int
        Largest d k for which all products are taken; above it the map is randomised. 4096 in the paper.
    map_dim : int
        r, the width of the randomised map.
    detach : bool
        Take the predictions as given; False lets the head, too, play against the discriminator.
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
        entropy: bool = False,
        ramp: bool = True,
        hidden: int = 256,
        map_limit: int = 4096,
        map_dim: int = 1024,
        detach: bool = True,
        anneal: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_ = check_real("lambda_", lambda_)
        self.hidden = check_int("hidden", hidden, 0)
        self.map_limit, self.map_dim = check_int("map_limit", map_limit, 0), check_int("map_dim", map_dim, 1)
        self.entropy, self.ramp, self.detach, self.anneal = entropy, ramp, detach, anneal
        self.label_smoothing = label_smoothing
        d, width = backbone.out_features, backbone.out_features * num_classes
        self.randomised = width > map_limit
        if self.randomised:
            width = map_dim
            self.register_buffer("rf", torch.randn(d, map_dim))
            self.register_buffer("rg", torch.randn(num_classes, map_dim))
        self.discriminator = (
            nn.Sequential(
                nn.Linear(width, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, 1),
            )
            if hidden
            else nn.Linear(width, 1)
        )

    def lambda_at(self, progress: float) -> float:
        """λ_p = λ (2 / (1 + exp(-10 p)) - 1): 0 at the start, 0.99991 λ at the end."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def lr_factor(self, progress: float) -> float:
        """(1 + 10 p)^-0.75: 1 at the start, 0.166 at the end."""
        return (1 + 10 * progress) ** -0.75 if self.anneal else 1.0

    def joint(self, features: Tensor, logits: Tensor) -> Tensor:
        """T(f, g): what the discriminator looks at, (b, d) and (b, k) to (b, d k), or to (b, r) if randomised."""
        g = (logits.detach() if self.detach else logits).softmax(1)
        if self.randomised:
            return losses.randomised_multilinear(features, g, self.rf, self.rg)
        return losses.multilinear(features, g)

    def domain_logits(self, joint: Tensor) -> Tensor:
        """D: (b, d k) to (b,), positive where the discriminator says target."""
        return self.discriminator(joint).squeeze(1)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        n = len(source)
        features = self.features(torch.cat([source.x, target.x]))
        logits = self.head(features)
        label = losses.cross_entropy(logits[:n], source.y, label_smoothing=self.label_smoothing)
        # λ acts below the map only: the discriminator itself descends its full loss.
        domain = self.domain_logits(gradient_reversal(self.joint(features, logits), self.lambda_at(progress)))
        weights = losses.certainty(logits) if self.entropy else torch.ones_like(domain)
        return {
            "label": label,
            "domain": losses.domain_adversarial(
                domain[:n], domain[n:], weights_source=weights[:n], weights_target=weights[n:]
            ),
        }

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Balanced accuracy of the discriminator: 0.5 is chance, 1 is a discriminator that wins."""
        g_s, g_t = (self.domain_logits(self.joint(f, self.head(f))) for f in (source, target))
        right = (g_s < 0).float().mean() + (g_t > 0).float().mean()
        return {"discriminator_accuracy": float(right / 2)}
