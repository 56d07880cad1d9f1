"""Reweighting: learn from the source rows that look like the target.

Under covariate shift the target's risk is the source's risk with each row weighted by w(x) = p_t(x) / p_s(x). The
weights are estimated from both samples, without labels, and the classifier is trained with them.

Setting: labelled source, unlabelled target, the same classes (unsupervised domain adaptation).

Assumes: covariate shift, p(y | x) the same in both domains, and a source that covers the target: w must exist.

Objective: with weights w of shape (n,), mean 1, from one of the estimators of dakit.metrics (classifier, kernel mean
matching, KLIEP, uLSIF),

    min over f of  1/n Σ_i w_i L(f(xs_i), ys_i) + the classifier's own penalty.

Fails when: the domains barely overlap (few rows carry all the weight: look at ``effective_sample_size``), when p(y | x)
changes, and in many dimensions, where no estimate of w is good. It does not help a model that is rich enough to be
right everywhere: the weights matter where the model must choose which rows to get wrong.

Paper: Shimodaira, Improving Predictive Inference under Covariate Shift, J. Stat. Planning and Inference 90 (2000);
Huang, Smola, Gretton, Borgwardt, Schölkopf, Correcting Sample Selection Bias by Unlabeled Data, NIPS 2006.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import has_fit_parameter

from dakit.methods.parameters import check_choice
from dakit.methods.shallow import DomainAdapter
from dakit.metrics import covariate_weights

__all__ = ["Reweight"]

METHODS = ("logistic", "mlp", "kmm", "kliep", "ulsif", "rulsif")


class Reweight(DomainAdapter):
    """Classifier trained on importance-weighted source rows.

    Parameters
    ----------
    weights : {"logistic", "mlp", "kmm", "kliep", "ulsif", "rulsif"}
        How w is estimated: ``method`` of :func:`dakit.metrics.covariate_weights`.
    clip : float in (0, 1), optional
        Quantile of the weights at which larger ones are cut.
    standardise : bool
        Estimate the weights from features scaled to unit variance over both domains, as the kernel methods need. The
        classifier sees the features as they are.
    options : dict, optional
        Further arguments of the method's own function, for example ``{"bound": 10.0}`` for ``kmm``.
    estimator : classifier, optional
        Must take ``sample_weight`` in ``fit``. By default logistic regression.

    Attributes
    ----------
    weights_ : dakit.metrics.covariate_weights.Weights
        ``weights_.values`` of shape (n,), in the order of the source rows, and ``weights_.effective_sample_size``.
    classes_, estimator_

    Examples
    --------
    >>> xs = np.linspace(-3, 3, 61)[:, None]
    >>> ys = np.abs(xs[:, 0]) > 1  # no line can say that, but on one side of 0 it can
    >>> xt = np.linspace(0.1, 3, 30)[:, None]
    >>> yt = np.abs(xt[:, 0]) > 1
    >>> adapted = Reweight(weights="kmm").fit_domains(xs, ys, xt)
    >>> plain = LogisticRegression().fit(xs, ys)
    >>> bool(adapted.score(xt, yt) > plain.score(xt, yt))
    True
    """

    def __init__(
        self,
        *,
        weights: str = "logistic",
        clip: float | None = None,
        standardise: bool = True,
        options: dict | None = None,
        estimator: Any = None,
    ) -> None:
        self.weights = weights
        self.clip = clip
        self.standardise = standardise
        self.options = options
        self.estimator = estimator

    def _default_classifier(self):
        return LogisticRegression(max_iter=1000)

    def _train(self, zs, ys, zt):
        check_choice("weights", self.weights, METHODS)
        classifier = self._classifier()
        if not has_fit_parameter(classifier, "sample_weight"):
            raise TypeError(
                f"{type(classifier).__name__} takes no sample_weight in fit; give an estimator that does, such as "
                "LogisticRegression, a support vector machine or a tree"
            )
        if self.standardise:
            both = np.concatenate([zs, zt])
            scale = both.std(axis=0)
            # A feature that is constant says nothing about the domain, whatever its scale.
            scale[scale <= 1e-12 * np.abs(both).max(axis=0)] = 1.0
            centre = both.mean(axis=0)
            pair = (zs - centre) / scale, (zt - centre) / scale
        else:
            pair = zs, zt
        options = dict(self.options or {})
        if self.weights in ("logistic", "mlp"):
            options.setdefault("folds", min(5, len(zs), len(zt)))
        self.weights_ = covariate_weights(*pair, method=self.weights, clip=self.clip, **options)
        return classifier.fit(zs, ys, sample_weight=self.weights_.values)
