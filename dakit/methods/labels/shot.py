"""SHOT: the source's classifier stays as it is, and the target's features move until it is sure of them.

A network learns the source, which is then no longer needed. Its head, the hypothesis, is frozen, and the backbone
learns on the target alone: predictions should be sure one by one and spread over the classes together, and follow
pseudo-labels, which are those of the nearest class centre among the target's own features.

Setting: unlabelled target and a model trained on a labelled source, the same classes (source-free domain adaptation).

Assumes: target examples form clusters, most of which the source model names rightly, and classes of similar size in
the target, for the diversity term asks for equal shares.

Objective: features f = G_f(x) of shape (b, d), probabilities p = softmax(G_y(f)) of shape (b, k), H the entropy, p̄ the
mean of p over the batch,

    progress < pretrain:  min over θ_f, θ_y of  mean_S CE(G_y(f), y), with smoothed labels,
    from there on, θ_y fixed:
        min over θ_f of  mean_T H(p) - H(p̄) + β mean_T CE(G_y(f), ŷ),

with ŷ from all target examples as the second stage begins and at every epoch of it: centres c_k = Σ_i p_ik f_i / Σ_i
p_ik, ŷ_i the class of the nearest centre by cosine distance; then once more with [ŷ_i = k] in the place of p_ik.

The paper's network has a bottleneck with batch normalisation and a head with normalised weights between ResNet and
classes, and its features learn at a tenth of their rate; here backbone and head are what they are. Its schedule,
(1 + 10 p)^-0.75 in each stage, is close to ``fit(schedule="dann")``. It appends a 1 to the features before taking
cosines; so does this file.

Fails when: class sizes differ much between the domains (the diversity term moves examples of large classes to small
ones), a class is missing from the target, or clusters are named wrongly from the start: certainty then grows about
errors. Source accuracy may fall in the second stage.

Paper: Liang, Hu, Feng, Do We Really Need to Access the Source Data? Source Hypothesis Transfer for Unsupervised Domain
Adaptation, ICML 2020, arXiv:2002.08546.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dakit import losses
from dakit.methods.method import Batch
from dakit.methods.parameters import check_real
from dakit.methods.passes import whole
from dakit.methods.source_free import SourceFree

__all__ = ["SHOT", "centroid_labels"]


def centroid_labels(features: Tensor, probabilities: Tensor, *, rounds: int = 2) -> Tensor:
    """Classes of the nearest class centres, by cosine.

    Parameters
    ----------
    features : Tensor of shape (n, d)
    probabilities : Tensor of shape (n, k)
        What the classifier says: the weights of the first round's centres. Later rounds weigh by the labels found.
    rounds : int, at least 1

    Returns
    -------
    Tensor of shape (n,), int64
        A class to which no example belongs by weight (or by label) gets none.
    """
    # Homogeneous coordinates: the appended 1 lets the length of the features count a little.
    u = functional.normalize(torch.cat([features, torch.ones_like(features[:, :1])], dim=1), dim=1)
    weights = probabilities
    for _ in range(rounds):
        centres = functional.normalize(weights.T @ u, dim=1)  # the sums' lengths do not matter to a cosine
        there = weights.sum(dim=0) > 0
        labels = (u @ centres.T).masked_fill(~there, -2.0).argmax(dim=1)
        weights = functional.one_hot(labels, probabilities.shape[1]).to(u.dtype)
    return labels


class SHOT(SourceFree):
    """Source hypothesis transfer.

    Parameters
    ----------
    backbone : nn.Module
        G_f: maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned; 0 begins with given weights (``start_from``), 1 never adapts.
    beta : float, at least 0
        β, the weight of the pseudo-labels; 0.3 in the paper, 0.1 for its digits. 0 is its SHOT-IM.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by in the second stage.
    label_smoothing : float in [0, 1)
        Of source labels in the first stage.
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        pretrain: float = 0.5,
        beta: float = 0.3,
        adapt_lr: float = 1.0,
        label_smoothing: float = 0.1,
    ) -> None:
        super().__init__(
            backbone, num_classes, pretrain=pretrain, adapt_lr=adapt_lr, label_smoothing=label_smoothing
        )
        self.beta = check_real("beta", beta)
        # One label a target example; empty in the first stage.
        self.register_buffer("pseudo_labels", torch.empty(0, dtype=torch.int64))

    def begin(self) -> None:
        self.pseudo_labels = self.pseudo_labels.new_empty(0)

    def prepare(self, source, target, progress: float) -> None:
        if not self.learns_source(progress) and self.beta:
            features, logits = whole(self, target.x)
            self.pseudo_labels = centroid_labels(features, logits.softmax(dim=1))

    def pass_due(self, progress: float) -> bool:
        """At the first step of the second stage."""
        return self.beta > 0 and not self.learns_source(progress) and not len(self.pseudo_labels)

    def adapt(self, target: Batch) -> dict[str, Tensor]:
        # The head's weights without gradient: an optimiser leaves alone what has none, momentum and decay included.
        logits = functional.linear(
            self.features(target.x), self.head.weight.detach(), self.head.bias.detach()
        )
        terms = {"entropy": losses.entropy(logits), "diversity": -losses.marginal_entropy(logits)}
        if len(self.pseudo_labels):
            terms["pseudo"] = self.beta * losses.cross_entropy(logits, self.pseudo_labels[target.index])
        return terms
