"""Group distributionally robust optimisation (GroupDRO): be good in the worst source domain.

Instead of the mean risk, the largest of the domains' risks is to be small. Two players approach that online: weights
q over the domains grow where the risk is high, by one multiplicative step each time, and the network descends the
risk weighted by q.

Setting: several labelled sources, no target: a domain that nobody has seen (domain generalisation); or groups within
one data set, given as its sources, the worst of which matters.

Assumes: the new domain is a mixture of the sources, or no harder than the worst of them.

Objective: source domains e = 1 … m, logits G_y(G_f(x)) of shape (b, k) in each, risk R_e = mean_e CE(G_y(G_f(x)), y),
and q of shape (m,) on the simplex, which starts uniform,

    min over θ, max over q of  Σ_e q_e R_e,
    each step:  q_e = q_e exp(η R_e) / Σ_l q_l exp(η R_l),  then one step of θ with these q.

Fails when: the network fits every example of every domain (all risks go to 0, and with them the difference to ERM:
the paper holds it back with strong weight decay or early stopping), or one domain is noisy: the weight goes where the
labels are wrong.

Paper: Sagawa, Koh, Hashimoto, Liang, Distributionally Robust Neural Networks for Group Shifts, ICLR 2020,
arXiv:1911.08731. Its groups are pairs of label and attribute, of which a batch is drawn in turn; here they are the
source domains, and a batch holds all of them. Its adjustment for the size of a group is left out.
"""

import torch
from torch import Tensor

from dakit.methods.generalize.risks import risks
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_int, check_real

__all__ = ["GroupDRO"]


class GroupDRO(Method):
    """Group distributionally robust optimisation.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    num_sources : int
        m, the number of source domains; ``methods.build`` fills it in.
    eta : float, at least 0
        η, the step size of the weights; 0 keeps them uniform.
    label_smoothing : float in [0, 1)
    """

    uses_target = False
    min_sources = 2

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        num_sources: int = 2,
        eta: float = 0.01,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.num_sources, self.eta = check_int("num_sources", num_sources, 1), check_real("eta", eta)
        self.label_smoothing = label_smoothing
        self.register_buffer("q", torch.full((self.num_sources,), 1 / self.num_sources))

    def losses(self, source: Batch, target: Batch | None, progress: float) -> dict[str, Tensor]:
        parts = source.parts()
        if len(parts) != self.num_sources:
            raise ValueError(
                f"this GroupDRO has weights for {self.num_sources} sources, the batch holds {len(parts)}"
            )
        each = risks(self.logits(source.x), parts, label_smoothing=self.label_smoothing)
        # A softmax of log q + η R: the same step, which no risk, however large, makes overflow.
        self.q.copy_((self.q.log() + self.eta * each.detach()).softmax(0))
        return {"label": self.q @ each}

    def diagnostics(self, source: Tensor, target: Tensor) -> dict[str, float]:
        """The weight of each source domain."""
        return {f"q_{e}": w for e, w in enumerate(self.q.tolist())}
