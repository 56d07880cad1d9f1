"""DeepJDOT: transport each batch of the source onto the target, features and labels jointly.

In every batch an optimal transport plan pairs source with target examples that lie close in the features and to which
the classifier gives the source's label. With the plan held, the features of pairs are drawn together and the classifier
learns the source's labels on the target. It is JDOT with a deep network and small batches.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: some cheap transport moves the joint law of features and labels of the source onto the target's, and similar
class proportions, in each batch.

Objective: with features f of shape (b, d), source labels y_i, target probabilities p_j = softmax(G_y(f_Tj)),

    min over θ of  mean_S CE(G_y(f), y) + Σ_ij γ_ij (α ||f_Si - f_Tj||² + λ_t (-log p_j[y_i])),
    γ = the minimiser of Σ_ij γ_ij C_ij over γ >= 0 with γ 1 = 1/n, γ' 1 = 1/m,  C_ij as in the brackets above,

γ of shape (n, m) from detached costs, by POT's exact solver. With ``entropy`` ε > 0 the plan minimises the sum plus ε
times its Kullback-Leibler divergence from the even plan 1/(n m) (Sinkhorn), and with ``marginals`` τ the two conditions
give way to τ times the divergences from them (unbalanced transport, as in JUMBOT by Fatras et al., ICML 2021).

Fails when: class proportions differ, in the domains or by chance in small batches (an exact plan has to hand out all
labels of the source; the unbalanced one need not), when the first predictions are wrong for most of the target, or when
α does not suit the scale of the features. α = 0.001 and λ_t = 0.0001 are the paper's for digits, with batches of 500,
from memory. With the short features of a small network the added terms are then near 0, and what remains is
source_only; the history shows it: compare ``distance`` and ``transfer`` with ``label``. The plan is solved on the CPU
in each step, in about b³ time, and takes b² memory.

Where the paper's formula has one cross-entropy in the plan and the loss, as here, its authors' code is said to use
squared distances of one-hot labels and predictions in the plan.

Paper: Damodaran, Kellenberger, Flamary, Tuia, Courty, DeepJDOT: Deep Joint Distribution Optimal Transport for
Unsupervised Domain Adaptation, ECCV 2018, arXiv:1803.10081.
"""

import numpy as np
from torch import Tensor

from dakit import losses
from dakit.methods.method import Batch, Method
from dakit.methods.parameters import check_real

__all__ = ["DeepJDOT"]

FAR = 500.0  # in units of ε: such a pair has exp(-500) of the mass of a near one


class DeepJDOT(Method):
    """Deep joint distribution optimal transport.

    Parameters
    ----------
    backbone : nn.Module
        Maps (b, ...) to (b, d) and has ``out_features = d``.
    num_classes : int
    alpha : float, at least 0
        α, the weight of squared distances of features.
    lambda_t : float, at least 0
        λ_t, the weight of the source's labels on the target.
    entropy : float, at least 0
        ε, in units of the costs; 0 solves the exact problem.
    marginals : float, positive, or None
        τ, in units of the costs; None keeps both conditions. Needs ``entropy`` > 0.
    label_smoothing : float in [0, 1)
        Of the label loss alone.
    """

    def __init__(
        self,
        backbone,
        num_classes: int,
        *,
        alpha: float = 0.001,
        lambda_t: float = 0.0001,
        entropy: float = 0.0,
        marginals: float | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(backbone, num_classes)
        self.alpha, self.lambda_t = check_real("alpha", alpha), check_real("lambda_t", lambda_t)
        self.entropy = check_real("entropy", entropy)
        self.marginals = None if marginals is None else check_real("marginals", marginals, open_low=True)
        if self.marginals is not None and not self.entropy:
            raise ValueError(
                "deepjdot solves the problem with free marginals by Sinkhorn: give an entropy > 0 too"
            )
        self.label_smoothing = label_smoothing

    def plan(self, cost: Tensor) -> Tensor:
        """γ for costs of shape (n, m), without gradient."""
        import ot

        c = cost.detach().double().cpu().numpy()
        weights = [np.full(size, 1 / size) for size in c.shape]
        if not self.entropy:
            plan = ot.emd(*weights, c, numItermax=1_000_000)
        elif self.marginals is None:
            # What is added to a row or a column changes no plan; near 0, exp(-c / ε) does not vanish as a whole.
            c = c - c.min(1, keepdims=True)
            c = c - c.min(0)
            method = (
                "sinkhorn" if c.max() < FAR * self.entropy else "sinkhorn_log"
            )  # ten times slower, never 0
            plan = ot.sinkhorn(*weights, c, self.entropy, method=method, warn=False)
        else:
            c = np.minimum(c, FAR * self.entropy)
            plan = ot.unbalanced.sinkhorn_unbalanced(*weights, c, self.entropy, self.marginals)
        return cost.new_tensor(plan)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        fs, ft = self.features_of_both(source, target)
        label = losses.cross_entropy(self.head(fs), source.y, label_smoothing=self.label_smoothing)
        distance, transfer = losses.joint_transport_costs(fs, ft, source.y, self.head(ft))
        plan = self.plan(self.alpha * distance + self.lambda_t * transfer)
        return {
            "label": label,
            "distance": self.alpha * (plan * distance).sum(),
            "transfer": self.lambda_t * (plan * transfer).sum(),
        }
