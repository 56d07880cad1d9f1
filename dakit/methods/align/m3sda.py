"""Moment matching for multi-source adaptation (M³SDA): all sources and the target get the same moments of features.

One backbone serves all domains, and each source has a pair of heads of its own. Distances of the first two moments of
the features are kept small between each source and the target, and between each two sources. The heads of a pair are
pushed apart on the target and brought together again by the backbone, as in MCD. On the target the probabilities of all
heads are averaged.

Setting: several labelled sources, unlabelled target, the same classes (multi-source domain adaptation).

Assumes: the domains differ in what low moments of features show, class proportions are similar in all of them, and each
source is of use for the target.

Objective: features f of shape (b, d) of N sources S_i and the target T, heads C_i with logits of shape (b, k) and
probabilities p_i,

    MD² = Σ_{k=1,2} ( 1/N Σ_i |E_Si f^k - E_T f^k| + 1/(N choose 2) Σ_{i<j} |E_Si f^k - E_Sj f^k| ),
    min over θ of  Σ_i mean_Si CE(C_i(f), y) + λ MD²,  answer on the target: Σ_i w_i p_i,

powers taken feature by feature, w_i = 1/N. That is M³SDA, ``pairs=False``. In M³SDA-β, the default, the sources' losses
hold for both heads C_i and C'_i, answers are means of pairs, and two more phases follow on each batch, with
d(p, p') = 1/k Σ_j |p_j - p'_j|:

    disagree:   min over all θ_C of  Σ_i [mean_Si CE(C_i(f), y) + mean_Si CE(C'_i(f), y)] - Σ_i mean_T d(p_i, p'_i)
    agree:      min over θ_f of      Σ_i mean_T d(p_i, p'_i).

The paper's better combination weighs heads by the accuracy on the target of a model of their source: that takes target
labels, and is left out. ``combine="distance"`` is ours instead: w_i ∝ 1 / d_i, the distance of moments of source i to
the target, a running mean over the training. λ is not in the paper's text. With 0.1 the source losses on small networks
are about twice as high as without; with 1 all features ran into a point. All domains pass the backbone together.

Fails when: a source is of no use (all weigh the same), classes have other proportions in a domain, so that equal
moments mix them, λ is so high that features shrink to meet, or features grow: the second moment then drowns the first.

Paper: Peng, Bai, Xia, Huang, Saenko, Wang, Moment Matching for Multi-Source Domain Adaptation, ICCV 2019,
arXiv:1812.01754.
"""

import torch
from torch import Tensor, nn

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_choice, check_int, check_real

__all__ = ["M3SDA"]


class M3SDA(Method):
    """Moment matching for multi-source domain adaptation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    num_sources : int
        N; ``methods.build`` fills it in.
    lambda_ : float, at least 0
        λ, the weight of the moments.
    moments : int, at least 1
        Highest order; 2 in the paper.
    pairs : bool
        M³SDA-β: two heads a source, and three phases a step. False is M³SDA.
    combine : {"mean", "distance"}
        Weights of the sources' heads on the target.
    label_smoothing : float in [0, 1)
    """

    min_sources = 2

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        num_sources: int = 2,
        lambda_: float = 0.1,
        moments: int = 2,
        pairs: bool = True,
        combine: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.num_sources = check_int("num_sources", num_sources, 1)
        self.lambda_, self.moments = check_real("lambda_", lambda_), check_int("moments", moments, 1)
        check_choice("combine", combine, ("mean", "distance"))
        self.pairs, self.combine, self.label_smoothing = pairs, combine, label_smoothing

        def head():
            return nn.Linear(backbone.out_features, num_classes)

        self.others = nn.ModuleList(head() for _ in range(num_sources - 1))  # C_2 .. C_N; C_1 is `head`
        self.seconds = nn.ModuleList(head() for _ in range(num_sources if pairs else 0))  # C'_1 .. C'_N
        self.register_buffer("distances", torch.ones(num_sources))  # d_i, a running mean
        self.phase = "classify"

    def phases(self) -> list[tuple[str, list[nn.Parameter]]]:
        if not self.pairs:
            return super().phases()
        features = list(self.backbone.parameters())
        heads = [p for module in (self.head, self.others, self.seconds) for p in module.parameters()]
        return [("classify", [*features, *heads]), ("disagree", heads), ("agree", features)]

    @property
    def firsts(self) -> list[nn.Module]:
        """C_1 .. C_N."""
        return [self.head, *self.others]

    def weights(self) -> Tensor:
        """w of shape (N,), summing to 1."""
        if self.combine == "mean":
            return torch.full_like(self.distances, 1 / self.num_sources)
        closeness = 1 / self.distances.clamp(min=torch.finfo(self.distances.dtype).tiny)
        return closeness / closeness.sum()

    def logits(self, x: Tensor) -> Tensor:
        """Logarithms of the combined probabilities, (b, ...) to (b, k); a pair counts with its mean."""
        f = self.features(x)
        log_p = torch.stack([h(f).log_softmax(1) for h in (*self.firsts, *self.seconds)])
        w = self.weights().log()
        return (log_p + (torch.cat([w, w]) if self.pairs else w)[:, None, None]).logsumexp(0).log_softmax(1)

    def label_loss(self, features: list[Tensor], parts: list[Batch]) -> Tensor:
        """Sum over the sources of the cross-entropies of their heads."""
        s = self.label_smoothing
        total = 0.0
        for heads in (self.firsts, self.seconds):
            for h, f, part in zip(heads, features, parts):
                total = total + losses.cross_entropy(h(f), part.y, label_smoothing=s)
        return total

    def discrepancy(self, target: Tensor) -> Tensor:
        """Σ_i mean_T d(p_i, p'_i), from features of shape (b, d)."""
        pairs = zip(self.firsts, self.seconds)
        return sum(losses.classifier_discrepancy(a(target), b(target)) for a, b in pairs)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        if self.phase == "agree":
            return {"discrepancy": self.discrepancy(self.features(target.x))}
        parts = source.parts()
        with torch.set_grad_enabled(self.phase == "classify"):  # the heads' turn leaves the backbone alone
            f = self.features(torch.cat([source.x, target.x]))
        *of_sources, of_target = f.split([*map(len, parts), len(target)])
        label = self.label_loss(of_sources, parts)
        if self.phase == "disagree":
            return {"label": label, "discrepancy": -self.discrepancy(of_target)}
        if self.training and self.combine == "distance":
            with torch.no_grad():
                now = losses.moment_distances(of_sources, of_target, moments=self.moments)
                self.distances.mul_(0.99).add_(0.01 * now)
        moments = losses.source_moment_distance(of_sources, of_target, moments=self.moments)
        return {"label": label, "moments": self.lambda_ * moments}
