"""Cocktail network (after DCTN): one discriminator and one head for each source, mixed by how near a target example is.

One backbone serves all domains. Against each source a discriminator of its own tries to tell the target from that
source alone, and the backbone to make it fail; each source has a head of its own. A target example that a source's
discriminator takes for that source is near it, and the head of that source gets more to say about it.

Setting: several labelled sources, unlabelled target, the same classes (multi-source domain adaptation).

Assumes: the target distribution is a mixture of the sources' ones, with shares that may differ from example to example,
and, source by source, what DANN assumes.

Objective: features f of shape (b, d) of N sources S_i and the target T, heads C_i with logits of shape (b, k), domain
logits D_i(f) of shape (b,), source i called 0 and the target 1:

    min over θ_f, θ_C, max over θ_D of
        1/N Σ_i mean_Si CE(C_i(f), y) - λ 1/N Σ_i [ mean_Si BCE(D_i(f), 0) + mean_T BCE(D_i(f), 1) ],
    answer on the target: Σ_i w_i softmax(C_i(f)), w_i = s_i / Σ_j s_j,
    perplexity s_i = BCE(D_i(f), 1) + α_i, α_i = mean_Si BCE(D_i(f), 0),

so that s_i is high where discriminator i fails on the example, and where it fails on its own source altogether. α_i is
a running mean over the training. λ and the learning rate follow DANN's schedules.

Simpler than the paper: the backbone's part is DANN's reversed gradient instead of a confusion loss with equal odds, all
sources take part in each step instead of the one with the highest loss, λ grows from 0 where the paper trains on the
sources first, and its last stage, in which target examples with a sure answer are learned like labelled ones, is left
out. Sources share all their classes. The formulas are from memory of the paper.

Fails when: discriminators win or fail everywhere (perplexities then say nothing: all at chance give equal weights), one
source is near the target in features but wrong about its classes, or class proportions differ.

Paper: Xu, Chen, Zuo, Yan, Lin, Deep Cocktail Network: Multi-source Unsupervised Domain Adaptation with Category Shift,
CVPR 2018, arXiv:1803.00830.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from dakit import losses
from dakit.methods.align.dann import DANN
from dakit.methods.method import Batch
from dakit.methods.parameters import check_int
from dakit.models.layers import gradient_reversal

__all__ = ["DCTN"]


class DCTN(DANN):
    """Deep cocktail network, simplified.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    num_sources : int
        N; ``methods.build`` fills it in.
    lambda_, ramp, anneal
        As for :class:`DANN`.
    hidden : int
        Units of each discriminator's hidden layer; 0 for a logistic regressor.
    label_smoothing : float in [0, 1)
    """

    min_sources = 2

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        num_sources: int = 2,
        lambda_: float = 1.0,
        ramp: bool = True,
        hidden: int = 100,
        anneal: bool = True,
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
        self.num_sources = check_int("num_sources", num_sources, 1)
        d, others = backbone.out_features, range(num_sources - 1)
        # C_1 is `head` and D_1 is `discriminator`; those of the further sources:
        self.other_heads = nn.ModuleList(nn.Linear(d, num_classes) for _ in others)
        self.other_discriminators = nn.ModuleList(
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            if hidden
            else nn.Linear(d, 1)
            for _ in others
        )
        self.register_buffer("concentration", torch.full((num_sources,), math.log(2)))  # α, a running mean

    @property
    def heads(self) -> list[nn.Module]:
        """C_1 .. C_N."""
        return [self.head, *self.other_heads]

    def domain_logits(self, features: Tensor) -> Tensor:
        """D_1 .. D_N: (b, d) to (N, b), positive where a discriminator says target."""
        return torch.stack([d(features).squeeze(1) for d in (self.discriminator, *self.other_discriminators)])

    def weights(self, features: Tensor) -> Tensor:
        """w of shape (N, b), each column summing to 1: how much each source has to say about each example."""
        perplexity = softplus(-self.domain_logits(features)) + self.concentration[:, None]
        return perplexity / perplexity.sum(0)

    def logits(self, x: Tensor) -> Tensor:
        """Logarithms of the mixed probabilities, (b, ...) to (b, k)."""
        f = self.features(x)
        log_p = torch.stack([head(f).log_softmax(1) for head in self.heads])
        return (log_p + self.weights(f).log()[:, :, None]).logsumexp(0).log_softmax(1)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        parts = source.parts()
        features = self.features(torch.cat([source.x, target.x]))
        # λ acts on the feature path only: the discriminators themselves descend their full loss.
        g = self.domain_logits(gradient_reversal(features, self.lambda_at(progress)))
        sizes = [*map(len, parts), len(target)]
        of_parts, g_of_parts = features.split(sizes), g.split(sizes, dim=1)
        n, smoothing = len(parts), self.label_smoothing
        label = sum(
            losses.cross_entropy(head(f), part.y, label_smoothing=smoothing)
            for head, f, part in zip(self.heads, of_parts, parts)
        )
        domain = sum(losses.domain_adversarial(g_of_parts[i][i], g_of_parts[-1][i]) for i in range(n))
        if self.training:
            now = torch.stack([softplus(g_of_parts[i][i].detach()).mean() for i in range(n)])
            self.concentration.mul_(0.99).add_(0.01 * now)
        return {"label": label / n, "domain": domain / n}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Mean weight of each source on the target."""
        return {f"weight_{i}": w for i, w in enumerate(self.weights(target).mean(1).tolist(), 1)}
