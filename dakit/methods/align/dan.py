"""Deep adaptation network (DAN): match the mean embeddings of the features in a kernel space.

The maximum mean discrepancy (MMD) between source and target features is added to the label loss. With a
characteristic kernel it is zero only if the two feature distributions are equal, and it needs no adversary:
one smooth loss, one player. Several bandwidths at once spare the choice of one.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs and similar class proportions.

Objective: with features and logits f^l of shape (b, d_l) at the layers l that are adapted,

    min over θ of  mean_S CE(G_y(f), y) + λ Σ_l MMD²_k(f^l_S, f^l_T),
    MMD²_k(s, t) = mean k(s, s') + mean k(t, t') - 2 mean k(s, t),
    k(u, v) = mean over bandwidths b of exp(-||u - v||² / b),

where b is the median of the squared distances times 1/4, 1/2, 1, 2 and 4, and the first two means leave out the pairs
of an example with itself: the estimate is unbiased, as the paper's, so a single value may be negative.

Fails when: class proportions differ, batches are small beside the number of classes (the estimate is then
mostly noise), or the features are so far apart that all cross kernels vanish. The optimised kernel weights
of the paper are replaced by equal ones, as in nearly all later use, and the linear-time estimate by the
quadratic one over all pairs of the batch.

Paper: Long, Cao, Wang, Jordan, Learning Transferable Features with Deep Adaptation Networks, ICML 2015,
arXiv:1502.02791.
"""

import math

from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method

__all__ = ["DAN"]


class DAN(Method):
    """Deep adaptation network: multi-kernel MMD on features and, if wanted, logits.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float
        λ, the weight of the discrepancy. The paper searches {0.1, 0.4, 0.7, 1, 1.4, 1.7, 2}.
    adapt_logits : bool
        Match the logits too: the paper adapts all task-specific layers, the classifier's among them.
    bandwidths : sequence of float, or None
        Squared-distance scales of the kernels; None takes them from the median of each batch.
    ramp : bool
        Let λ grow from 0 with progress as in DANN: early features are not worth matching.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        adapt_logits: bool = True,
        bandwidths: tuple[float, ...] | None = None,
        ramp: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_, self.adapt_logits, self.ramp = lambda_, adapt_logits, ramp
        self.bandwidths = None if bandwidths is None else tuple(float(b) for b in bandwidths)
        self.label_smoothing = label_smoothing

    def lambda_at(self, progress: float) -> float:
        """λ (2 / (1 + exp(-10 p)) - 1)."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        logits = self.head(fs)
        mmd = losses.mmd(fs, ft, bandwidths=self.bandwidths, unbiased=True)
        if self.adapt_logits:
            mmd = mmd + losses.mmd(logits, self.head(ft), bandwidths=self.bandwidths, unbiased=True)
        label = losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)
        return {"label": label, "mmd": self.lambda_at(progress) * mmd}
