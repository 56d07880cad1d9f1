"""JDOT: transport features and labels jointly, and learn the classifier with the plan.

Plain optimal transport decides by features alone which source row a target row belongs to. JDOT also asks whether the
classifier agrees with that source row's label, and trains the classifier on the labels that the plan brings over. Both
take turns, each lowering the same objective.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: some cheap transport moves the joint law of features and labels of the source onto the target's, and similar
class proportions.

Objective: with Y of shape (n, k), 1 at the label and -1 elsewhere, f(x) in R^k, and D_ij = ||xs_i - xt_j||² over its
largest value,

    min over f, and γ >= 0 with γ 1 = 1/n, γ' 1 = 1/m of   Σ_ij γ_ij (α D_ij + L(Y_i, f(xt_j))) + λ ||f||²

    least_squares   L = Σ_c (Y_ic - f_c)²            hinge   L = Σ_c max(0, 1 - Y_ic f_c)²

Given f this is a linear program in γ; given γ a regression on the labels that each target row receives. f = w'φ(x) + b,
linear or with a Gaussian kernel centred at the target rows, ||f||² = Σ_c ||w_c||².

Fails when: class proportions differ (γ has to hand out the source's labels in full), when the first plan, made from
features alone, is wrong for most rows (the turns then settle at a poor solution nearby), and when λ is so small that f
can agree with any plan. The plan takes n m memory.

Paper: Courty, Flamary, Habrard, Rakotomamonjy, Joint Distribution Optimal Transportation for Domain Adaptation,
NeurIPS 2017, arXiv:1705.08848.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator

from dakit.methods.parameters import check_choice, check_int, check_real
from dakit.methods.shallow import DomainAdapter

__all__ = ["JDOT"]


class JDOT(DomainAdapter):
    """Joint distribution optimal transport.

    Parameters
    ----------
    loss : {"hinge", "least_squares"}
    kernel : {"rbf", "linear"}
    alpha : float
        α, the weight of the features in the cost; their largest squared distance counts as 1, as in the paper.
    lambda_ : float > 0
        λ.
    bandwidth : float, optional
        h of the Gaussian kernel exp(-||x - x'||² / h), in squared units of the features. By default the median squared
        distance between rows of the two domains.
    rounds : int
        Turns at most; they end when the objective falls by less than a part in 10⁷.

    Attributes
    ----------
    plan_ : array of shape (n, m)
        γ.
    objective_ : array of shape (rounds done,)
        The objective after each round.
    classes_, estimator_

    Examples
    --------
    >>> xs, ys = np.array([[0.0], [0.2], [1.0], [1.2]]), ["low", "low", "high", "high"]
    >>> xt = xs + 0.7  # the lower target rows lie nearest to the upper source rows
    >>> [str(label) for label in JDOT().fit_domains(xs, ys, xt).predict(xt)]
    ['low', 'low', 'high', 'high']
    """

    def __init__(
        self,
        *,
        loss: str = "hinge",
        kernel: str = "rbf",
        alpha: float = 1.0,
        lambda_: float = 0.01,
        bandwidth: float | None = None,
        rounds: int = 10,
    ) -> None:
        self.loss = loss
        self.kernel = kernel
        self.alpha = alpha
        self.lambda_ = lambda_
        self.bandwidth = bandwidth
        self.rounds = rounds

    def _default_classifier(self):
        return SoftLabelRegression()

    def _train(self, zs, ys, zt):
        import ot

        check_choice("loss", self.loss, ("hinge", "least_squares"))
        check_choice("kernel", self.kernel, ("rbf", "linear"))
        alpha, rounds = check_real("alpha", self.alpha), check_int("rounds", self.rounds, 1)
        check_real("lambda_", self.lambda_, open_low=True)
        distances = cdist(zs, zt, "sqeuclidean")
        bandwidth = float(np.median(distances)) or 1.0
        if self.bandwidth is not None:
            bandwidth = check_real("bandwidth", self.bandwidth, open_low=True)
        n, m = distances.shape
        weights = np.full(n, 1 / n), np.full(m, 1 / m)
        apart = alpha * distances / (distances.max() or 1.0)
        one_hot = np.eye(len(self.classes_))[ys]
        model = SoftLabelRegression(self.loss, self.kernel, self.lambda_, bandwidth)
        cost, objective = apart, []
        for _ in range(rounds):
            self.plan_ = ot.emd(*weights, cost, numItermax=10_000_000)
            model.fit(zt, m * self.plan_.T @ one_hot)
            cost = apart + pair_losses(one_hot, model.decision_function(zt), self.loss)
            objective.append(float((self.plan_ * cost).sum()) + model.penalty())
            if len(objective) > 1 and objective[-2] - objective[-1] <= 1e-7 * abs(objective[-2]):
                break
        self.objective_ = np.array(objective)
        return model


def pair_losses(one_hot: np.ndarray, scores: np.ndarray, loss: str) -> np.ndarray:
    """L(Y_i, f(xt_j)) for all pairs: (n, k) and (m, k) to (n, m)."""
    if loss == "least_squares":
        return cdist(2 * one_hot - 1, scores, "sqeuclidean")
    # One of both terms for each pair and class, so that no array has n m k numbers.
    own, other = np.maximum(0, 1 - scores) ** 2, np.maximum(0, 1 + scores) ** 2
    return one_hot @ own.T + (1 - one_hot) @ other.T


class SoftLabelRegression(BaseEstimator):
    """min over w, b of  1/m Σ_j Σ_c [p_jc l(f_c(x_j)) + (1 - p_jc) l(-f_c(x_j))] + λ Σ_c ||w_c||².

    p of shape (m, k) are probabilities of the classes; l(v) = (1 - v)², cut at v = 1 for the hinge. A class has its own
    problem. Newton's method: on the rows where the loss is curved it is a weighted ridge regression.
    """

    def __init__(
        self, loss: str = "hinge", kernel: str = "rbf", lambda_: float = 0.01, bandwidth: float = 1.0
    ) -> None:
        self.loss = loss
        self.kernel = kernel
        self.lambda_ = lambda_
        self.bandwidth = bandwidth

    def fit(self, x: np.ndarray, p: np.ndarray) -> SoftLabelRegression:
        if self.kernel == "rbf":
            values, vectors = np.linalg.eigh(self._kernel(x, x))
            kept = values > 1e-10 * values[-1]
            self._x, self._root = x, vectors[:, kept] / np.sqrt(values[kept])
        phi = self._phi(x)
        self.coef_ = np.stack([self._one_class(phi, column) for column in p.T], axis=1)
        return self

    def _one_class(self, phi: np.ndarray, p: np.ndarray) -> np.ndarray:
        m, d = phi.shape
        ridge = np.full(d, self.lambda_ * m)
        ridge[-1] = 1e-9  # the constant is not penalised, only kept unique

        def value(w):
            f = phi @ w
            return float((self._curves(f, p)[0]).sum() + ridge @ w**2)

        w = np.zeros(d)
        for _ in range(100):
            _, curvature, towards = self._curves(phi @ w, p)
            system = (phi.T * curvature) @ phi
            system[np.diag_indices(d)] += ridge
            step = np.linalg.solve(system, phi.T @ towards) - w
            size, before = 1.0, value(w)
            while value(w + size * step) > before + 1e-12 * abs(before) and size > 1e-6:
                size /= 2
            w = w + size * step
            if before - value(w) <= 1e-12 * abs(before):
                break
        return w

    def _curves(self, f: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loss of each row, half its second derivative h, and h t, where the loss is h (f - t)² + a constant here."""
        up, down = (f < 1, f > -1) if self.loss == "hinge" else (np.ones(len(f)), np.ones(len(f)))
        up, down = p * up, (1 - p) * down
        return up * (1 - f) ** 2 + down * (1 + f) ** 2, up + down, up - down

    def _kernel(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-cdist(x, y, "sqeuclidean") / self.bandwidth)

    def _phi(self, x: np.ndarray) -> np.ndarray:
        phi = x if self.kernel == "linear" else self._kernel(x, self._x) @ self._root
        return np.hstack([phi, np.ones((len(x), 1))])

    def penalty(self) -> float:
        """λ ||f||²."""
        return float(self.lambda_ * (self.coef_[:-1] ** 2).sum())

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """f, (m, d) to (m, k)."""
        return self._phi(x) @ self.coef_

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.decision_function(x).argmax(1)
