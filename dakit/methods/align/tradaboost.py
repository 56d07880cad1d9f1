"""TrAdaBoost: boost on a few target labels, and drop the source rows that contradict them.

All labelled rows of both domains train a weak learner together. As in AdaBoost, labelled target rows that it gets
wrong gain weight; source rows that it gets wrong lose weight, for they seem to belong to another law.

Setting: labelled source and a few labelled target rows (supervised domain adaptation); other target rows are not used.

Assumes: part of the source follows the target's law, and there are enough labelled target rows to tell which part.

Objective: weights v of the n source and m labelled target rows, h_t the learner trained with them in round t of N,

    e_t = Σ_target v_i [h_t(x_i) ≠ y_i] / Σ_target v_i,    β_t = e_t / (1 - e_t),    β = 1 / (1 + sqrt(2 ln n / N))

    source v_i <- v_i β^[h_t(x_i) ≠ y_i],    target v_i <- v_i β_t^-[h_t(x_i) ≠ y_i],

    and the prediction is the class with the most votes ln(1/β_t) over the rounds from N/2 on.

The paper has two classes and leaves the first weights open. Here both domains start with half of the weight, spread
evenly, so that a few target rows are heard beside many of the source; with more classes the same updates and votes are
used; and e_t is held within [10⁻⁶, 0.499]: a learner no better than chance on the target gets next to no vote.

Fails when: the target labels are very few (e_t is 0 from the start, and nothing is ever learned about the source),
when they are unrepresentative, and when the whole source misleads: its weights fall together, slowly.

Paper: Dai, Yang, Xue, Yu, Boosting for Transfer Learning, ICML 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.svm import SVC
from sklearn.utils.validation import has_fit_parameter

from dakit.methods.parameters import check_int
from dakit.methods.target_labels import FewTargetLabels

__all__ = ["TrAdaBoost"]

LEAST_ERROR, LARGEST_ERROR = 1e-6, 0.499


class TrAdaBoost(FewTargetLabels):
    """Boosting for transfer.

    ``fit`` reads the labels of target rows, so ``sample_domain`` must say which rows those are; unlabelled ones (-1,
    NaN, None) are left out.

    Parameters
    ----------
    rounds : int
        N.
    estimator : classifier, optional
        The learner; must take ``sample_weight`` in ``fit``. By default the paper's linear support vector machine.

    Attributes
    ----------
    weights_ : array of shape (n + m,)
        v after the last round, source rows first, in sum 1.
    errors_ : array of shape (rounds,)
        e_t.
    classes_, estimator_

    Examples
    --------
    >>> X = [[0.0], [1.0], [2.0], [3.0], [0.0], [1.0], [2.0], [3.0]]
    >>> y = [0, 0, 1, 1, 0, 1, 1, -1]  # the source has its threshold at 1.5, the target below 1
    >>> adapted = TrAdaBoost(rounds=20).fit(X, y, sample_domain=[1, 1, 1, 1, -1, -1, -1, -1])
    >>> adapted.predict([[0.1], [0.9]]).tolist()
    [0, 1]
    >>> int(adapted.weights_[:4].argmin())  # the source row that contradicts the target
    1
    """

    def __init__(self, *, rounds: int = 20, estimator: Any = None) -> None:
        self.rounds = rounds
        self.estimator = estimator

    def _default_classifier(self):
        # Features of very unequal scale can keep the solver busy for ever; past this it warns.
        return SVC(kernel="linear", max_iter=1_000_000)

    def _fit(self, X, y, sample_domain):
        xs, ys, xt, where, labelled, yt = self._split_labelled(X, y, sample_domain)
        self.estimator_ = self._boost(xs, ys, xt[labelled], yt)
        return xs, xt, where

    def _boost(self, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, yt: np.ndarray) -> Vote:
        rounds, n = check_int("rounds", self.rounds, 1), len(xs)
        if not has_fit_parameter(self._classifier(), "sample_weight"):
            raise TypeError(
                f"{type(self._classifier()).__name__} takes no sample_weight in fit; give one that does"
            )
        x, y = np.concatenate([xs, xt]), np.concatenate([ys, yt])
        v = np.repeat([0.5 / n, 0.5 / len(xt)], [n, len(xt)])
        beta = 1 / (1 + np.sqrt(2 * np.log(n) / rounds))
        learners, errors, votes = [], [], []
        for _ in range(rounds):
            # In mean 1: the penalty of the learner then weighs as it does without weights.
            learner = self._classifier().fit(x, y, sample_weight=v * len(v))
            wrong = learner.predict(x) != y
            error = float(v[n:] @ wrong[n:] / v[n:].sum())
            errors.append(error)
            error = min(max(error, LEAST_ERROR), LARGEST_ERROR)
            learners.append(learner)
            votes.append(np.log((1 - error) / error))
            v = v * np.where(wrong, np.where(np.arange(len(v)) < n, beta, (1 - error) / error), 1.0)
            v = np.maximum(v / v.sum(), 1e-300)
        self.weights_, self.errors_ = v / v.sum(), np.array(errors)
        second_half = slice(-(-rounds // 2) - 1 if rounds > 1 else 0, None)
        return Vote(learners[second_half], np.array(votes[second_half]), len(self.classes_))


class Vote:
    """Learners that vote with weights."""

    def __init__(self, learners: list, weights: np.ndarray, num_classes: int) -> None:
        self.learners, self.weights, self.num_classes = learners, weights, num_classes

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        """Share of the votes, shape (rows, k)."""
        shares = np.zeros((len(x), self.num_classes))
        for learner, weight in zip(self.learners, self.weights / self.weights.sum()):
            shares[np.arange(len(x)), learner.predict(x)] += weight
        return shares

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.decision_function(x).argmax(1)
