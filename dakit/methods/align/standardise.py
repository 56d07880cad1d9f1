"""Standardise: give every feature mean 0 and variance 1, in each domain by itself.

The first thing to try: a shift that moves or stretches single features is gone, with no parameter to set. The labels
do not enter.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: every feature is moved and stretched by the domain, and the class proportions are about equal.

Objective: for feature j of a row x of domain D, (x_j - mean_D,j) / sd_D,j, with mean and standard deviation over the
rows (n, d) of that domain.

Fails when: class proportions differ, for then the means should differ too and the classes are moved over one another;
when the shift mixes features (see CORAL, linear_monge); and with few target rows, whose mean is noise.

Paper: Fernando et al., Joint cross-domain classification and subspace learning for unsupervised adaptation, Pattern
Recognition Letters 65 (2015), and many others, use it as preprocessing; it has no paper of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from dakit.methods.parameters import check_choice
from dakit.methods.shallow import DomainAdapter

__all__ = ["Standardise"]


class Standardise(DomainAdapter):
    """Standardisation of each domain by itself.

    Parameters
    ----------
    scale : bool
        Divide by the standard deviation. False only removes the means.
    ddof : {0, 1}
        The variance is the sum of squares over n - ddof rows.
    estimator : classifier, optional
        Trained on the standardised source. By default logistic regression.

    Attributes
    ----------
    means_, scales_ : dict of "source" and "target" to an array of shape (d,)
        What is subtracted, and what the difference is divided by. A constant feature is divided by 1.
    classes_, estimator_

    Examples
    --------
    >>> import numpy as np
    >>> xs, xt = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([[10.0], [12.0], [18.0], [20.0]])
    >>> Standardise().fit_domains(xs, [0, 0, 1, 1], xt).predict(xt).tolist()
    [0, 0, 1, 1]
    """

    def __init__(self, *, scale: bool = True, ddof: int = 0, estimator: Any = None) -> None:
        self.scale = scale
        self.ddof = ddof
        self.estimator = estimator

    def _default_classifier(self):
        return LogisticRegression(max_iter=1000)

    def _align(self, xs, ys, xt):
        check_choice("ddof", self.ddof, (0, 1))
        self.means_, self.scales_ = {}, {}
        for domain, x in (("source", xs), ("target", xt)):
            self.means_[domain] = mean = x.mean(0)
            deviation = x.std(0, ddof=self.ddof)
            # A feature that is constant but for rounding has nothing to be stretched.
            constant = deviation <= 1e-12 * np.abs(mean)
            self.scales_[domain] = np.where(constant | (not self.scale), 1.0, deviation)
        return self._map(xs, True), self._map(xt, False)

    def _map(self, x, source):
        domain = "source" if source else "target"
        return (x - self.means_[domain]) / self.scales_[domain]
