"""Adversarial discriminative domain adaptation (ADDA): a target encoder of its own, against a fixed source encoder.

First an encoder and a label head learn the source. Then the encoder is kept as it is, a copy of it becomes the target
encoder, and a discriminator learns to tell the features of source examples in the first from those of target examples
in the second, while the target encoder learns to be taken for the source's. The label head, unchanged, then reads
target features.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs, similar class proportions, and a source encoder that is a good place to start
from: nothing but the start ties a target cluster to its class.

Objective: source encoder M_S and target encoder M_T, features of shape (b, d), logits C(f) of shape (b, k), one domain
logit D(f) an example, shape (b,), the source called 0 and the target 1:

    progress < pretrain:  min over M_T, C of  mean_S CE(C(M_T(x)), y),
    then M_S = M_T once, and from there on, C and M_S fixed,
        min over D of    mean_S BCE(D(M_S(x)), 0) + mean_T BCE(D(M_T(x)), 1),
        min over M_T of  mean_T BCE(D(M_T(x)), 0).

The encoder that learns in both stages is ``backbone``: it is the target's, and features and logits, of source examples
too, are taken with it. The second stage looks at no label: source accuracy may fall there, which costs nothing.

Fails when: class proportions differ, the first encoder mixes target classes up (clusters are then carried to the wrong
place, or to one place), or the second stage goes on for too long, at too high a rate or with much momentum: no label
holds the target encoder, and all its classes may run into one. A discriminator at chance is no proof of invariance.

Paper: Tzeng, Hoffman, Saenko, Darrell, Adversarial Discriminative Domain Adaptation, CVPR 2017, arXiv:1702.05464.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real

__all__ = ["ADDA"]


class ADDA(Method):
    """Adversarial discriminative domain adaptation.

    Parameters
    ----------
    backbone : nn.Module
        M_T: maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned; 1 never adapts.
    hidden : int
        Units in each of the discriminator's two hidden layers, 500 in the paper's digit network; 0 for a logistic
        regressor.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by in the second stage. With momentum 0.9 the players need it as low as
        this; with 0.5, as the paper's Adam has, or none, 0.1 is held, too.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        pretrain: float = 0.5,
        hidden: int = 500,
        adapt_lr: float = 0.01,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.pretrain = check_real("pretrain", pretrain, high=1.0)
        self.hidden, self.adapt_lr = check_int("hidden", hidden, 0), check_real("adapt_lr", adapt_lr)
        self.label_smoothing = label_smoothing
        d = backbone.out_features
        self.discriminator = (
            nn.Sequential(
                nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
            )
            if hidden
            else nn.Linear(d, 1)
        )
        self.source_backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.register_buffer("adapting", torch.tensor(False))  # saved: a resumed run copies no second time
        self.phase = "encoder"

    def begin(self) -> None:
        self.adapting.fill_(False)

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        encoder = [*self.backbone.parameters(), *self.head.parameters()]
        return [("encoder", encoder), ("discriminator", list(self.discriminator.parameters()))]

    def lr_factor(self, progress: float) -> float:
        """1 while the source is learned, ``adapt_lr`` after that."""
        return 1.0 if self.learns_source(progress) else self.adapt_lr

    def learns_source(self, progress: float) -> bool:
        """Whether ``progress`` lies in the first stage."""
        return progress < self.pretrain or self.pretrain == 1

    def train(self, mode: bool = True) -> "ADDA":
        """As for every module, but the source encoder stays in evaluation: it is fixed, statistics included."""
        super().train(mode)
        self.source_backbone.eval()
        return self

    def source_features(self, x: Tensor) -> Tensor:
        """M_S: (b, ...) to (b, d), in the precision of :meth:`features` and without gradient."""
        with torch.no_grad():
            return self.in_precision(self.source_backbone, x)

    def domain_logits(self, features: Tensor) -> Tensor:
        """D: (b, d) to (b,), positive where the discriminator says target."""
        return self.discriminator(features).squeeze(1)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        smoothing = self.label_smoothing
        if self.learns_source(progress):
            if self.phase == "discriminator":  # has nothing to do yet: a loss of 0 with gradient 0
                return {"domain": 0.0 * sum(p.sum() for p in self.discriminator.parameters())}
            logits = self.head(self.features(source.x))
            return {"label": losses.cross_entropy(logits, source.y, label_smoothing=smoothing)}
        if not self.adapting:
            self.source_backbone.load_state_dict(self.backbone.state_dict())
            self.adapting.fill_(True)
        fs = self.source_features(source.x)
        if self.phase == "discriminator":
            with torch.no_grad():
                ft = self.features(target.x)
            return {"domain": losses.domain_adversarial(self.domain_logits(fs), self.domain_logits(ft))}
        with torch.no_grad():  # watched, not minimised
            label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=smoothing)
        # Labels inverted, not the gradient reversed: the slope does not vanish where the discriminator is sure.
        return {"label": label, "inverted": softplus(self.domain_logits(self.features(target.x))).mean()}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of target examples, coded by the target encoder, that the discriminator takes for the source's."""
        return {"taken_for_source": float((self.domain_logits(target) < 0).float().mean())}
