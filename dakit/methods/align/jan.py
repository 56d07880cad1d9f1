"""Joint adaptation network (JAN): match features and predictions together, not one by one.

The maximum mean discrepancy is taken between the joint distributions of features and softmax outputs, whose kernel is
the product of a kernel on the features and one on the predictions. Two examples then count as alike only if their
features are alike and they are given the same class, so that matching the features of one class with those of another
costs something. As in DAN there is no adversary: one smooth loss, one player.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs, similar class proportions, and predictions on the target that are right often
enough to tell which features belong together.

Objective: with features f of shape (b, d) and softmax outputs p = softmax(G_y(f)) of shape (b, k),

    min over θ of  mean_S CE(G_y(f), y) + λ JMMD²((f_S, p_S), (f_T, p_T)),
    JMMD²(s, t) = mean K(s, s') + mean K(t, t') - 2 mean K(s, t),
    K((f, p), (f', p')) = k_f(f, f') k_p(p, p'),
    k(u, v) = mean over bandwidths b of exp(-||u - v||² / b),

where b is the median of the layer's squared distances times 1/4, 1/2, 1, 2 and 4, and the first two means leave out the
pairs of an example with itself: the estimate is unbiased, as the paper's, so a single value may be negative.

Fails when: class proportions differ, batches are small beside the number of classes (the estimate is then mostly
noise), or the target's predictions are wrong from the start, for then wrong pairs of features and classes are matched.
The paper has one Gaussian at the median of each layer, ``bandwidths`` gives that form, and a linear-time estimate
instead of the one over all pairs of the batch. Its variant with an adversarial kernel (JAN-A) is not here.

Paper: Long, Zhu, Wang, Jordan, Deep Transfer Learning with Joint Adaptation Networks, ICML 2017, arXiv:1605.06636.
"""

import math

import torch
from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method

__all__ = ["JAN"]


class JAN(Method):
    """Joint adaptation network: MMD over features and softmax outputs with a product kernel.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the discrepancy; 1 in the paper.
    bandwidths : (float, float), or None
        Squared-distance scale of the one kernel on the features and of the one on the softmax outputs, both positive;
        None takes five each from the medians of each batch.
    ramp : bool
        Let λ grow from 0 with progress as in DANN, which the paper does.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        bandwidths: tuple[float, float] | None = None,
        ramp: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        if not 0 <= lambda_ < math.inf:
            raise ValueError(f"jan needs a finite lambda_ of at least 0, got {lambda_}")
        if bandwidths is not None:
            bandwidths = tuple(bandwidths)
            if len(bandwidths) != 2 or not all(0 < b < math.inf for b in bandwidths):
                raise ValueError(
                    "jan needs two positive bandwidths, one for features and one for softmax outputs, or None, "
                    f"got {bandwidths}"
                )
        self.lambda_, self.bandwidths, self.ramp = lambda_, bandwidths, ramp
        self.label_smoothing = label_smoothing

    def lambda_at(self, progress: float) -> float:
        """λ (2 / (1 + exp(-10 p)) - 1)."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        logits = self.head(fs)
        ps, pt = (torch.softmax(g, dim=1) for g in (logits, self.head(ft)))
        jmmd = losses.joint_mmd((fs, ps), (ft, pt), bandwidths=self.bandwidths, unbiased=True)
        label = losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)
        return {"label": label, "jmmd": self.lambda_at(progress) * jmmd}
