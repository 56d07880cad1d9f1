"""CoTTA: adapt to a target that keeps changing, taught by a slow average of oneself, and forget a little of it again.

A network learns the source. On target batches a student learns the predictions of a teacher, which is the running
average of the students so far; where the source model would be unsure, the teacher's predictions are averaged over many
changed copies of the batch. After every step a few weights, drawn by lot, go back to those of the source model.

Setting: unlabelled target, in batches as they come, perhaps changing over time, and a model trained on a labelled
source, the same classes (continual test-time adaptation).

Assumes: the teacher is mostly right on the target as it comes, the changes of the copies keep the class, and batches
that are large and mix the classes, where the network has batch normalisation.

Objective: source weights θ_0 (fixed), student θ, teacher θ', probabilities f(x) of shape (b, k), N changed copies x̃_j,

    progress < pretrain:  min over θ' of  mean_S CE(f_θ'(x), y),  then θ_0 = θ = θ' once, and from there on
        q = f_θ'(x) if the mean over the batch of max f_θ0(x) is at least the threshold, else 1/N Σ_j f_θ'(x̃_j),
        min over θ of  mean_T Σ_k -q_k log f_θ(x)_k,
        after each step  θ' = α θ' + (1 - α) θ,  then every weight of θ becomes that of θ_0 with probability p.

What learns the source, and answers ever after, is the teacher: ``backbone`` and ``head``. As long as the source model
is sure, student and teacher are equal and the gradient is zero: then nothing but statistics adapts. All three networks
normalise by the statistics of their batch; those of the teacher on unchanged batches are kept for evaluation. As in the
paper, the networks by default have batch normalisation. The copies of a picture are moved by up to 1/16 of the side,
with another contrast, brightness and colour and a little noise; the paper also turns, zooms, blurs and mirrors. Inputs
that are no pictures get Gaussian noise, which the paper does not have. It chooses the threshold by the source model's
confidence on source data: 0.92 for its CIFAR-10, 0.72 for CIFAR-100, 0.1 for ImageNet (from memory).

Fails when: the teacher is wrong for long (the average remembers it), batches are small or hold one class each, or the
changes alter the class. Where copies are made, a step costs N forward passes more than one of Tent.

Paper: Wang, Fink, Van Gool, Dai, Continual Test-Time Domain Adaptation, CVPR 2022, arXiv:2203.13591.
"""

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from dakit.methods import augmented
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real
from dakit.methods.source_free import SourceFree

__all__ = ["CoTTA"]


class CoTTA(SourceFree):
    """Continual test-time adaptation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned; 0 begins with given weights (``start_from``), 1 never adapts.
    alpha : float in [0, 1]
        α, how much of the teacher stays in each step.
    views : int
        N, changed copies of a batch.
    threshold : float in [0, 1]
        Mean confidence of the source model below which copies are made.
    restore : float in [0, 1]
        p, the chance of a weight to go back to the source's in each step.
    jitter : float, at least 0
        Noise of copies of inputs that are no pictures, in standard deviations of each feature over the batch. Not from
        the paper.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by in the second stage: 0.01 becomes the paper's 0.001.
    label_smoothing : float in [0, 1)
        In the first stage.
    """

    online = True  # leaves in ``answers`` what it says to a batch before it learns from it

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        pretrain: float = 0.5,
        alpha: float = 0.999,
        views: int = 32,
        threshold: float = 0.92,
        restore: float = 0.01,
        jitter: float = 0.1,
        adapt_lr: float = 0.1,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            backbone, num_classes, pretrain=pretrain, adapt_lr=adapt_lr, label_smoothing=label_smoothing
        )
        self.alpha, self.views = check_real("alpha", alpha, high=1.0), check_int("views", views, 1)
        self.threshold = check_real("threshold", threshold, high=1.0)
        self.restore, self.jitter = check_real("restore", restore, high=1.0), check_real("jitter", jitter)
        teacher = nn.ModuleDict({"backbone": self.backbone, "head": self.head})
        self.student = copy.deepcopy(teacher)
        self.anchor = copy.deepcopy(teacher).requires_grad_(False)
        self.register_buffer("adapting", torch.tensor(False))  # saved: a resumed run copies no second time
        self.answers: Tensor | None = None

    @staticmethod
    def auto_backbone(shape: tuple[int, ...]) -> dict:
        return {"name": "auto", "norm": "batch"}

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        teacher = [*self.backbone.parameters(), *self.head.parameters()]
        return [("all", [*teacher, *self.student.parameters()])]

    def begin(self) -> None:
        self.adapting.fill_(False)  # student and source model are copied as the second stage begins

    def start_from(self, trained: Method) -> Self:
        self.begin()
        return super().start_from(trained)

    def other_logits(self, network: nn.ModuleDict, x: Tensor) -> Tensor:
        """Logits of the student or of the source model, in the precision of :meth:`features`."""
        return network["head"](self.in_precision(network["backbone"], x))

    @torch.no_grad()
    def follow(self) -> None:
        """What comes after a step: the teacher follows the student, some of whose weights then go back."""
        for part in ("backbone", "head"):
            teacher, student, anchor = (
                list(m.parameters()) for m in (getattr(self, part), self.student[part], self.anchor[part])
            )
            for slow, fast, first in zip(teacher, student, anchor):
                slow.lerp_(fast, 1 - self.alpha)
                if self.restore:
                    fast.copy_(torch.where(torch.rand_like(fast) < self.restore, first, fast))

    def changed(self, x: Tensor) -> Tensor:
        """A copy of a batch with a draw of changes for each example."""
        if x.ndim != 4:
            return augmented.jittered(x, self.jitter)
        return augmented.recoloured(augmented.moved(x, shift=1 / 16), noise=0.005)

    @torch.no_grad()
    def teach(self, x: Tensor) -> Tensor:
        """q: the teacher's probabilities, (b, ...) to (b, k), over changed copies where the source model is unsure."""
        q = self.logits(x).softmax(dim=1)
        confidence = self.other_logits(self.anchor, x).softmax(dim=1).amax(dim=1).mean()
        if confidence >= self.threshold:  # asking the device costs less than N forward passes
            return q
        kept = [b.clone() for b in self.backbone.buffers()]
        q = sum(self.logits(self.changed(x)).softmax(dim=1) for _ in range(self.views))
        for b, before in zip(self.backbone.buffers(), kept):
            b.copy_(before)  # evaluation needs the statistics of the target, not of its changed copies
        return q / self.views

    def adapt(self, target: Batch) -> dict[str, Tensor]:
        if self.adapting:
            self.follow()
        else:
            for network in (self.student, self.anchor):
                network["backbone"].load_state_dict(self.backbone.state_dict())
                network["head"].load_state_dict(self.head.state_dict())
            self.adapting.fill_(True)
        q = self.teach(target.x)
        self.answers = q.clamp(min=torch.finfo(q.dtype).tiny).log()
        return {"consistency": functional.cross_entropy(self.other_logits(self.student, target.x), q)}
