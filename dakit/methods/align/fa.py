"""Feature augmentation: three copies of the features, one for both domains and one for each.

"Frustratingly easy": source rows become (x, x, 0), target rows (x, 0, x). A linear classifier of these learns weights
that hold in both domains and corrections for each, and its regulariser decides how much is shared.

Setting: labelled source and labelled target (supervised domain adaptation): this method needs some target labels.

Assumes: most of what separates the classes is common to both domains, and target labels are few but right.

Objective: any classifier of the augmented rows (n + m_labelled, 3 d). For a linear one with weights w = (w_0, w_S, w_T)
and loss l,

    min over w of  sum_S l((w_0 + w_S)'x, y) + sum_T l((w_0 + w_T)'x, y) + λ (|w_0|² + |w_S|² + |w_T|²).

Fails when: there are no target labels (it refuses) or so many that a classifier of the target alone is better, and when
source and target are alike, for then pooling them is as good with fewer weights.

Paper: Daumé III, Frustratingly Easy Domain Adaptation, ACL 2007, arXiv:0907.1815.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from dakit.methods.rows import as_array, missing_labels
from dakit.methods.shallow import DomainAdapter

__all__ = ["FeatureAugmentation"]


class FeatureAugmentation(DomainAdapter):
    """Feature augmentation (EasyAdapt). Reads target labels, where all other shallow methods hide them.

    Target rows without a label (-1, NaN, None) are left out; ``sample_domain`` is always required.

    Parameters
    ----------
    estimator : classifier, optional
        Trained on augmented rows of both domains. By default logistic regression.

    Attributes
    ----------
    classes_, estimator_
    n_target_labels_ : int
        How many target labels were used.

    Examples
    --------
    >>> import numpy as np
    >>> xs, ys = np.array([[-2.0], [-1.0], [1.0], [2.0]]), [0, 0, 1, 1]
    >>> xt = np.array([[3.0], [4.0], [6.0], [7.0]])
    >>> adapted = FeatureAugmentation().fit_domains(xs, ys, xt, [0, -1, -1, 1])
    >>> adapted.n_target_labels_
    2
    >>> adapted.transform([[3.0]]).tolist()
    [[3.0, 0.0, 3.0]]
    """

    needs_target_labels = True

    def __init__(self, *, estimator: Any = None) -> None:
        self.estimator = estimator

    def _default_classifier(self):
        return LogisticRegression(max_iter=1000)

    def fit(self, X: Any, y: Any, sample_domain: Any = None) -> FeatureAugmentation:
        """Learn from labelled rows of both domains.

        Parameters
        ----------
        X : array or tensor of shape (n + m, d)
            Rows of both domains, in any order.
        y : array of shape (n + m,)
            Labels of the source rows and of some target rows.
        sample_domain : array of shape (n + m,)
            Positive for source rows, negative for target rows.

        Raises
        ------
        ValueError
            If ``sample_domain`` is missing, no target row has a label, or a label occurs in the target alone.
        """
        return super().fit(X, y, sample_domain)

    def fit_domains(self, xs: Any, ys: Any, xt: Any, yt: Any = None) -> FeatureAugmentation:
        """:meth:`fit` for domains in arrays of their own: (n, d) with (n,), and (m, d) with (m,)."""
        if yt is None:
            raise ValueError("feature augmentation needs target labels: give yt, -1 where unknown")
        xs, ys, xt, yt = map(as_array, (xs, ys, xt, yt))
        if yt.shape != (len(xt),):
            raise ValueError(f"yt must hold one entry per target row, shape ({len(xt)},), got {yt.shape}")
        self._check_domains(xs, ys, xt)
        domain = np.repeat([1, -1], [len(xs), len(xt)])
        return self.fit(np.concatenate([xs, xt]), np.concatenate([ys, yt]), domain)

    def _fit(self, X, y, sample_domain):
        if sample_domain is None and y is not None:
            raise ValueError("feature augmentation needs sample_domain: target rows have labels here as well")
        xs, ys, xt, where = self._split(X, y, sample_domain)
        yt = as_array(y).reshape(len(where))[~where]
        known = ~missing_labels(yt)
        if -1 in self.classes_.tolist():
            known = np.ones(len(yt), bool)  # labels -1 and 1
        if not known.any():
            raise ValueError("no target row has a label; feature augmentation needs some")
        index = {label: i for i, label in enumerate(self.classes_.tolist())}
        strange = sorted({str(label) for label in yt[known].tolist() if label not in index})
        if strange:
            raise ValueError(f"labels of target rows that the source does not have: {', '.join(strange)}")
        self.n_target_labels_ = int(known.sum())
        zs, zt = self._map(xs, True), self._map(xt, False)
        y = np.concatenate([ys, [index[label] for label in yt[known].tolist()]])
        self.estimator_ = self._classifier().fit(np.concatenate([zs, zt[known]]), y)
        return zs, zt, where

    def _map(self, x, source):
        nothing = np.zeros_like(x)
        return np.hstack([x, x, nothing] if source else [x, nothing, x])
