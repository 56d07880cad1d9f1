"""Higher-order moment matching (HoMM): match how features go together, three at a time.

Means and covariances, which older methods match, describe features only as far as they are Gaussian. HoMM adds the
distance of the tensors of third moments, E f_i f_j f_k, to the label loss; other orders are a choice. There is no
adversary and no bandwidth.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift in the inputs and similar class proportions.

Objective: with features f = tanh(G_f(x)) of shape (b, d) and f̄ the mean of their batch,

    min over θ of  mean_S CE(G_y(f), y) + λ HoMM_p(f_S, f_T),
    HoMM_p(s, t) = 1/d^p ||E (s - s̄)^⊗p - E (t - t̄)^⊗p||_F²,

where x^⊗p, of shape (d, ..., d), holds all products of p entries of x.

Since <x^⊗p, y^⊗p> = <x, y>^p, the d^p entries need not be formed: the distance is that of mean embeddings with the
kernel (<x, y> / d)^p, computed from all pairs of the batch. The groups of features and the N random entries, by which
the paper keeps high orders in memory, are thus not needed; ``samples`` gives the latter.

Fails when: class proportions differ, or λ does not suit the scale. The term grows with the 2p-th power of the features,
so that it is tiny for small ones, and its weight large: 10^4 at order 3. The mean is taken out of each batch, as in the
authors' code (the paper's formula has raw moments; ``central=False``): a mere translation of the features costs nothing
then, and third moments of symmetric classes are about 0 in both domains. Raw moments at this λ, held constant, pulled
the features of one of three small networks to a point, which the source accuracy (0.5) showed; with ``ramp=True`` none.
Rectified features, of which most products are 0, do badly, hence the tanh.

λ and the subtraction of the mean are from memory of the paper and from the authors' description of their code. The
second part of the paper, which pulls confident target features to moving centres of their classes, is not here, nor is
its variant with a kernel. The paper keeps λ constant.

Paper: Chen, Fu, Chen, Jin, Cheng, Jin, Hua, HoMM: Higher-order Moment Matching for Unsupervised Domain Adaptation,
AAAI 2020, arXiv:1912.11976.
"""

import math

import torch
from torch import Tensor

from dakit import losses
from dakit.losses.higher_order_moments import check_order
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real

__all__ = ["HoMM"]


class HoMM(Method):
    """Higher-order moment matching on bounded features.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the distance; 10^4 in the paper for order 3, 10^7 for order 4.
    order : int, at least 1
        p.
    central : bool
        Subtract the mean of each batch before the moments are taken.
    tanh : bool
        Let the features, those of the head too, pass a tanh; False leaves the backbone's features as they are.
    samples : int, or None
        N, how many entries of the tensors are compared, drawn anew at each step (300 000 in the authors' code); None
        compares all.
    ramp : bool
        Let λ grow from 0 with progress as in DANN; False keeps it, as the paper does.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1e4,
        order: int = 3,
        central: bool = True,
        tanh: bool = True,
        samples: int | None = None,
        ramp: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        check_order(order)
        self.lambda_, self.order = check_real("lambda_", lambda_), order
        self.samples = None if samples is None else check_int("samples", samples, 1)
        self.central, self.tanh, self.ramp = central, tanh, ramp
        self.label_smoothing = label_smoothing

    def lambda_at(self, progress: float) -> float:
        """λ (2 / (1 + exp(-10 p)) - 1)."""
        return self.lambda_ * (2 / (1 + math.exp(-10 * progress)) - 1) if self.ramp else self.lambda_

    def features(self, x: Tensor) -> Tensor:
        """Bounded features, (b, ...) to (b, d): what the head sees is what is matched."""
        z = super().features(x)
        return torch.tanh(z) if self.tanh else z

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        indices = None
        if self.samples is not None:
            indices = torch.randint(fs.shape[1], (self.samples, self.order), device=fs.device)
        moments = losses.higher_order_moments(fs, ft, order=self.order, central=self.central, indices=indices)
        return {"label": label, "moments": self.lambda_at(progress) * moments}
