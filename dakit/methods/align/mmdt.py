"""MMDT: one linear map of the target and a large-margin classifier, learned together.

Support vector machines are trained on source rows and mapped target rows, and the map is chosen such that the labelled
target rows end up on the right side of them. Classes share the map, so it also serves classes without target labels.

Setting: labelled source and a few labelled target rows (supervised domain adaptation); other target rows are not used.

Assumes: a linear (affine) map takes the target's classes onto the source's, and a linear classifier separates them.

Objective: W of shape (d, d + 1), x~ = (x, 1), for each class k a hyperplane (θ_k, b_k) and labels y_ik = ±1,

    min over W, θ, b of  1/2 ||W||²_F + 1/2 Σ_k ||θ_k||²
          + C_s Σ_ik max(0, 1 - y_ik (θ_k' xs_i + b_k)) + C_t Σ_ik max(0, 1 - y_ik (θ_k' W x~t_i + b_k)),

in turns from W = (I, 0): given W, one machine a class; given the machines, a machine in the space of W, whose dual has
one variable for each labelled target row and class. Two classes need one machine.

Fails when: the target labels do not span the directions that must be mapped (W is 0 across them, the penalty sees to
that), when features are not scaled alike, and when target labels are so few that C_t fits them exactly.

Paper: Hoffman, Rodner, Donahue, Darrell, Saenko, Efficient Learning of Domain-Invariant Image Representations,
ICLR 2013, arXiv:1301.3224.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.svm import SVC

from dakit.methods.parameters import check_int, check_real
from dakit.methods.target_labels import FewTargetLabels

__all__ = ["MMDT", "hinge_dual"]

# Features of very unequal scale can keep the solver busy for ever; past this it warns.
MOST_STEPS = 200_000


class MMDT(FewTargetLabels):
    """Max-margin domain transforms.

    ``fit`` reads the labels of target rows, so ``sample_domain`` must say which rows those are; unlabelled ones (-1,
    NaN, None) are left out. ``transform`` maps target rows and leaves source rows alone.

    Parameters
    ----------
    c_source : float > 0
        C_s; 0.05 in the paper's experiments with features of length 1.
    c_target : float > 0
        C_t; 1 there.
    rounds : int
        Turns at most; they end when the objective falls by less than a part in 10⁵.

    Attributes
    ----------
    map_ : array of shape (d, d + 1)
        W.
    objective_ : array of shape (rounds done,)
    classes_, estimator_

    Examples
    --------
    >>> X = [[-1.0, 0.0], [-2.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, -1.0], [0.0, 1.0], [0.0, 2.0]]
    >>> y = [0, 0, 1, 1, 0, 1, -1]  # the target is the source turned by 90 degrees
    >>> adapted = MMDT(c_source=1.0).fit(X, y, sample_domain=[1, 1, 1, 1, -1, -1, -1])
    >>> adapted.predict([[0.3, -3.0], [0.3, 3.0]]).tolist()
    [0, 1]
    """

    def __init__(self, *, c_source: float = 0.05, c_target: float = 1.0, rounds: int = 10) -> None:
        self.c_source = c_source
        self.c_target = c_target
        self.rounds = rounds

    def _default_classifier(self):
        return Machines()

    def _fit(self, X, y, sample_domain):
        xs, ys, xt, where, labelled, yt = self._split_labelled(X, y, sample_domain)
        self.estimator_ = self._turns(xs, ys, xt[labelled], yt)
        return xs, self._map(xt, False), where

    def _turns(self, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, yt: np.ndarray) -> Machines:
        cs, ct = (check_real(c, getattr(self, c), open_low=True) for c in ("c_source", "c_target"))
        rounds, k = check_int("rounds", self.rounds, 1), len(self.classes_)
        signs_s, signs_t = (2.0 * np.eye(k)[y] - 1 if k > 2 else 2.0 * y[:, None] - 1 for y in (ys, yt))
        costs = np.repeat([cs, ct], [len(xs), len(xt)])
        ones = _with_one(xt)
        self.map_ = np.eye(xs.shape[1], xs.shape[1] + 1)
        objective, kept = [], None
        for _ in range(rounds):
            z = np.concatenate([xs, ones @ self.map_.T])
            machines = Machines().fit(z, np.concatenate([signs_s, signs_t]), costs)
            theta, b = machines.theta, machines.b
            gram = np.kron(ones @ ones.T, theta @ theta.T) * np.outer(signs_t, signs_t)
            a = hinge_dual(gram, ct, (1 - signs_t * b).ravel()).reshape(signs_t.shape)
            w = theta.T @ (a * signs_t).T @ ones
            losses = [
                c * np.maximum(0, 1 - signs * machines.scores(z)).sum()
                for c, signs, z in ((cs, signs_s, xs), (ct, signs_t, ones @ w.T))
            ]
            value = float(((w**2).sum() + (theta**2).sum()) / 2 + sum(losses))
            fall = objective[-1] - value if objective else np.inf
            if fall > 0:  # rounding in either half may lift it a little at the end
                objective.append(value)
                self.map_, kept = w, machines
            if fall <= 1e-5 * objective[-1]:
                break
        self.objective_ = np.array(objective)
        return kept

    def _map(self, x, source):
        return x if source else _with_one(x) @ self.map_.T


class Machines(BaseEstimator):
    """One linear support vector machine for each class, one for two classes; each row has its own C."""

    def fit(self, x: np.ndarray, signs: np.ndarray, costs: np.ndarray) -> Machines:
        machines = [
            SVC(kernel="linear", tol=1e-4, max_iter=MOST_STEPS).fit(x, s, sample_weight=costs)
            for s in signs.T
        ]
        self.theta = np.concatenate([machine.coef_ for machine in machines])
        self.b = np.concatenate([machine.intercept_ for machine in machines])
        return self

    def scores(self, x: np.ndarray) -> np.ndarray:
        return x @ self.theta.T + self.b

    def predict(self, x: np.ndarray) -> np.ndarray:
        scores = self.scores(x)
        return scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(int)


def hinge_dual(gram: np.ndarray, cost: float, margins: np.ndarray) -> np.ndarray:
    """Dual of min over w of 1/2 ||w||² + C Σ_i max(0, r_i - w' z_i).

    Maximises Σ_i r_i a_i - 1/2 a' G a over 0 <= a_i <= C, with G = Z Z'; then w = Z' a.

    Parameters
    ----------
    gram : array of shape (n, n)
        G, labels multiplied in.
    cost : float
        C.
    margins : array of shape (n,)
        r.

    Examples
    --------
    >>> hinge_dual(np.array([[4.0]]), 10.0, np.array([1.0])).round(
    ...     4
    ... ).tolist()  # one row at distance 2: w = 2 a = 1/2
    [0.25]
    """

    def negative(a):
        times = gram @ a
        return a @ times / 2 - margins @ a, times - margins

    options = {"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-13, "gtol": 1e-7, "maxcor": 30}
    bounds = [(0, cost)] * len(gram)
    return minimize(
        negative, np.zeros(len(gram)), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.hstack([x, np.ones((len(x), 1))])
