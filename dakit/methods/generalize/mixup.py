"""Mixup between domains: train on blends of examples from two domains, with labels blended alike.

Each source domain is paired with another one, row by row, and the network is trained on points between the two rows.
It learns to answer smoothly where no domain has examples, and what tells the domains apart is blurred.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation).

Assumes: points between examples of two domains are useful inputs, and their label is uncertain in the same
proportion.

Objective: the m source domains in a random cyclic order, each with its successor; for a pair (i, j) a weight λ ~
Beta(α, α), inputs x_i, x_j of shape (b, ...), blends x = λ x_i + (1 - λ) x_j, logits z = G_y(G_f(x)) of shape (b, k),

    min over θ of  (1/m) Σ_(i, j)  λ mean CE(z, y_i) + (1 - λ) mean CE(z, y_j).

Fails when: blends are not meaningful (token ids, categories as numbers, pictures whose class lies in fine detail), or
classes lie between each other, so that a blend of two looks like a third.

Paper: Zhang, Cissé, Dauphin, Lopez-Paz, mixup: Beyond Empirical Risk Minimization, ICLR 2018, arXiv:1710.09412, for
blends within one domain; between domains as in DomainBed (Gulrajani, Lopez-Paz, ICLR 2021), whose α = 0.2 it is.
"""

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["Mixup"]


class Mixup(Method):
    """Mixup between domains.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    alpha : float, at least 0
        α of the Beta distribution. Below 1 most blends are close to one of the two; 0 blends nothing.
    label_smoothing : float in [0, 1)
    """

    uses_target = False
    min_sources = 2

    def __init__(
        self, backbone, num_classes: int, *, alpha: float = 0.2, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(backbone, num_classes)
        self.alpha, self.label_smoothing = check_real("alpha", alpha), label_smoothing

    def draw(self, m: int) -> tuple[list[int], list[float]]:
        """A random order of the m domains and the weight of each blend, from torch's generator of the CPU."""
        if self.alpha == 0:
            weights = [1.0] * m
        else:
            weights = torch.distributions.Beta(self.alpha, self.alpha).sample((m,)).tolist()
        return torch.randperm(m).tolist(), weights

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        parts = source.parts()
        order, weights = self.draw(len(parts))
        blends, labels = [], []
        for at, w in enumerate(weights):
            a, b = parts[order[at]], parts[order[(at + 1) % len(parts)]]
            n = min(len(a), len(b))
            blends.append(w * a.x[:n] + (1 - w) * b.x[:n])
            labels.append((a.y[:n], b.y[:n]))
        pieces = self.logits(torch.cat(blends)).split([len(x) for x in blends])

        def risk(logits: Tensor, y: Tensor) -> Tensor:
            return losses.cross_entropy(logits, y, label_smoothing=self.label_smoothing)

        each = [w * risk(z, ya) + (1 - w) * risk(z, yb) for w, z, (ya, yb) in zip(weights, pieces, labels)]
        return {"label": torch.stack(each).mean()}
