"""Deep subdomain adaptation network (DSAN): match the features of each class, not the domains as wholes.

The plain discrepancy of two domains can fall while the classes are matched with one another in a wrong order. DSAN adds
the local maximum mean discrepancy to the label loss: one discrepancy a class, in which a target example takes part by
the probability that the classifier gives it. As in DAN there is no adversary: one smooth loss, one player.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift within the classes, and predictions on the target that are right often enough to tell its
classes apart. Class proportions may differ.

Objective: with features f of shape (b, d), target probabilities p = softmax(G_y(f_T)) of shape (b, k),

    min over θ of  mean_S CE(G_y(f), y) + λ LMMD²(f_S, f_T),
    LMMD²(s, t) = 1/k Σ_c [ Σ w_ic w_jc k(s_i, s_j) + Σ v_ic v_jc k(t_i, t_j) - 2 Σ w_ic v_jc k(s_i, t_j) ],
    w_ic = [y_i = c] / Σ_i [y_i = c],  v_jc = p_jc / Σ_j p_jc,
    k(u, v) = mean over bandwidths b of exp(-||u - v||² / b),

where b is the median of the squared distances times 1/4, 1/2, 1, 2 and 4, and no gradient flows through the weights v.
Over progress p in [0, 1] the weight grows, λ_p = λ (2 / (1 + exp(-10 p)) - 1).

Fails when: the target's predictions are wrong from the start, for then each wrong class is matched well (nothing in the
loss says so), and when batches are small beside the number of classes: only classes that are there on both sides of the
batch count, and a class of one or two examples is matched to a point.

The paper has a growing λ from 0 to 1, which is the default; its authors' code, from memory, multiplies by 0.5, sums the
five kernels where this file takes their mean, and starts from the mean distance in place of the median. That a class
counts only where it is in both halves of the batch is taken from that code; the paper's formula sums over all k.

Paper: Zhu, Zhuang, Wang, Ke, Chen, Bian, Xiong, He, Deep Subdomain Adaptation Network for Image Classification, IEEE
Transactions on Neural Networks and Learning Systems 32 (2021), arXiv:2106.09388.
"""

import math

from torch import Tensor
from torch.nn import functional

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["DSAN"]


class DSAN(Method):
    """Deep subdomain adaptation network: MMD class by class, with soft pseudo-labels.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the discrepancy.
    bandwidths : sequence of float, or None
        Squared-distance scales of the kernels, all positive; None takes them from the median of each batch.
    ramp : bool
        Let λ grow from 0 with progress, which the paper does: early pseudo-labels are not worth much.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        bandwidths: tuple[float, ...] | None = None,
        ramp: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_ = check_real("lambda_", lambda_)
        if bandwidths is not None:
            bandwidths = tuple(check_real("each of bandwidths", b, open_low=True) for b in bandwidths)
            if not bandwidths:
                raise ValueError("dsan needs at least one bandwidth, or None")
        self.bandwidths, self.ramp = bandwidths, ramp
        self.label_smoothing = label_smoothing

    def lambda_at(self, progress: float) -> float:
        """λ (2 / (1 + exp(-10 p)) - 1)."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        pt = functional.softmax(self.head(ft).detach(), dim=1)
        lmmd = losses.local_mmd(fs, ft, source.y, pt, bandwidths=self.bandwidths)
        return {"label": label, "lmmd": self.lambda_at(progress) * lmmd}
