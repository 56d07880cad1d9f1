"""Invariant risk minimisation (IRM): features on which one and the same head is the best one in every source domain.

A spurious feature predicts the label with another strength in each domain, so that the best head differs, too. IRMv1
measures that by the slope of each domain's risk along a scale w of the logits, held at 1: where the slope is 0, no
domain would have the head surer or less sure. The squared slopes are added to the mean risk.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation).

Assumes: p(y | what causes y) is the same in all domains, sources and new ones, while the strength of spurious
features differs among the sources, enough to tell them from the invariant ones.

Objective: source domains e = 1 … m, logits z = G_y(G_f(x)) of shape (b, k) in each, risk R_e(w) = mean_e CE(w z, y)
with a scalar w,

    min over θ of  (1/m) Σ_e R_e(1) + λ_p (1/m) Σ_e (dR_e/dw at w = 1)²,

λ_p = 1 over the first share ``anneal`` of progress, λ after it. Where λ_p exceeds 1, the whole is divided by it, as
the authors' code does to keep gradients of one size; the label loss in the history then is the divided one.

Fails when: there are fewer domains than spurious directions, the domains differ too little, or the network is large
enough to reach a risk near 0 in each domain (the slope then vanishes for any features). With λ large from the start,
logits of 0, which also have slope 0, are a way out: hence the annealing. The squared slope of a small batch is too
large by the slope's variance; ``halves`` takes the product of the slopes of two halves instead.

Paper: Arjovsky, Bottou, Gulrajani, Lopez-Paz, Invariant Risk Minimization, arXiv:1907.02893 (2019). The paper tunes λ
for each problem; the defaults of λ and ``anneal`` are those of DomainBed (Gulrajani, Lopez-Paz, ICLR 2021).
"""

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.generalize.risks import annealed, by_domain, risks
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["IRM"]


class IRM(Method):
    """Invariant risk minimisation, in its practical version IRMv1.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the penalty once annealing is over.
    anneal : float in [0, 1]
        Share of the training over which the weight is 1.
    halves : bool
        Estimate the squared slope without bias, from two halves of each domain's batch, as DomainBed does. The
        estimate is noisier, and negative at times.
    rescale : bool
        Divide the objective by the weight of the penalty where that exceeds 1.
    label_smoothing : float in [0, 1)
    """

    uses_target = False
    min_sources = 2

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 100.0,
        anneal: float = 0.1,
        halves: bool = False,
        rescale: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_, self.anneal = check_real("lambda_", lambda_), check_real("anneal", anneal, high=1.0)
        self.halves, self.rescale, self.label_smoothing = halves, rescale, label_smoothing

    def weight_at(self, progress: float) -> float:
        """λ_p: 1 before ``anneal``, λ from there on."""
        return annealed(self.lambda_, progress, self.anneal, before=1.0)

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        logits, parts, smoothing = self.logits(source.x), source.parts(), self.label_smoothing
        slopes = [
            losses.irm_penalty(z, part.y, label_smoothing=smoothing, halves=self.halves)
            for z, part in zip(by_domain(logits, parts), parts)
        ]
        weight = self.weight_at(progress)
        scale = max(1.0, weight) if self.rescale else 1.0
        risk = risks(logits, parts, label_smoothing=smoothing).mean()
        return {"label": risk / scale, "penalty": weight / scale * torch.stack(slopes).mean()}
