"""Batch spectral penalisation (BSP) on top of DANN: keep the adversary from living on a few directions.

Adversarial training makes features transferable by strengthening the few directions that the domains share; their
singular values grow, those of the other directions, which tell classes apart, fade. A penalty on the squares of the
largest singular values of each domain's batch of features holds them back. All else is DANN.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: what DANN assumes, and that directions beyond the leading ones carry what tells the classes apart.

Objective: with features F_S and F_T of shape (b, d), their singular values σ_1 ≥ σ_2 ≥ ..., and the DANN terms,

    min over θ_f, θ_y, max over θ_d of  mean_S CE(G_y(f), y) - λ [ mean_S BCE(G_d(f), 0) + mean_T BCE(G_d(f), 1) ]
                                        + β Σ_{i=1..k} (σ_i(F_S)² + σ_i(F_T)²).

λ and the learning rate follow the schedules of DANN; β is constant. With β = 0 it is DANN.

Fails when: DANN fails for another reason than lost discriminability (class proportions that differ, above all), and
when β does not suit the scale: σ² grows with the batch size and with the squares of the features, so a β for one batch
size or backbone is not that of another. The matrices are not centred, and the leading direction of rectified features
is mostly their mean: a large β shrinks all features instead of levelling the spectrum, down to a point for two of
eight small networks at β = 0.01. The diagnostics ``source_top_share`` and ``target_top_share`` show whether it levels.

Paper: Chen, Wang, Long, Wang, Transferability vs. Discriminability: Batch Spectral Penalization for Adversarial Domain
Adaptation, ICML 2019.
"""

import math

import torch
from torch import Tensor

from dakit import losses
from dakit.losses.spectral import check_k
from dakit.methods.align.dann import DANN
from dakit.methods.method import Batch
from dakit.models.layers import gradient_reversal

__all__ = ["BSP"]


class BSP(DANN):
    """Domain-adversarial network with batch spectral penalisation.

    Parameters
    ----------
    backbone : nn.Module
        G_f: maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    beta : float, at least 0
        β, the weight of the penalty; 1e-4 in the paper, for batches of 36.
    k : int
        Number of singular values that are penalised; 1 in the paper. At most the batch size and d.
    lambda_, ramp, hidden, anneal
        As for :class:`DANN`.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        beta: float = 1e-4,
        k: int = 1,
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
        if not 0 <= beta < math.inf:
            raise ValueError(f"bsp needs a finite beta of at least 0, got {beta}")
        check_k(k)
        if k > backbone.out_features:
            raise ValueError(
                f"bsp needs k of at most {backbone.out_features}, the number of features, got {k}"
            )
        self.beta, self.k = beta, k

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        features = self.features(torch.cat([source.x, target.x]))
        n = len(source)
        label = losses.cross_entropy(self.head(features[:n]), source.y, label_smoothing=self.label_smoothing)
        domain = self.domain_logits(gradient_reversal(features, self.lambda_at(progress)))
        # Of the features themselves, before the reversal: the backbone is to descend the penalty.
        spectral = losses.batch_spectral(features[:n], features[n:], k=self.k)
        return {
            "label": label,
            "domain": losses.domain_adversarial(domain[:n], domain[n:]),
            "spectral": self.beta * spectral,
        }

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """What DANN shows, and the share of the squared features that lies along the first singular direction."""

        def top_share(f: Tensor) -> float:
            if not f.isfinite().all():  # the solver would raise
                return math.nan
            squares = torch.linalg.svdvals(f.detach()).square()
            total = squares.sum()
            return float(squares[0] / total) if total > 0 else 1.0

        shares = {"source_top_share": top_share(source), "target_top_share": top_share(target)}
        return {**super().diagnostics(source, target), **shares}
