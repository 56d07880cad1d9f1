"""Meta-learning domain generalisation (MLDG): a step that helps some sources should help the others, too.

At every step the sources are split anew into meta-train and meta-test domains. A virtual step of gradient descent on
the meta-train domains is taken, and the risk of the meta-test domains after it is added to the risk before. To first
order this rewards gradients of different domains that point the same way.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation).

Assumes: the shift from the meta-train to the meta-test domains resembles the shift to the new domain.

Objective: a random split of the source domains into S and V, logits G_y(G_f(x)) of shape (b, k), risks
F(θ) = mean over e in S of R_e(θ) and G(θ) = mean over e in V of R_e(θ), all parameters θ,

    min over θ of  F(θ) + β G(θ - α F'(θ)),

with the gradient through F' (second order), or without it, G' then being taken at θ - α F'(θ) and applied at θ.

Fails when: there are few domains (with two, each is judged against one other), the domains are so alike that
meta-test says nothing new, or α is so large that the virtual step leaves the region in which gradients mean
something. With α much below the learning rate it is the mean risk with other weights.

Paper: Li, Yang, Song, Hospedales, Learning to Generalize: Meta-Learning for Domain Generalization, AAAI 2018,
arXiv:1710.03463. β = 1, and one meta-test domain in three, are the paper's; α is its 5e-4 for pictures, from memory.
"""

import torch
from torch import Tensor
from torch.func import functional_call

from dakit.methods.generalize.risks import risks
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real

__all__ = ["MLDG"]


class MLDG(Method):
    """Meta-learning domain generalisation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    beta : float, at least 0
        β, the weight of the meta-test risk.
    inner_lr : float, at least 0
        α, the rate of the virtual step; the learning rate of the training is a natural choice, too.
    num_test : int
        Meta-test domains in each split; at least one domain must be left for meta-training.
    second_order : bool
        Follow the gradient through the virtual step; False is cheaper and often close.
    label_smoothing : float in [0, 1)
    """

    uses_target = False
    min_sources = 2

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        beta: float = 1.0,
        inner_lr: float = 5e-4,
        num_test: int = 1,
        second_order: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.beta, self.inner_lr = check_real("beta", beta), check_real("inner_lr", inner_lr)
        self.num_test, self.second_order = check_int("num_test", num_test, 1), second_order
        self.label_smoothing = label_smoothing

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        parts, smoothing = source.parts(), self.label_smoothing
        if self.num_test >= len(parts):
            raise ValueError(
                f"num_test={self.num_test} leaves none of {len(parts)} source domains for meta-training; "
                f"choose at most {len(parts) - 1}"
            )
        order = torch.randperm(len(parts)).tolist()
        test, train = ([parts[i] for i in side] for side in (order[: self.num_test], order[self.num_test :]))
        before = risks(self(torch.cat([p.x for p in train])), train, label_smoothing=smoothing).mean()
        weights = {name: p for name, p in self.named_parameters() if p.requires_grad}
        slopes = torch.autograd.grad(
            before,
            list(weights.values()),
            create_graph=self.second_order,
            retain_graph=True,
            materialize_grads=True,
        )
        moved = {name: p - self.inner_lr * s for (name, p), s in zip(weights.items(), slopes)}
        logits = functional_call(self, moved, (torch.cat([p.x for p in test]),))
        after = risks(logits, test, label_smoothing=smoothing).mean()
        return {"label": before, "meta_test": self.beta * after}
