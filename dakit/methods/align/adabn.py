"""Adaptive batch normalisation (AdaBN): the source's weights, the target's means and variances.

A network with batch normalisation learns the source as usual. For target examples nothing but the mean and variance in
each of those layers is replaced, by those of the target's own activations: what a domain adds to or multiplies into a
channel leaves with them. There is nothing to tune and nothing is trained on the target.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: domains that differ in mean and scale of single channels, and similar class proportions: the mean of a
channel over the target must mean the same as over the source.

Objective: features G_f(x) of shape (b, d), logits of shape (b, k),

    min over θ_f, θ_y of  mean_S CE(G_y(G_f(x)), y),

with, in each batch norm layer and for its channel c, y_c = γ_c (x_c - μ_c) / sqrt(σ²_c + ε) + β_c, the mean μ_c and the
variance σ²_c over the source for source examples and over the target for target examples, γ and β learned on the
source and shared.

The paper collects the target's statistics once the training is over. Here a batch of the target passes at each step
(without gradient) and running means follow, so that every snapshot shows an adapted network; :meth:`AdaBN.adapt`
collects them afresh as the paper does.

Fails when: class proportions differ (the target's mean is then that of other classes, and is removed all the same),
the target has few examples, or the shift is no matter of single channels. A backbone without batch norm has nothing to
adapt.

Paper: Li, Wang, Shi, Liu, Hou, Revisiting Batch Normalization for Practical Domain Adaptation, 2016,
arXiv:1603.04779.
"""

import copy

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int
from dakit.models.domain_norm import DomainBatchNorm, split_by_domain

__all__ = ["AdaBN"]


class AdaBN(Method):
    """Adaptive batch normalisation.

    Parameters
    ----------
    backbone : nn.Module
        With batch norm; it is copied, and its batch norms get statistics for each side.
    num_classes : int
    label_smoothing : float in [0, 1)
    """

    def __init__(self, backbone, num_classes: int, *, label_smoothing: float = 0.0) -> None:
        backbone = copy.deepcopy(backbone)
        split_by_domain(backbone, affine="shared")
        super().__init__(backbone, num_classes)
        self.label_smoothing = label_smoothing

    @staticmethod
    def auto_backbone(shape: tuple[int, ...]) -> dict:
        return {"name": "auto", "norm": "batch"}

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        with torch.no_grad(), self.on("target"):
            self.features(target.x)  # in training mode: the running statistics of the target follow
        with self.on("source"):
            logits = self.logits(source.x)
        return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}

    @torch.no_grad()
    def adapt(self, x: Tensor, *, batch_size: int = 512) -> None:
        """Replace the target's statistics by those over all of ``x``, with the weights as they are now.

        Exact where ``x`` fits into one batch; otherwise mean and variance are averaged over the batches.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Target examples, at least 2.
        batch_size : int
        """
        if len(x) < 2:
            raise ValueError(f"adapt needs at least 2 examples, got {len(x)}")
        check_int("batch_size", batch_size, 2)
        layers = [m.norms["target"] for m in self.modules() if isinstance(m, DomainBatchNorm)]
        modes = [(m, m.training) for m in self.backbone.modules()]
        momenta = [n.momentum for n in layers]
        device = next(self.parameters()).device
        # Of nearly one size each, and never of one example, which has no variance.
        batches = x.tensor_split(min(-(-len(x) // batch_size), len(x) // 2))
        self.backbone.eval()  # dropout rests
        for m in self.modules():
            if isinstance(m, DomainBatchNorm):
                m.train()
        with self.on("target"):
            for i, chunk in enumerate(batches, start=1):
                for n in layers:
                    n.momentum = 1 / i  # the mean of all batches so far
                self.features(chunk.to(device))
        for n, momentum in zip(layers, momenta):
            n.momentum = momentum
        for m, training in modes:
            m.training = training
