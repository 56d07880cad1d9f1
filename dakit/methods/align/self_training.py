"""Self-training: the classifier labels the target rows it is sure of, and learns from them.

Train on the source; give confident target rows the class that the classifier sees in them; train on both; repeat. Every
round labels all target rows anew, so that early mistakes can be undone.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: confidence goes with being right on the target, classes separated by gaps in the target's density, and a
shift small enough (or gradual enough) that the first classifier gets most of the target right.

Objective: p(y|x) the classifier with weights w, ŷ_i = argmax p(y|x_i) for target row i, S_r the rows chosen in round r,

    min over w, in turn with ŷ and S_r, of  sum_S -log p(y_i|x_i) + sum over i in S_r of -log p(ŷ_i|x_i) + reg(w).

"threshold" chooses S_r = {i : p(ŷ_i|x_i) >= threshold}; "balanced" the surest rows of every predicted class, a share
of them that grows to ``share`` in the last round, so that easy classes do not crowd out hard ones.

Fails when: the classifier is sure and wrong: mistakes then confirm themselves, and its own confidence rises all the
while. With nearest neighbours the confidence is always 1: choose a classifier with probabilities.

Paper: Yarowsky, Unsupervised Word Sense Disambiguation Rivaling Supervised Methods, ACL 1995; class balance: Zou, Yu,
Kumar, Wang, Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced Self-Training, ECCV 2018,
arXiv:1810.07911.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from dakit.methods.parameters import check_choice, check_int, check_real
from dakit.methods.shallow import DomainAdapter

__all__ = ["SelfTraining"]


class SelfTraining(DomainAdapter):
    """Self-training with pseudo-labels.

    Parameters
    ----------
    rounds : int
        Trainings after the first. Stops early when neither the chosen rows nor their classes change. 0 is the source
        classifier.
    select : {"threshold", "balanced"}
        How target rows are chosen.
    threshold : float in [0, 1]
        Least probability of the predicted class, for "threshold".
    share : float in (0, 1]
        Share of every predicted class in the last round, for "balanced".
    estimator : classifier with ``predict_proba``, optional
        By default logistic regression.

    Attributes
    ----------
    pseudo_labels_ : array of shape (m,)
        Class of every target row, after the last round.
    n_chosen_ : list of int
        Target rows used in each round.
    classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> xt = np.array([[-1.0], [0.1], [3.0], [4.0]])
    >>> adapted = SelfTraining(threshold=0.7).fit_domains(xs, [0, 0, 1, 1], xt)
    >>> adapted.n_chosen_[0]  # all but the row at 0.1
    3
    """

    def __init__(
        self,
        *,
        rounds: int = 10,
        select: str = "threshold",
        threshold: float = 0.9,
        share: float = 0.5,
        estimator: Any = None,
    ) -> None:
        self.rounds = rounds
        self.select = select
        self.threshold = threshold
        self.share = share
        self.estimator = estimator

    def _default_classifier(self):
        return LogisticRegression(max_iter=1000)

    def _train(self, zs, ys, zt):
        rounds = check_int("rounds", self.rounds, 0)
        check_choice("select", self.select, ("threshold", "balanced"))
        check_real("threshold", self.threshold, 0, 1)
        check_real("share", self.share, 0, 1, open_low=True)
        model = self._classifier()
        if not hasattr(model, "predict_proba"):
            raise ValueError(
                f"self-training needs a classifier with predict_proba, got {type(model).__name__}"
            )
        model = model.fit(zs, ys)
        self.n_chosen_, last = [], None
        for r in range(rounds):
            probability = model.predict_proba(zt)
            pseudo, sure = probability.argmax(1), probability.max(1)
            chosen = self._choose(pseudo, sure, (r + 1) / rounds)
            now = np.where(chosen, pseudo, -1)
            settled = last is not None and (now == last).all()
            # A share that still grows may change the choice later, so only a fixed rule ends early.
            if not chosen.any() or (settled and self.select == "threshold"):
                break
            self.n_chosen_.append(int(chosen.sum()))
            last = now
            model = self._classifier().fit(
                np.concatenate([zs, zt[chosen]]), np.concatenate([ys, pseudo[chosen]])
            )
        self.pseudo_labels_ = self.classes_[model.predict_proba(zt).argmax(1)]
        return model

    def _choose(self, pseudo: np.ndarray, sure: np.ndarray, progress: float) -> np.ndarray:
        if self.select == "threshold":
            return sure >= self.threshold
        chosen = np.zeros(len(pseudo), bool)
        for c in np.unique(pseudo):
            rows = np.flatnonzero(pseudo == c)
            count = int(np.ceil(self.share * progress * len(rows)))
            chosen[rows[np.argsort(-sure[rows], kind="stable")[:count]]] = True
        return chosen
