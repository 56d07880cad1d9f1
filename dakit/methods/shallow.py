"""What the shallow methods share: scikit-learn estimators that fit rows of both domains together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from dakit.methods.rows import as_array, domain_signs, is_minus_one, missing_labels, source_rows
from dakit.metrics.samples import LARGEST

__all__ = ["DomainAdapter"]


def _inner_has(name: str):
    def check(adapter: DomainAdapter) -> bool:
        inner = getattr(adapter, "estimator_", None)
        return hasattr(adapter._classifier() if inner is None else inner, name)

    return check


class DomainAdapter(TransformerMixin, ClassifierMixin, BaseEstimator):
    """Base of the shallow methods: ``fit``, ``transform``, ``predict`` and ``score`` over rows of two domains.

    A method defines ``_align(xs, ys, xt)``, which learns and returns both samples as the classifier shall see them,
    and ``_map(x, source)``, which does the same to new rows of one domain. A method that trains its classifier in
    another way overrides ``_train(zs, ys, zt)``. All three see float64 matrices and class indices 0 .. k-1.

    ``sample_domain`` is positive for source rows and negative for target rows. Where it is left out, the target rows
    are those without a label: -1 in numeric ``y``, NaN or None. Labels of target rows are never read.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # the arithmetic, and what comes out, is float64
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")  # a hyper-parameter such as lambda_ is no sign of a fit

    # Target rows without which a method has nothing to learn from; 0 for one that does not look at them.
    _least_target = 2

    # -- what a method defines --------------------------------------------------------------------------------

    def _align(self, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return xs, xt

    def _map(self, x: np.ndarray, source: bool) -> np.ndarray:
        return x

    def _default_classifier(self) -> Any:
        return KNeighborsClassifier(n_neighbors=1)

    def _train(self, zs: np.ndarray, ys: np.ndarray, zt: np.ndarray) -> Any:
        return self._classifier().fit(zs, ys)

    def _classifier(self) -> Any:
        """A fresh classifier: a clone of ``estimator``, or the method's default."""
        given = getattr(self, "estimator", None)
        return self._default_classifier() if given is None else clone(given)

    # -- fitting ----------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_domain: Any = None) -> DomainAdapter:
        """Learn from source rows with labels and target rows without.

        Parameters
        ----------
        X : array or tensor of shape (n + m, d)
            Rows of both domains, in any order.
        y : array of shape (n + m,)
            Labels of the source rows. Entries of target rows are not read.
        sample_domain : array of shape (n + m,), optional
            Positive for source rows, negative for target rows. By default the rows without a label are the target.

        Raises
        ------
        TypeError, ValueError
            If a domain has fewer than 2 rows, the source fewer than 2 classes or rows without a label, ``X`` has NaN,
            infinite or enormous values, or a hyper-parameter is out of its range.
        """
        self._fit(X, y, sample_domain)
        return self

    def fit_transform(self, X: Any, y: Any = None, sample_domain: Any = None) -> np.ndarray:
        """:meth:`fit`, then the rows of ``X`` in their order, each mapped as a row of its own domain."""
        zs, zt, where = self._fit(X, y, sample_domain)
        z = np.empty((len(where), zs.shape[1]))
        z[where], z[~where] = zs, zt
        return z

    def fit_domains(self, xs: Any, ys: Any, xt: Any) -> DomainAdapter:
        """:meth:`fit` for domains in arrays of their own: (n, d) with labels (n,), and (m, d)."""
        xs, ys, xt = map(as_array, (xs, ys, xt))
        self._check_domains(xs, ys, xt)
        y = np.concatenate([ys, np.repeat(ys[:1], len(xt))])  # what stands at target rows is not read
        return self.fit(np.concatenate([xs, xt]), y, np.repeat([1, -1], [len(xs), len(xt)]))

    @staticmethod
    def _check_domains(xs: np.ndarray, ys: np.ndarray, xt: np.ndarray) -> None:
        if xs.ndim != 2 or xt.ndim != 2 or xs.shape[1] != xt.shape[1]:
            raise ValueError(
                f"both domains need shape (rows, d) with one d, but xs has shape {xs.shape} and xt {xt.shape}"
            )
        if ys.shape != (len(xs),):
            raise ValueError(f"ys must hold one label per source row, shape ({len(xs)},), got {ys.shape}")
        if not len(xs) or not len(xt):
            raise ValueError(
                f"each domain needs at least 2 rows, got {len(xs)} of source, {len(xt)} of target"
            )

    def _fit(self, X: Any, y: Any, sample_domain: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        xs, ys, xt, where = self._split(X, y, sample_domain)
        zs, zt = self._align(xs, ys, xt)
        self.estimator_ = self._train(zs, ys, zt)
        return zs, zt, where

    def _split(
        self, X: Any, y: Any, sample_domain: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Source rows, their class indices, target rows, and a mask of shape (n + m,) that is True for the source."""
        x = self._rows(X, reset=True)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: give the labels of the "
                "source rows, and -1 for target rows"
            )
        y = as_array(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.shape != (len(x),):
            raise ValueError(f"y must hold one entry per row of X, shape ({len(x)},), got {y.shape}")
        where = source_rows(y, sample_domain)
        n = int(where.sum())
        if n < 2 or len(x) - n < self._least_target:
            raise ValueError(
                f"each domain needs at least 2 rows, got {n} of source and {len(x) - n} of target; mark target rows "
                "by sample_domain < 0, or by y = -1 where labels are numbers"
            )
        ys = y[where]
        missing = missing_labels(ys)
        if missing.any() and (np.unique(ys[~missing]).size > 1 or not is_minus_one(ys[missing]).all()):
            raise ValueError(
                f"{int(missing.sum())} source rows have no label (-1, NaN or None); drop them first"
            )
        if ys.dtype.kind == "O":
            ys = np.array(ys.tolist())
        if ys.dtype.kind == "f" and not np.isfinite(ys).all():
            raise ValueError("Input y contains infinity: labels of the source must be finite")
        check_classification_targets(ys)
        self.classes_, index = np.unique(ys, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"the source needs at least 2 classes, got 1 class: {self.classes_[0]!r}")
        return x[where], index, x[~where], where

    def _rows(self, X: Any, *, reset: bool) -> np.ndarray:
        X = X.detach().cpu().numpy() if hasattr(X, "detach") else X
        x = validate_data(self, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
        if max(x.max(), -x.min()) > LARGEST:
            raise ValueError(f"X holds values beyond {LARGEST:g}, whose squares overflow; rescale it first")
        return x

    # -- using ------------------------------------------------------------------------------------------------

    def transform(self, X: Any, sample_domain: Any = None) -> np.ndarray:
        """Rows (n, d) as the classifier sees them; rows of the target unless ``sample_domain`` says otherwise."""
        check_is_fitted(self)
        x = self._rows(X, reset=False)
        if sample_domain is None:
            return self._map(x, False)
        where = domain_signs(sample_domain, len(x))
        parts = [
            (rows, self._map(x[rows], source))
            for rows, source in ((where, True), (~where, False))
            if rows.any()
        ]
        z = np.empty((len(x), parts[0][1].shape[1]))
        for rows, part in parts:
            z[rows] = part
        return z

    def predict(self, X: Any, sample_domain: Any = None) -> np.ndarray:
        """Classes of rows (n, d), target rows unless ``sample_domain`` says otherwise."""
        z = self.transform(X, sample_domain)
        return self.classes_[self.estimator_.predict(z)]

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any, sample_domain: Any = None) -> np.ndarray:
        """Probabilities of shape (n, k), columns in the order of ``classes_``."""
        z = self.transform(X, sample_domain)
        return self.estimator_.predict_proba(z)

    def score(self, X: Any, y: Any, sample_weight: Any = None, sample_domain: Any = None) -> float:
        """Accuracy over the rows of ``X``.

        Where ``y`` marks some rows as unlabelled, as in a fold of a cross-validation, the others are source rows: the
        accuracy is then the source's. Otherwise all rows count as target rows unless ``sample_domain`` is given.
        """
        y = as_array(y)
        if sample_domain is None and (known := source_rows(y, None)).any() and not known.all():
            sample_domain = np.where(known, 1, -1)
        else:
            known = np.ones(len(y), bool)
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(accuracy_score(y[known], self.predict(X, sample_domain)[known], sample_weight=weight))
