"""Fishr: gradients of the risk that vary alike in every source domain.

For each domain the variance, over its examples, of the gradient with respect to the label head is taken, entry by
entry. It approximates the diagonal of the Fisher information, and so of the Hessian of the domain's risk. Differences
between the domains' variances are penalised: the risks are to be shaped alike around the weights, not only to be of
equal height.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation).

Assumes: an invariant predictor is as hard for the examples of one domain as for those of another, so that
inconsistent gradients betray spurious features.

Objective: source domains e = 1 … m, features f of shape (b, d) with a 1 appended for the bias, logits z = G_y(f) of
shape (b, k), residuals r = softmax(z) - onehot(y) of shape (b, k); r f' of shape (k, d + 1) is the gradient of one
example, and v_e, of the same shape, its variance over the domain's batch. With v̄_e = γ v̄_e + (1 - γ) v_e over the
steps, from 0,

    min over θ of  (1/m) Σ_e mean_e CE(z, y) + λ_p (1/m) Σ_e mean over entries of (u_e - (1/m) Σ_l u_l)²,

with u_e = v̄_e / (1 - γ), so that the gradient, which flows through the newest v_e only, is of one size for every γ.
λ_p = 0 over the first share ``anneal`` of progress, λ after it. With ``rescale`` the whole is divided by λ_p where that
exceeds 1, which the authors' code, from memory, does not; the label loss in the history then is the divided one. The
variances are found in closed form: a linear head needs no gradient of single examples.

Fails when: the network fits all examples (residuals and all variances go to 0), a domain has noisier labels (its
gradients vary more for good reason), or batches are so small that the variances are noise.

Paper: Rame, Dancette, Cord, Fishr: Invariant Gradient Variances for Out-of-Distribution Generalization, ICML 2022,
arXiv:2109.02934. λ, γ, ``anneal``, the mean over entries and the division by 1 - γ are those of the authors' code in
DomainBed. λ_p there sets in together with a fresh optimiser; here it is the same one.
"""

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.generalize.risks import annealed, by_domain, risks
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real

__all__ = ["Fishr"]


class Fishr(Method):
    """Invariant gradient variances.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    num_sources : int
        m, the number of source domains; ``methods.build`` fills it in.
    lambda_ : float, at least 0
        λ, the weight of the penalty once annealing is over.
    anneal : float in [0, 1]
        Share of the training over which the weight is 0.
    ema : float in [0, 1)
        γ, how much of the variances of earlier steps is kept.
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
        num_sources: int = 2,
        lambda_: float = 1000.0,
        anneal: float = 0.3,
        ema: float = 0.95,
        rescale: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.num_sources, self.lambda_ = (
            check_int("num_sources", num_sources, 1),
            check_real("lambda_", lambda_),
        )
        self.anneal, self.ema = check_real("anneal", anneal, high=1.0), check_real("ema", ema, high=1 - 1e-6)
        self.rescale, self.label_smoothing = rescale, label_smoothing
        shape = self.num_sources, num_classes, backbone.out_features + 1
        self.register_buffer("variances", torch.zeros(shape))  # v̄

    def weight_at(self, progress: float) -> float:
        """λ_p: 0 before ``anneal``, λ from there on."""
        return annealed(self.lambda_, progress, self.anneal, before=0.0)

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        features, parts, smoothing = self.features(source.x), source.parts(), self.label_smoothing
        if len(parts) != self.num_sources:
            raise ValueError(
                f"this Fishr was built for {self.num_sources} sources, the batch holds {len(parts)}"
            )
        logits = self.head(features)
        triples = zip(by_domain(features, parts), by_domain(logits, parts), parts)
        v = torch.stack(
            [losses.gradient_variance(f, z, p.y, label_smoothing=smoothing) for f, z, p in triples]
        )
        v = self.ema * self.variances + (1 - self.ema) * v
        self.variances.copy_(v.detach())
        u = v / (1 - self.ema)
        penalty = (u - u.mean(0)).square().mean()
        label = risks(logits, parts, label_smoothing=smoothing).mean()
        weight = self.weight_at(progress)
        scale = max(1.0, weight) if self.rescale else 1.0
        return {"label": label / scale, "fishr": weight / scale * penalty}
