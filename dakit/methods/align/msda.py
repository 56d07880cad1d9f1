"""mSDA: marginalised stacked denoising autoencoders, features that guess a word from those around it.

Each layer is the linear map that best restores examples of both domains from copies in which every feature is set to
0 with probability p. The expectation over all such copies has a closed form, so nothing is sampled or trained. A tanh
follows, the next layer learns from its output, and the classifier sees the input beside all layers. A feature that one
domain lacks is filled in from features that go with it in the other.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: features that occur together in either domain mean the same to the label; made for word counts, where a 0 is
an absence.

Objective: x of both domains, N = n + m rows of shape (d,) with a 1 appended that is never corrupted; x̃ its corrupted
copy; W of shape (d, d + 1), one for each layer:

    min over W of  Σ_i E ||x_i - W x̃_i||²,   solved by  W = P Q^-1,   with S = Σ_i x_i x_i' and q = (1-p, ..., 1-p, 1)

    P_ij = S_ij q_j,   Q_ij = S_ij q_i q_j for i ≠ j,   Q_ii = S_ii q_i,   and ridge I added to Q;   h = tanh(W x).

For large d the paper restores only the r most frequent features ("pivots"), from K random parts of the features, each
with a map of its own, and averages: h = tanh(1/K Σ_k W_k x_k), shape (r,). Later layers are (r, r + 1).

Fails when: features are far from 0 in most examples (setting them to 0 is then no mild corruption; scale counts, and
do not centre them), when the domains share too few features for co-occurrence to carry over, and when the domains
differ by the label's meaning.

Paper: Chen, Xu, Weinberger, Sha, Marginalized Denoising Autoencoders for Domain Adaptation, ICML 2012,
arXiv:1206.4683.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.svm import SVC
from sklearn.utils import check_random_state

from dakit.methods.parameters import check_int, check_real
from dakit.methods.shallow import DomainAdapter

__all__ = ["MSDA", "denoising_map"]


def denoising_map(
    x: np.ndarray,
    *,
    noise: float = 0.5,
    ridge: float = 1e-5,
    restored: np.ndarray | None = None,
    seen: np.ndarray | None = None,
) -> np.ndarray:
    """W, which restores features from corrupted ones with the smallest expected squared error.

    Parameters
    ----------
    x : array of shape (n, d)
        Its precision, float32 or float64, is that of the arithmetic.
    noise : float in [0, 1)
        p, the probability with which a feature is set to 0.
    ridge : float
        Added to the diagonal of Q, but for the constant.
    restored, seen : arrays of feature numbers, optional
        What is restored, and from what; by default all features from all.

    Returns
    -------
    array of shape (restored, seen + 1)
        The last column belongs to the constant 1.

    Examples
    --------
    >>> x = np.array([[2.0, 2.0], [-2.0, -2.0]])  # two copies of one feature
    >>> denoising_map(x, ridge=0.0).round(4).tolist()  # either is guessed from both
    [[0.6667, 0.6667, 0.0], [0.6667, 0.6667, 0.0]]
    """
    inputs = x if seen is None else x[:, seen]
    inputs = np.hstack([inputs, np.ones((len(x), 1), dtype=x.dtype)])
    q = np.full(inputs.shape[1], 1 - noise, dtype=x.dtype)
    q[-1] = 1
    s = inputs.T @ inputs
    if seen is None and restored is None:
        p = s[:-1] * q
    else:
        p = ((x if restored is None else x[:, restored]).T @ inputs) * q
    diagonal = s.diagonal() * q
    diagonal[:-1] += np.asarray(ridge, x.dtype)
    s *= q
    s *= q[:, None]
    np.fill_diagonal(s, diagonal)
    try:
        return cho_solve(cho_factor(s, lower=True, overwrite_a=True), p.T, overwrite_b=True).T
    except LinAlgError:
        raise ValueError(
            f"the features depend on each other so much that the map is not unique; raise ridge (now {ridge:g}) "
            f"or noise (now {noise:g})"
        ) from None


class MSDA(DomainAdapter):
    """Marginalised stacked denoising autoencoder.

    Parameters
    ----------
    noise : float in [0, 1)
        p, the probability with which a feature is set to 0. The paper chooses it by cross-validation on the source.
    layers : int
        5 in the paper.
    pivots : int, optional
        r: restore only the r most frequent features (those that are not 0 in the most rows of both domains), from
        random parts of r features each. By default all are restored from all, which takes O(d³) time a layer.
    ridge : float
        Added to the diagonal of Q.
    estimator : classifier, optional
        Trained on input and layers side by side. By default the paper's linear support vector machine.
    random_state : int or RandomState, optional
        How the features fall into parts; used with ``pivots`` only.

    Attributes
    ----------
    maps_ : list of arrays
        W of each layer, the first one widened to all features and averaged over the parts where there are pivots.
    pivots_ : array of shape (r,), or None
        The features that the first layer restores.
    classes_, estimator_

    Examples
    --------
    >>> xs = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    >>> xt = np.array(
    ...     [[0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]
    ... )  # feature 3 goes with 2, as 0 did
    >>> adapted = MSDA().fit_domains(xs, ["good", "good", "bad", "bad"], xt)
    >>> str(adapted.predict([[0, 0, 0, 1]])[0])  # a word the source never has; one layer alone says "bad"
    'good'
    """

    def __init__(
        self,
        *,
        noise: float = 0.5,
        layers: int = 5,
        pivots: int | None = None,
        ridge: float = 1e-5,
        estimator: Any = None,
        random_state: Any = None,
    ) -> None:
        self.noise = noise
        self.layers = layers
        self.pivots = pivots
        self.ridge = ridge
        self.estimator = estimator
        self.random_state = random_state

    def _default_classifier(self):
        # Features of very unequal scale can keep the solver busy for ever; past this it warns.
        return SVC(kernel="linear", max_iter=1_000_000)

    def _align(self, xs, ys, xt):
        noise = check_real("noise", self.noise, 0, 1)
        if noise == 1:
            raise ValueError("noise must be less than 1: at 1 nothing is left to restore features from")
        ridge = check_real("ridge", self.ridge)
        layers = check_int("layers", self.layers, 1)
        x = np.concatenate([xs, xt])
        self.pivots_, self.maps_, stack = None, [], [x]
        if self.pivots is not None:
            r = check_int("pivots", self.pivots, 1, x.shape[1])
            frequency = np.count_nonzero(x, axis=0)
            self.pivots_ = np.sort(np.argsort(-frequency, kind="stable")[:r])
        for layer in range(layers):
            if layer == 0 and self.pivots_ is not None:
                w = _from_parts(x, self.pivots_, noise, ridge, check_random_state(self.random_state))
            else:
                w = denoising_map(stack[-1], noise=noise, ridge=ridge)
            self.maps_.append(w)
            stack.append(hidden(stack[-1], w))
        z = np.hstack(stack)
        return z[: len(xs)], z[len(xs) :]

    def _map(self, x, source):
        stack = [x]
        for w in self.maps_:
            stack.append(hidden(stack[-1], w))
        return np.hstack(stack)


def hidden(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """tanh(W x) for rows: (n, d) and (r, d + 1) to (n, r)."""
    return np.tanh(x @ w[:, :-1].T + w[:, -1])


def _from_parts(
    x: np.ndarray, pivots: np.ndarray, noise: float, ridge: float, rng: np.random.RandomState
) -> np.ndarray:
    """The mean of the maps from random parts of the features to the pivots, as one (r, d + 1) matrix."""
    d = x.shape[1]
    parts = np.array_split(rng.permutation(d), -(-d // len(pivots)))
    w = np.zeros((len(pivots), d + 1))
    for part in parts:
        w[:, np.append(part, d)] += denoising_map(x, noise=noise, ridge=ridge, restored=pivots, seen=part)
    return w / len(parts)
