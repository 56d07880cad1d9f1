"""Domain-specific batch normalisation (DSBN): one network, but each domain has batch norm layers of its own.

All weights are shared except those of batch normalisation: statistics, scale and shift are kept for each domain, so
that what is specific to a domain has a place to go. A first stage aligns the domains; a second one trains on the
source's labels and on pseudo-labels of the target, which the first stage's network gives at the beginning and the
network itself more and more.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: what differs between the domains can be taken up by an affine map of each channel, similar class proportions,
and a first stage that names most target examples rightly.

Objective: features f of shape (b, d), logits of shape (b, k), one domain logit D(f) an example, the source called 0;
F_S and F_T are the network with the source's and with the target's batch norm. With r(p) = 2 / (1 + exp(-10 p)) - 1:

    stage 1 (MSTN), p from 0 to 1:  min over θ, max over θ_D of
        mean_S CE(F_S(x), y) - λ r(p) [ mean_S BCE(D(f), 0) + mean_T BCE(D(f), 1) ]
        + λ r(p) 1/(k d) Σ_c |C_S^c - C_T^c|²,
    where C^c, of shape (d,), are running means of the features of class c (weight θ on the past), the target's classes
    those that F_T predicts;
    stage 2, p from 0 to 1 again, F¹_T being F_T at the end of stage 1:
        min over θ of  mean_S CE(F_S(x), y) + mean_T CE(F_T(x), y'),
        y' = argmax_c { (1 - r(p)) F¹_T(x)_c + r(p) F_T(x)_c },  with probabilities, not logits, for F.

Within each stage the learning rate falls by (1 + 10 p)^-0.75. The formulas of both stages are written from memory of
the papers. Unlike there, stage 2 goes on with the weights of stage 1 instead of starting again from ImageNet's, both
share one ``fit``, and the squares are averaged over classes and features, where MSTN's formula has their sum: with the
sum and a constant rate all features of a small network ran into one point, which its source accuracy showed.

Fails when: class proportions differ, or the first stage is wrong about whole clusters: the second one then learns the
error by heart. Agreement with its own labels is no proof that they are right. A backbone without batch norm has
nothing to keep apart.

Paper: Chang, You, Seo, Kwak, Han, Domain-Specific Batch Normalization for Unsupervised Domain Adaptation, CVPR 2019,
arXiv:1906.03950; stage 1: Xie, Zheng, Chen, Chen, Learning Semantic Representations for Unsupervised Domain Adaptation,
ICML 2018.
"""

import copy
import math

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real
from dakit.models.domain_norm import split_by_domain
from dakit.models.layers import gradient_reversal

__all__ = ["DSBN"]


def ramp(p: float) -> float:
    """r(p) = 2 / (1 + exp(-10 p)) - 1: 0 at p = 0, 0.99991 at p = 1."""
    return 2 / (1 + math.exp(-10 * p)) - 1


class DSBN(Method):
    """Domain-specific batch normalisation, in two stages.

    Parameters
    ----------
    backbone : nn.Module
        With batch norm; it is copied, and its batch norms are split into one for each side.
    num_classes : int
    stage1 : float in [0, 1]
        Share of the steps in the first stage; 1 leaves the second one out.
    lambda_ : float, at least 0
        λ, the weight of both alignment terms.
    theta : float in [0, 1]
        θ, the weight of the past in the class means.
    hidden : int
        Units of the discriminator's hidden layer; 0 for a logistic regressor.
    label_smoothing : float in [0, 1)
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        stage1: float = 0.5,
        lambda_: float = 1.0,
        theta: float = 0.7,
        hidden: int = 100,
        label_smoothing: float = 0.0,
    ) -> None:
        backbone = copy.deepcopy(backbone)
        split_by_domain(backbone, affine="separate")
        super().__init__(backbone, num_classes)
        self.stage1, self.lambda_ = check_real("stage1", stage1, high=1.0), check_real("lambda_", lambda_)
        self.theta, self.hidden = check_real("theta", theta, high=1.0), check_int("hidden", hidden, 0)
        self.label_smoothing = label_smoothing
        d = backbone.out_features
        self.discriminator = (
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            if hidden
            else nn.Linear(d, 1)
        )
        self.register_buffer("centres", torch.zeros(2, num_classes, d))
        # F¹_T, frozen: written once, when the second stage begins.
        self.first = nn.ModuleList([copy.deepcopy(backbone), copy.deepcopy(self.head)]).requires_grad_(False)
        self.register_buffer("second", torch.tensor(False))

    @staticmethod
    def auto_backbone(shape: tuple[int, ...]) -> dict:
        return {"name": "auto", "norm": "batch"}

    def begin(self) -> None:
        self.second.fill_(False)
        self.centres.zero_()

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        return [("all", [p for n, p in self.named_parameters() if not n.startswith("first.")])]

    def stage_progress(self, progress: float) -> float:
        """p in [0, 1] within the stage."""
        first = progress < self.stage1 or self.stage1 == 1
        return progress / self.stage1 if first else (progress - self.stage1) / (1 - self.stage1)

    def lr_factor(self, progress: float) -> float:
        """(1 + 10 p)^-0.75 within each stage: 1 at its start, 0.166 at its end."""
        return (1 + 10 * self.stage_progress(progress)) ** -0.75

    def train(self, mode: bool = True) -> "DSBN":
        """As for every module, but the first stage's network stays in evaluation."""
        super().train(mode)
        self.first.eval()
        return self

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        with self.on("source"):
            fs = self.features(source.x)
        with self.on("target"):
            ft = self.features(target.x)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        p = self.stage_progress(progress)
        if progress < self.stage1 or self.stage1 == 1:
            weight = self.lambda_ * ramp(p)
            domain = self.discriminator(gradient_reversal(torch.cat([fs, ft]), weight)).squeeze(1)
            adversarial = losses.domain_adversarial(domain[: len(fs)], domain[len(fs) :])
            return {
                "label": label,
                "domain": adversarial,
                "semantic": weight * self.semantic(fs, ft, source.y),
            }
        pseudo = self.pseudo_labels(target.x, self.head(ft), p)
        return {"label": label, "pseudo": losses.cross_entropy(self.head(ft), pseudo)}

    def semantic(self, fs: Tensor, ft: Tensor, y: Tensor) -> Tensor:
        """``1/(k d) Σ_c |C_S^c - C_T^c|²``, after the batch has moved the running class means (in training)."""
        means = []
        for f, labels, past in zip((fs, ft), (y, self.head(ft).detach().argmax(1)), self.centres):
            one_hot = nn.functional.one_hot(labels, self.num_classes).to(f.dtype)
            count = one_hot.sum(0).unsqueeze(1)
            now = one_hot.T @ f / count.clamp(min=1)
            means.append(torch.where(count > 0, self.theta * past + (1 - self.theta) * now, past))
        if self.training:
            self.centres = torch.stack(means).detach()
        return ((means[0] - means[1]) ** 2).mean()

    @torch.no_grad()
    def pseudo_labels(self, x: Tensor, logits: Tensor, p: float) -> Tensor:
        """y' of shape (b,): the first stage's opinion at p = 0, the network's own (from ``logits``) at p = 1."""
        if not self.second:
            self.first[0].load_state_dict(self.backbone.state_dict())
            self.first[1].load_state_dict(self.head.state_dict())
            self.second.fill_(True)
        with self.on("target"):
            before = self.first[1](self.in_precision(self.first[0], x)).softmax(1)
        return ((1 - ramp(p)) * before + ramp(p) * logits.softmax(1)).argmax(1)
