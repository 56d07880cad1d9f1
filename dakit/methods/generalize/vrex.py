"""Risk extrapolation (V-REx): the same risk in every source domain.

What the sources differ in, a new domain may differ in further. A model whose risk is equal in all sources has a risk
that stays equal along those directions, while one that leans on spurious features gains in some domains what it loses
in others. The variance of the risks over the domains is added to their mean.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation).

Assumes: the new domain lies in directions in which the sources differ among each other, and the domains are equally
hard: the best invariant predictor has one risk in all of them.

Objective: source domains e = 1 … m, logits G_y(G_f(x)) of shape (b, k) in each, risk R_e = mean_e CE(G_y(G_f(x)), y),

    min over θ of  mean_e R_e + β_p Var_e R_e,  Var_e R_e = (1/m) Σ_e (R_e - mean R)²,

β_p = 1 over the first share ``anneal`` of progress, β after it. Where β_p exceeds 1, the whole is divided by it,
which keeps gradients of one size; the label loss in the history then is the divided one.

Fails when: a domain is harder by nature (noisier labels): equality is then reached by doing worse in the others. The
variance over two or three domains of batch risks is noisy, and its minimum says nothing about directions in which the
sources agree. Where β is too low nothing changes: where a shape predicts 0.75 of the labels and a colour 0.9 in one
domain and 0.8 in the other, the colour is still followed with the default of 10, and no longer with 100.

Paper: Krueger, Caballero, Jacobsen, Zhang, Binas, Zhang, Le Priol, Courville, Out-of-Distribution Generalization via
Risk Extrapolation (REx), ICML 2021, arXiv:2003.00688. The paper tunes β for each problem and sums the risks rather
than averaging them; the defaults of β and ``anneal`` are those of DomainBed (Gulrajani, Lopez-Paz, ICLR 2021), which
averages.
"""

from torch import Tensor

from dakit.methods.generalize.risks import annealed, risks
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["VREx"]


class VREx(Method):
    """Variance risk extrapolation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    beta : float, at least 0
        β, the weight of the variance once annealing is over.
    anneal : float in [0, 1]
        Share of the training over which the weight is 1.
    rescale : bool
        Divide the objective by the weight of the variance where that exceeds 1.
    label_smoothing : float in [0, 1)
    """

    uses_target = False
    min_sources = 2

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        beta: float = 10.0,
        anneal: float = 0.1,
        rescale: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.beta, self.anneal = check_real("beta", beta), check_real("anneal", anneal, high=1.0)
        self.rescale, self.label_smoothing = rescale, label_smoothing

    def weight_at(self, progress: float) -> float:
        """β_p: 1 before ``anneal``, β from there on."""
        return annealed(self.beta, progress, self.anneal, before=1.0)

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        each = risks(self.logits(source.x), source.parts(), label_smoothing=self.label_smoothing)
        weight = self.weight_at(progress)
        scale = max(1.0, weight) if self.rescale else 1.0
        return {"label": each.mean() / scale, "variance": weight / scale * each.var(correction=0)}
