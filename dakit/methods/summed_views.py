"""A classifier whose rows are several views of one thing, side by side: it adds up their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

__all__ = ["SummedViews"]


class SummedViews(ClassifierMixin, BaseEstimator):
    """Train on every view as a row of its own; at test, add the scores of the views and take the largest.

        score_k(x) = Σ_v  f_k(x_v)

    Parameters
    ----------
    estimator : classifier with ``decision_function``
    views : int
        v. Rows have length v d: view 1, view 2, ...

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> x = [[-1.0, -0.9], [-0.8, -1.0], [1.0, 0.9], [0.8, 1.0]]
    >>> SummedViews(LinearSVC(), views=2).fit(x, [0, 0, 1, 1]).predict([[-0.1, 0.9]]).tolist()
    [1]
    """

    def __init__(self, estimator: Any, *, views: int = 16) -> None:
        self.estimator = estimator
        self.views = views

    def fit(self, X: np.ndarray, y: np.ndarray) -> SummedViews:
        """Rows (n, v d), one label a row."""
        if not hasattr(self.estimator, "decision_function"):
            raise ValueError(
                f"summing scores needs a classifier with decision_function, {type(self.estimator).__name__} has none"
            )
        self.estimator_ = clone(self.estimator).fit(self._apart(X), np.repeat(y, self.views))
        self.classes_ = self.estimator_.classes_
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """(n, k), or (n,) for two classes."""
        check_is_fitted(self)
        scores = self.estimator_.decision_function(self._apart(X))
        return scores.reshape(len(X), self.views, *scores.shape[1:]).sum(1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        scores = self.decision_function(X)
        return self.classes_[scores.argmax(1) if scores.ndim > 1 else (scores > 0).astype(int)]

    def _apart(self, X: np.ndarray) -> np.ndarray:
        x = np.asarray(X)
        return x.reshape(len(x) * self.views, x.shape[1] // self.views)
