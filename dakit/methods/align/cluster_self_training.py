"""Self-training on clusters: target examples near the middle of a cluster get the class that the cluster came from.

At every epoch the target's features are clustered by spherical k-means that starts from the centres of the source's
classes, so that each cluster has a class. Target examples close to their cluster's centre learn that class as a label;
the others wait. The classifier's own confidence plays no part.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: target classes form clusters in the features, and each source centre lies nearer to its own class's cluster
than to another's. Class proportions may differ.

Objective: features f of shape (b, d), u = f / |f|, dist(a, b) = (1 - cos(a, b)) / 2 in [0, 1]. At every epoch, over all
examples, centres O_c of shape (d,) start as O_c = Σ_S [y_i = c] u_i, then in turn until nothing changes

    ŷ_i = argmin over c of dist(f_i, O_c),  O_c = Σ_T [ŷ_i = c] u_i;

C is the set of target examples with dist(f_i, O_ŷi) < radius, without classes that have fewer than ``smallest`` of
them. Then over batches

    min over θ of  mean_S CE(G_y(f), y) + λ mean over T ∩ C of CE(G_y(f), ŷ).

Clusters and both filters are those of CAN, where they decide which examples a contrastive discrepancy of the classes
compares; here the labels are learned by plain cross-entropy. CAN begins with weights learned on ImageNet. Networks that
begin with nothing see only the source in the first ``warmup`` of the steps, at the end of which the first clusters are
made.

Fails when: the target's clusters do not follow its classes, two source centres lie nearest to one cluster, or a class
is missing from the target (its cluster then takes examples of another). All of these make labels that are wrong and
look settled.

Paper: Kang, Jiang, Yang, Hauptmann, Contrastive Adaptation Network for Unsupervised Domain Adaptation, CVPR 2019,
arXiv:1901.00976, section 3.4 (clusters and filters).
"""

import torch
from torch import Tensor
from torch.nn import functional

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real
from dakit.methods.passes import whole

__all__ = ["ClusterSelfTraining", "spherical_k_means"]


def spherical_k_means(features: Tensor, centres: Tensor, *, rounds: int = 100) -> tuple[Tensor, Tensor]:
    """k-means by direction, from given centres.

    Parameters
    ----------
    features : Tensor of shape (n, d)
    centres : Tensor of shape (k, d)
        Where to start; a row of zeros belongs to no cluster.
    rounds : int
        Most rounds; it stops earlier when no label changes.

    Returns
    -------
    labels : Tensor of shape (n,), int64
    centres : Tensor of shape (k, d)
        Of length 1. A cluster that lost all its rows keeps its centre.
    """
    u = functional.normalize(features, dim=1)
    centres = functional.normalize(centres, dim=1)
    there = centres.any(dim=1)
    labels = None
    for _ in range(rounds):
        new = (u @ centres.T).masked_fill(~there, -2.0).argmax(dim=1)
        if labels is not None and torch.equal(new, labels):
            break
        labels = new
        sums = torch.zeros_like(centres).index_add_(0, labels, u)
        centres = torch.where(sums.any(dim=1, keepdim=True), functional.normalize(sums, dim=1), centres)
    return labels, centres


class ClusterSelfTraining(Method):
    """Self-training with the labels of clusters.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    lambda_ : float, at least 0
        λ, the weight of the target's cross-entropy.
    radius : float in (0, 1]
        Largest distance from its centre of an example that is learned; CAN's D_0, 0.05 for Office-31. 1 takes all.
    smallest : int
        Examples within the radius without which a class is left out; CAN's N_0.
    warmup : float in [0, 1]
        Share of the steps before the first clusters. Not from the paper, which starts from learned weights.
    label_smoothing : float in [0, 1)
        For source labels.
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        lambda_: float = 1.0,
        radius: float = 0.05,
        smallest: int = 3,
        warmup: float = 0.2,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.lambda_ = check_real("lambda_", lambda_)
        self.radius = check_real("radius", radius, high=1.0, open_low=True)
        self.smallest, self.warmup = (
            check_int("smallest", smallest, 1),
            check_real("warmup", warmup, high=1.0),
        )
        self.label_smoothing = label_smoothing
        # One label a target example, -1 where none is learned; empty before the first clusters.
        self.register_buffer("pseudo_labels", torch.empty(0, dtype=torch.int64))
        self.register_buffer("centres", torch.zeros(num_classes, backbone.out_features))

    def begin(self) -> None:
        self.pseudo_labels = self.pseudo_labels.new_empty(0)

    def prepare(self, source, target, progress: float) -> None:
        if progress < self.warmup:
            return
        fs, ft = whole(self, source.x)[0], whole(self, target.x)[0]
        start = torch.zeros_like(self.centres)
        start.index_add_(0, source.y.to(fs.device), functional.normalize(fs, dim=1))
        labels, self.centres = spherical_k_means(ft, start)
        near = self.distances(ft).gather(1, labels[:, None])[:, 0] < self.radius
        counts = torch.bincount(labels[near], minlength=self.num_classes)
        self.pseudo_labels = torch.where(near & (counts[labels] >= self.smallest), labels, -1)

    def pass_due(self, progress: float) -> bool:
        """At the first step after the warm-up."""
        return progress >= self.warmup and not len(self.pseudo_labels)

    def distances(self, features: Tensor) -> Tensor:
        """(1 - cos) / 2 between features and centres, (n, d) to (n, k)."""
        return (1 - functional.normalize(features, dim=1) @ self.centres.T) / 2

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        if not len(self.pseudo_labels):  # no clusters yet: the target is not looked at
            logits = self.logits(source.x)
            return {"label": losses.cross_entropy(logits, source.y, label_smoothing=self.label_smoothing)}
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        pseudo = self.pseudo_labels[target.index]
        each = functional.cross_entropy(self.head(ft), pseudo, ignore_index=-1, reduction="none")
        return {"label": label, "cluster": self.lambda_ * each.sum() / (pseudo >= 0).sum().clamp(min=1)}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """Share of target examples within the radius of a cluster's centre; 0 before the first clusters."""
        if not len(self.pseudo_labels):
            return {"near_a_centre": 0.0}
        return {"near_a_centre": float((self.distances(target).amin(dim=1) < self.radius).float().mean())}
