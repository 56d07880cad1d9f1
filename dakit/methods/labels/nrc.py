"""Neighbourhood reciprocity (NRC): a target example should get the class that its neighbours in feature space get.

A network learns the source, which is then no longer needed. On the target each prediction is drawn to those of its
nearest neighbours, remembered in a bank: fully to reciprocal neighbours, which have it among theirs too, a little to
the others and to the neighbours of neighbours. A diversity term keeps all examples from agreeing on one class.

Setting: unlabelled target and a model trained on a labelled source, the same classes (source-free domain adaptation).

Assumes: neighbours in the source model's features mostly share their class, in the target too, and classes of similar
size there, for the diversity term asks for equal shares.

Objective: features f of shape (b, d), probabilities p of shape (b, k), a bank with f / |f| and S = p of every target
example as it was last seen, without gradient; N_K(i) the K nearest in the bank by cosine, i itself left out,

    progress < pretrain:  min over θ of  mean_S CE(G_y(f), y), and from there on
    min over θ of  L_N + L_E + L_self + L_div, where
        L_N    = -mean_i Σ_{j in N_K(i)} A_ij S_jᵀ p_i,  A_ij = 1 if i is in N_M(j), else r,
        L_E    = -mean_i Σ_{j in N_K(i)} Σ_{m in N_M(j)} r S_mᵀ p_i,
        L_self = -mean_i S_iᵀ p_i,
        L_div  = KL(p̄ | equal shares) = Σ_c p̄_c log p̄_c + log k,  p̄ = mean_i p_i.

A batch enters the bank before its neighbours are looked up. The bank is filled by a pass over the target as the second
stage begins. The paper's network has a bottleneck with batch normalisation and a head with normalised weights, and its
pretrained layers learn at a tenth of the rate; here backbone and head are what they are, and both learn. K and M are
from memory: the paper's for its smaller sets, where VisDA has 5 and 5.

Fails when: class sizes differ much between the domains, classes overlap in the features (neighbours then carry a wrong
class over the border, with nothing to stop them), or K is no small part of a class. Source accuracy may fall in the
second stage.

Paper: Yang, Wang, van de Weijer, Herranz, Jui, Exploiting the Intrinsic Neighborhood Structure for Source-free Domain
Adaptation, NeurIPS 2021, arXiv:2110.04202.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from dakit import losses
from dakit.methods.method import Batch
from dakit.methods.parameters import check_int, check_real
from dakit.methods.passes import whole
from dakit.methods.source_free import SourceFree

__all__ = ["NRC", "nearest"]


def nearest(bank: Tensor, index: Tensor, count: int) -> Tensor:
    """Rows of the bank that are nearest to some of its rows by cosine, these themselves left out.

    Parameters
    ----------
    bank : Tensor of shape (n, d)
        Rows of length 1.
    index : Tensor of shape (m,), int64
    count : int, less than n

    Returns
    -------
    Tensor of shape (m, count), int64, the nearest first
    """
    similarity = bank[index] @ bank.T  # (m, n): a batch, not the whole bank, against the bank
    return similarity.scatter_(1, index[:, None], -torch.inf).topk(count, dim=1).indices


class NRC(SourceFree):
    """Neighbourhood reciprocity clustering.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    pretrain : float in [0, 1]
        Share of the steps in which the source is learned; 0 begins with given weights (``start_from``), 1 never adapts.
    k : int
        K, neighbours of each example.
    m : int
        M, neighbours of each neighbour.
    r : float in [0, 1]
        Affinity of neighbours that are not reciprocal, and of neighbours' neighbours.
    adapt_lr : float, at least 0
        What the learning rate is multiplied by in the second stage.
    label_smoothing : float in [0, 1)
        Of source labels in the first stage, as in SHOT, whose source models the paper takes over.
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        pretrain: float = 0.5,
        k: int = 3,
        m: int = 2,
        r: float = 0.1,
        adapt_lr: float = 1.0,
        label_smoothing: float = 0.1,
    ) -> None:
        super().__init__(
            backbone, num_classes, pretrain=pretrain, adapt_lr=adapt_lr, label_smoothing=label_smoothing
        )
        self.k, self.m, self.r = check_int("k", k, 1), check_int("m", m, 1), check_real("r", r, high=1.0)
        # One row a target example; empty in the first stage.
        self.register_buffer("bank", torch.empty(0, backbone.out_features))
        self.register_buffer("scores", torch.empty(0, num_classes))

    def begin(self) -> None:
        self.bank, self.scores = (t.new_empty(0, t.shape[1]) for t in (self.bank, self.scores))

    def prepare(self, source, target, progress: float) -> None:
        if self.learns_source(progress) or len(self.bank):
            return
        if len(target) <= max(self.k, self.m):
            raise ValueError(
                f"nrc looks for {max(self.k, self.m)} neighbours among the others of {len(target)} target examples; "
                "take smaller k and m, or more examples"
            )
        features, logits = whole(self, target.x)
        self.bank, self.scores = functional.normalize(features, dim=1), logits.softmax(dim=1)

    def pass_due(self, progress: float) -> bool:
        """At the first step of the second stage."""
        return not self.learns_source(progress) and not len(self.bank)

    def adapt(self, target: Batch) -> dict[str, Tensor]:
        features = self.features(target.x)
        logits = self.head(features)
        p = logits.softmax(dim=1)
        diversity = math.log(self.num_classes) - losses.marginal_entropy(logits)
        terms = {"self": -(p.detach() * p).sum(dim=1).mean(), "diversity": diversity}
        if len(self.bank):
            self.bank[target.index] = functional.normalize(features.detach(), dim=1)
            self.scores[target.index] = p.detach()
            terms |= self.neighbourhood(target.index, p)
        return terms

    def neighbourhood(self, index: Tensor, p: Tensor) -> dict[str, Tensor]:
        """L_N and L_E of the rows ``index`` of the bank, whose probabilities are ``p`` of shape (b, k)."""
        near = nearest(self.bank, index, self.k)  # (b, K)
        further = nearest(self.bank, near.flatten(), self.m).view(*near.shape, self.m)  # (b, K, M)
        reciprocal = (further == index[:, None, None]).any(dim=2)
        affinity = torch.where(reciprocal, 1.0, self.r)
        agreement = (self.scores[near] * p[:, None]).sum(dim=2)  # (b, K)
        beyond = (self.scores[further] * p[:, None, None]).sum(dim=3)  # (b, K, M)
        return {
            "neighbours": -(affinity * agreement).sum(dim=1).mean(),
            "extended": -self.r * beyond.sum(dim=(1, 2)).mean(),
        }
