"""Sliced Wasserstein discrepancy (SWD): MCD that compares the heads' predictions as clouds, by transport.

As in maximum classifier discrepancy, two heads on one backbone are in turns pushed apart on the target and brought
together again by the backbone. How far they are apart is measured by the sliced Wasserstein distance of the two clouds
of predictions over the batch, in place of the absolute difference example by example: it knows how far mass has to move
between classes. All else is MCD.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: target examples near the source's class clusters belong to those classes. Class proportions may differ.

Objective: features f of shape (b, d), two heads F_1 and F_2 with logits of shape (b, k), P_1 and P_2 of shape (b, k)
their probabilities, r random unit vectors u of shape (k,), drawn anew each time,

    d(P_1, P_2) = mean over u of 1/b Σ_i (sort(P_1 u)_i - sort(P_2 u)_i)²,

and L(F) = mean_S CE(F_1(f), y) + mean_S CE(F_2(f), y). Each step has three phases on the same batch:

    classify:   min over θ_f, θ_1, θ_2 of  L(F)
    disagree:   min over θ_1, θ_2 of       L(F) - d(P_1, P_2) on the target
    agree:      min over θ_f of            d(P_1, P_2) on the target,  n times.

Fails when: MCD fails for another reason than its distance. Two heads that answer every example differently, but with
the same cloud of answers, count as in full agreement. The distance is a square, and 2/k at most on average: where the
heads are nearly alike its gradient is small beside that of L(F), the heads do not come apart, and what is left is the
training of two heads on the source. So it was on two Gaussian blobs (discrepancy 1e-5 at the end); on moons rotated by
35 degrees the heads did come apart.

The heads are single linear layers, where the paper's have more. n is taken from MCD: the paper's own is not known
here.

Paper: Lee, Batra, Baig, Ulbricht, Sliced Wasserstein Discrepancy for Unsupervised Domain Adaptation, CVPR 2019,
arXiv:1903.04064.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dakit import losses
from dakit.methods.align.mcd import MCD
from dakit.methods.parameters import check_int

__all__ = ["SWD"]


class SWD(MCD):
    """Maximum classifier discrepancy with the sliced Wasserstein distance.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    n : int
        How often the backbone moves in its own phase for each move of the heads, as for :class:`MCD`.
    projections : int
        r, the number of random directions; 128 in the paper.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        n: int = 4,
        projections: int = 128,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes, n=n, label_smoothing=label_smoothing)
        self.projections = check_int("projections", projections, 1)

    def directions(self, generator: torch.Generator | None = None) -> Tensor:
        """Random unit vectors in columns, (k, r), from torch's global generator or a given one."""
        # On the CPU, so that equal seeds give equal directions wherever the features are.
        return functional.normalize(
            torch.randn(self.num_classes, self.projections, generator=generator), dim=0
        )

    def discrepancy(self, features: Tensor, directions: Tensor | None = None) -> Tensor:
        """d(P_1, P_2) over the rows of ``features``, along fresh directions unless some are given."""
        u = (self.directions() if directions is None else directions).to(features)
        return losses.sliced_wasserstein_discrepancy(self.head(features), self.head2(features), u)

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Discrepancy of the heads on both domains: the target's should fall to the source's."""
        # Directions of their own: looking at a run must not change its course.
        u = self.directions(torch.Generator().manual_seed(0))
        return {
            "source_discrepancy": self.discrepancy(source, u).item(),
            "target_discrepancy": self.discrepancy(target, u).item(),
        }
