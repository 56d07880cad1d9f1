"""Partial adversarial domain adaptation (PADA): DANN that forgets the source classes which the target lacks.

The target's mean prediction says which source classes it seems to hold. These shares, divided by the largest, weigh
the source examples by their class, both where labels are learned and where the discriminator tells the domains apart.
Source classes that no target example looks like then neither draw target features to them nor take up the classifier.

Setting: labelled source, unlabelled target whose classes are a part of the source's, not known which (partial domain
adaptation).

Assumes: what DANN assumes for the shared classes, and a source classifier that already sends few target examples to
the classes that the target lacks.

Objective: features f = G_f(x) of shape (b, d), logits G_y(f) and predictions ŷ = softmax(G_y(f)) of shape (b, k), one
domain logit G_d(f) an example, shape (b,), the source called 0 and the target 1, class weights γ of shape (k,):

    γ = mean_T ŷ / max_c (mean_T ŷ)_c,
    min over θ_f, θ_y, max over θ_d of
        mean_S γ_y CE(G_y(f), y) - λ [ mean_S γ_y BCE(G_d(f), 0) + mean_T BCE(G_d(f), 1) ]

γ comes from a pass over the whole target, without gradient, every tenth of the training. Until the first one it is 1:
an untrained classifier has nothing to say about classes, and weights drawn from it may put a shared class out for good.
That interval is ours. λ and the learning rate follow DANN's schedules. The means are over all source examples, as in
the paper: where few classes are shared, the source weighs less on the whole.

Fails when: the source classifier sends many target examples to classes that the target lacks (their weight then stays,
and what is aligned with them confirms it), or sends a shared class nowhere, whose weight falls to 0. Class proportions
of the target count as shares, too: a rare target class is weighted down.

Paper: Cao, Ma, Long, Wang, Partial Adversarial Domain Adaptation, ECCV 2018, arXiv:1808.04205.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from dakit.methods.align.dann import DANN
from dakit.methods.method import Batch
from dakit.methods.parameters import check_real
from dakit.methods.passes import whole
from dakit.models.layers import gradient_reversal

__all__ = ["PADA"]


class PADA(DANN):
    """Partial adversarial domain adaptation.

    Parameters
    ----------
    backbone : nn.Module
        G_f: maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
        Of the source.
    lambda_, ramp, hidden, anneal
        As for :class:`DANN`.
    every : float in (0, 1]
        Share of the training between two passes over the target; 1 never passes, which is DANN.
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
        every: float = 0.1,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            backbone,
            num_classes,
            lambda_=lambda_,
            ramp=ramp,
            hidden=hidden,
            anneal=anneal,
            label_smoothing=label_smoothing,
        )
        self.every = check_real("every", every, high=1.0, open_low=True)
        self.register_buffer("class_weights", torch.ones(num_classes))  # γ
        # Progress of the last pass. On the host, so that a GPU need not be asked at every step; saved as extra state.
        self.looked_at = 0.0

    def get_extra_state(self) -> Tensor:
        """Progress of the last pass."""
        return torch.tensor(self.looked_at, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.looked_at = state.item()

    def begin(self) -> None:
        self.looked_at = 0.0
        self.class_weights.fill_(1.0)

    def pass_due(self, progress: float) -> bool:
        """At every ``every`` of the training, but not for the last step alone."""
        return self.every <= progress - self.looked_at and progress < 1

    def prepare(self, source: Any, target: Any, progress: float) -> None:
        if self.pass_due(progress):
            self.looked_at = progress
            share = whole(self, target.x)[1].softmax(1).mean(0)
            self.class_weights.copy_(share / share.max())

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        features = self.features(torch.cat([source.x, target.x]))
        n, weights = len(source), self.class_weights[source.y]
        label = cross_entropy(
            self.head(features[:n]), source.y, reduction="none", label_smoothing=self.label_smoothing
        )
        g = self.domain_logits(gradient_reversal(features, self.lambda_at(progress)))
        domain = (weights * softplus(g[:n])).mean() + softplus(-g[n:]).mean()
        return {"label": (weights * label).mean(), "domain": domain}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """What DANN shows, and how many classes seem shared: (Σ γ)² / Σ γ², from 1 to k."""
        w = self.class_weights
        return {
            **super().diagnostics(source, target),
            "effective_classes": float(w.sum() ** 2 / (w**2).sum()),
        }
