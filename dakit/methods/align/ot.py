"""OT: move the source onto the target with least effort, and learn there.

An optimal transport plan says how much of each source row's mass goes to each target row. A source row moves to the
mean of the rows it is sent to (the barycentric map), and a classifier is trained on the moved rows with their labels.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: the target came about by a map of the inputs that moves points as little as possible, with p(y | x) carried
along, and the same class proportions: mass is matched to mass.

Objective: with costs C of shape (n, m), C_ij = ||xs_i - xt_j||² over their median,

    min over γ >= 0 with γ 1 = 1/n, γ' 1 = 1/m of   Σ_ij γ_ij C_ij + Ω(γ),    then   xs_i -> n Σ_j γ_ij xt_j.

    emd        Ω = 0
    sinkhorn   Ω = ε Σ_ij γ_ij log γ_ij
    lpl1       sinkhorn's + η Σ_j Σ_c (Σ_{i in c} γ_ij)^(1/2): few classes send mass to one target row
    l1l2       sinkhorn's + η Σ_j Σ_c ||γ_{c, j}||_2, the convex relative of the same wish
    laplace    Ω = η (α tr(xt' γ' L_s γ xt) + (1 - α) tr(xs' γ L_t γ' xs)): neighbours land near each other

Rows that were not there at fitting move as their nearest source row did.

Fails when: class proportions differ (mass of one class must then go to another), when the shift is larger than the
distance between classes, so that the cheapest plan matches the wrong ones, and in many dimensions with few rows. A
large ε sends every row to the target's mean. The plan takes n m memory, l1l2 k times as much for k classes.

Paper: Courty, Flamary, Tuia, Rakotomamonjy, Optimal Transport for Domain Adaptation, PAMI 39 (2017),
arXiv:1507.00504.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from dakit.methods.parameters import check_choice, check_int, check_real
from dakit.methods.shallow import DomainAdapter

__all__ = ["OT"]

PLANS = ("emd", "sinkhorn", "lpl1", "l1l2", "laplace")
# Largest cost over epsilon at which exp(-cost/epsilon) keeps its digits in float64; beyond, logarithms are needed.
KERNEL_REACH = 500.0


class OT(DomainAdapter):
    """Optimal transport of the source onto the target.

    Parameters
    ----------
    plan : {"emd", "sinkhorn", "lpl1", "l1l2", "laplace"}
        What is added to the cost, as the formulas above say. Only ``lpl1`` and ``l1l2`` look at source labels.
    epsilon : float > 0
        ε of ``sinkhorn``, ``lpl1`` and ``l1l2``, in units of the median cost.
    eta : float
        η of ``lpl1``, ``l1l2`` and ``laplace``, in the same units. 0 takes the term away.
    alpha : float in [0, 1]
        Of ``laplace``: 1 keeps source neighbours together, 0 target neighbours.
    neighbours : int
        Of ``laplace``: how many make up the graphs.
    sinkhorn_steps : int
        Steps of Sinkhorn's iteration at most; a warning says when they did not do.
    estimator : classifier, optional
        Trained on the moved source. By default 1-nearest-neighbour, as in the paper.

    Attributes
    ----------
    plan_ : array of shape (n, m)
        γ.
    cost_ : float
        Σ_ij γ_ij ||xs_i - xt_j||², in squared units of the features.
    marginal_error_ : float
        ``Σ_i |Σ_j γ_ij - 1/n| + Σ_j |Σ_i γ_ij - 1/m|``.
    classes_, estimator_

    Examples
    --------
    >>> xs, xt = np.array([[0.0], [1.0]]), np.array([[11.0], [10.0]])
    >>> adapted = OT(plan="emd").fit_domains(xs, ["low", "high"], xt)
    >>> adapted.plan_.tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    >>> adapted.transform([[0.25]], sample_domain=[1]).tolist()  # moves as the row at 0 does
    [[10.25]]
    >>> [str(label) for label in adapted.predict(xt)]
    ['high', 'low']
    """

    def __init__(
        self,
        *,
        plan: str = "sinkhorn",
        epsilon: float = 0.1,
        eta: float = 0.1,
        alpha: float = 0.5,
        neighbours: int = 3,
        sinkhorn_steps: int = 1000,
        estimator: Any = None,
    ) -> None:
        self.plan = plan
        self.epsilon = epsilon
        self.eta = eta
        self.alpha = alpha
        self.neighbours = neighbours
        self.sinkhorn_steps = sinkhorn_steps
        self.estimator = estimator

    def _align(self, xs, ys, xt):
        self._check(min(len(xs), len(xt)))
        cost = cdist(xs, xt, "sqeuclidean")
        unit = float(np.median(cost) or cost.mean()) or 1.0
        self.plan_ = self._solve(xs / np.sqrt(unit), ys, xt / np.sqrt(unit), cost / unit)
        if not np.isfinite(self.plan_).all() or not (self.plan_.sum(1) > 0).all():
            raise ValueError(
                f"the plan {self.plan!r} underflowed: some costs are too large beside epsilon (now {self.epsilon:g}); "
                "raise it, lower eta, or remove outliers"
            )
        sums = self.plan_.sum(1), self.plan_.sum(0)
        self.marginal_error_ = float(sum(np.abs(s - 1 / len(s)).sum() for s in sums))
        if self.marginal_error_ > 1e-3:
            warnings.warn(
                f"the plan misses its marginals by {self.marginal_error_:.2g} in all: Sinkhorn's iteration stopped "
                "early; raise sinkhorn_steps or epsilon",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.cost_ = float((self.plan_ * cost).sum())
        self._xs = xs
        # A row that a plan leaves a little short of mass still moves to a mean, not to a multiple of it.
        moved = (self.plan_ @ xt) / self.plan_.sum(1, keepdims=True)
        self._moves = moved - xs
        return moved, xt

    def _map(self, x, source):
        if not source:
            return x
        return x + self._moves[_nearest(x, self._xs)]

    def _solve(self, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, cost: np.ndarray) -> np.ndarray:
        import ot

        n, m = cost.shape
        weights = np.full(n, 1 / n), np.full(m, 1 / m)
        if self.plan == "emd" or (self.plan == "laplace" and self.eta == 0):
            return ot.emd(*weights, cost, numItermax=10_000_000)
        if self.plan == "laplace":
            options = {"sim": "knn", "sim_param": int(self.neighbours), "eta": self.eta, "alpha": self.alpha}
            return ot.da.emd_laplace(*weights, xs, xt, cost, numInnerItermax=10_000_000, **options)
        # POT warns of overflow and slow convergence; what came out is looked at instead.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if self.plan == "sinkhorn" or self.eta == 0:
                method = "sinkhorn" if cost.max() / self.epsilon <= KERNEL_REACH else "sinkhorn_log"
                return ot.sinkhorn(
                    *weights, cost, self.epsilon, method=method, numItermax=self.sinkhorn_steps
                )
            solve = ot.da.sinkhorn_lpl1_mm if self.plan == "lpl1" else ot.da.sinkhorn_l1l2_gl
            options = {"eta": self.eta, "numInnerItermax": self.sinkhorn_steps}
            return solve(weights[0], ys, weights[1], cost, self.epsilon, **options)

    def _check(self, smaller: int) -> None:
        check_choice("plan", self.plan, PLANS)
        check_real("epsilon", self.epsilon, open_low=True)
        check_real("eta", self.eta)
        check_real("alpha", self.alpha, 0, 1)
        check_int("sinkhorn_steps", self.sinkhorn_steps, 1)
        if self.plan == "laplace":
            check_int("neighbours", self.neighbours, 1, smaller - 1)


def _nearest(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The row of ``of`` nearest to each row of ``x``, in blocks."""
    rows = max(1, 10_000_000 // len(of))
    return np.concatenate(
        [cdist(x[i : i + rows], of, "sqeuclidean").argmin(1) for i in range(0, len(x), rows)]
    )
