"""What shallow methods share that learn from a few labelled target rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.methods.rows import as_array, is_minus_one, missing_labels
from dakit.methods.shallow import DomainAdapter

__all__ = ["FewTargetLabels"]


class FewTargetLabels(DomainAdapter):
    """Base of the shallow methods that read labels of target rows; those without one are left out of training."""

    needs_target_labels = True

    def fit(self, X: Any, y: Any, sample_domain: Any = None) -> FewTargetLabels:
        """Learn from source rows and from the target rows that have a label.

        Parameters
        ----------
        X : array or tensor of shape (n + m, d)
            Rows of both domains, in any order.
        y : array of shape (n + m,)
            Labels of the source rows and of some target rows; -1, NaN or None at the others. Where -1 is a class of
            the source, it is one in the target too.
        sample_domain : array of shape (n + m,)
            Positive for source rows, negative for target rows.

        Raises
        ------
        TypeError, ValueError
            If ``sample_domain`` is missing, no target row has a label, or a label occurs in the target alone.
        """
        return super().fit(X, y, sample_domain)

    def fit_domains(self, xs: Any, ys: Any, xt: Any, yt: Any = None) -> FewTargetLabels:
        """:meth:`fit` for domains in arrays of their own: (n, d) with labels (n,), and (m, d) with (m,)."""
        if yt is None:
            raise ValueError(f"{type(self).__name__} learns from target labels: give yt, -1 where unknown")
        xs, ys, xt, yt = map(as_array, (xs, ys, xt, yt))
        self._check_domains(xs, ys, xt)
        if yt.shape != (len(xt),):
            raise ValueError(f"yt must hold one entry per target row, shape ({len(xt)},), got {yt.shape}")
        if ys.dtype.kind != yt.dtype.kind:  # names and -1 would become names alone
            ys, yt = ys.astype(object), yt.astype(object)
        domain = np.repeat([1, -1], [len(xs), len(xt)])
        return self.fit(np.concatenate([xs, xt]), np.concatenate([ys, yt]), domain)

    def _split_labelled(
        self, X: Any, y: Any, sample_domain: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What ``_split`` gives, then a mask of the target rows with a label, and their class indices."""
        if y is not None and sample_domain is None:
            raise ValueError(
                f"{type(self).__name__} learns from labelled target rows: give sample_domain, negative for target "
                "rows, and their labels in y, -1 for those without"
            )
        xs, ys, xt, where = self._split(X, y, sample_domain)
        yt = as_array(y).reshape(-1)[~where]
        missing = missing_labels(yt)
        if is_minus_one(self.classes_).any():
            missing &= ~is_minus_one(yt)
        index = {label: i for i, label in enumerate(self.classes_.tolist())}
        labels = yt[~missing].tolist()
        if not labels:
            raise ValueError(
                f"no target row has a label, and {type(self).__name__} learns from a few; label some in y, or take a "
                "method for an unlabelled target"
            )
        strange = sorted({str(label) for label in labels if label not in index})
        if strange:
            raise ValueError(f"target rows have labels that no source row has: {', '.join(strange)}")
        return xs, ys, xt, where, ~missing, np.array([index[label] for label in labels])
