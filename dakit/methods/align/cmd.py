"""Central moment discrepancy (CMD): match the means and the central moments of the features, order by order.

The distances between the means, variances, skewnesses and so on of source and target features are added to the label
loss. All orders weigh alike, there is no kernel and no bandwidth to choose, and the cost grows only linearly with the
batch. Moments determine a distribution only on a bounded interval, so the features are bounded.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift that shows in the features one by one, and similar class proportions.

Objective: with bounded features f = tanh(G_f(x)) of shape (b, d) in [-1, 1]^d, width w = 2,

    min over θ of  mean_S CE(G_y(f), y) + λ CMD_K(f_S, f_T),
    CMD_K(s, t) = ||E s - E t|| / w + Σ_{k=2..K} ||c_k(s) - c_k(t)|| / w^k,
    c_k(s) = E (s - E s)^k, feature by feature, shape (d,).

A backbone whose features are bounded already, for instance ``{"name": "mlp", "activation": "sigmoid"}``, is used as it
is with ``interval=(0, 1)``: f = G_f(x) and w = b - a. A tanh of z and a sigmoid of 2z give the same discrepancy, for it
does not change if features and interval are shifted and scaled together.

Fails when: class proportions differ, when the domains differ in how features go together (only moments of single
features are compared), when features saturate at their bounds, where no gradient comes through, and when batches are
small: moments of high order are noisy. With features outside the interval the highest order drowns all others; the
diagnostic ``outside_interval`` has to stay at 0. The norms are not squared: the term pulls with full strength however
close the moments are, and where the label loss is slow to take hold it pulls all features to one point, which the
source accuracy shows at once. Small networks with sigmoid features did so at λ = 1 and not at λ = 0.3; the growing λ,
which the paper does not have, kept those with rectified features behind the tanh from it.

Paper: Zellinger, Grubinger, Lughofer, Natschläger, Saminger-Platz, Central Moment Discrepancy (CMD) for
Domain-Invariant Representation Learning, ICLR 2017, arXiv:1702.08811.
"""

import math

import torch
from torch import Tensor

from dakit import losses
from dakit.losses.central_moments import check_interval, check_moments
from dakit.methods.method import Batch, Method

__all__ = ["CMD"]


class CMD(Method):
    """Central moment discrepancy on bounded features.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the discrepancy; 1 in the paper.
    moments : int, at least 1
        K, the highest order; 5 in the paper.
    interval : (float, float), or None
        None lets the features, those of the head too, pass a tanh and takes (-1, 1). A pair says that the backbone's
        own features lie within these bounds, as after a sigmoid, and leaves them as they are.
    ramp : bool
        Let λ grow from 0 with progress as in DANN; False keeps it, as the paper does.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        moments: int = 5,
        interval: tuple[float, float] | None = None,
        ramp: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        if not 0 <= lambda_ < math.inf:
            raise ValueError(f"cmd needs a finite lambda_ of at least 0, got {lambda_}")
        check_moments(moments)
        self.lambda_, self.moments, self.ramp = lambda_, moments, ramp
        self.label_smoothing = label_smoothing
        self.interval = None if interval is None else check_interval(interval)

    def lambda_at(self, progress: float) -> float:
        """λ (2 / (1 + exp(-10 p)) - 1)."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def features(self, x: Tensor) -> Tensor:
        """Bounded features, (b, ...) to (b, d): what the head sees is what is matched."""
        z = super().features(x)
        return torch.tanh(z) if self.interval is None else z

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        cmd = losses.cmd(fs, ft, moments=self.moments, interval=self.interval or (-1.0, 1.0))
        return {"label": label, "cmd": self.lambda_at(progress) * cmd}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of all feature values outside the interval: 0 unless a pair of bounds was given that does not hold."""
        low, high = self.interval or (-1.0, 1.0)
        outside = [((f < low) | (f > high)).float().mean() for f in (source, target)]
        return {"outside_interval": float((outside[0] + outside[1]) / 2)}
