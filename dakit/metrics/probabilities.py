"""What a classifier says, checked: rows of probabilities or of logits, and labels that name their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from dakit.metrics.samples import as_sample

SUM_TOLERANCE = 1e-3  # rows of float16 probabilities over many classes are off by this much


def as_probabilities(probs: Any, name: str = "probs", *, classes: int | None = None) -> np.ndarray:
    """``probs`` as a float64 array (n, k) whose rows sum to 1 exactly.

    Raises
    ------
    TypeError
        If ``probs`` is not numeric.
    ValueError
        If it does not have shape (n, k) with n ≥ 1 and k ≥ 2 (k = ``classes`` where given), holds NaN or infinite
        values or values outside [0, 1], or has rows whose sum is not 1 within 1e-3.
    """
    array = _as_scores(probs, name, classes)
    low, high = array.min(), array.max()
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(
            f"{name} must hold probabilities in [0, 1], got values from {low:.4g} to {high:.4g}; "
            "logits become probabilities by softmax"
        )
    sums = array.sum(1)
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > SUM_TOLERANCE:
        raise ValueError(f"each row of {name} must sum to 1, but row {worst} sums to {sums[worst]:.4g}")
    array = array.clip(0, 1)
    return array / array.sum(1, keepdims=True)


def as_logits(logits: Any, name: str = "logits", *, classes: int | None = None) -> np.ndarray:
    """``logits`` as a float64 array (n, k), k ≥ 2, finite, each row shifted so that its largest entry is 0.

    Raises
    ------
    TypeError, ValueError
        If ``logits`` is not a finite numeric array of that shape.
    """
    array = _as_scores(logits, name, classes)
    return array - array.max(1, keepdims=True)


def _as_scores(x: Any, name: str, classes: int | None) -> np.ndarray:
    shape = np.shape(x)
    if len(shape) != 2 or shape[1] < 2:
        raise ValueError(
            f"{name} must have shape (n, k) with one column for each of k >= 2 classes, got {tuple(shape)}"
        )
    if classes is not None and shape[1] != classes:
        raise ValueError(f"{name} must have {classes} columns, one for each class, got {shape[1]}")
    return as_sample(x, name, at_least=1).double().cpu().numpy()


def as_class_indices(
    y: Any, n: int, k: int, name: str = "y", *, classes: Sequence[Any] | None = None
) -> np.ndarray:
    """Labels as column numbers 0 .. k-1, shape (n,), int64.

    Whole numbers in 0 .. k-1 are column numbers already. Other labels (names, or numbers that start elsewhere) are
    looked up in ``classes``, the names of the columns in their order; without it, they must be exactly k different
    labels, whose sorted order is that of the columns, as in scikit-learn.

    Raises
    ------
    ValueError
        If there is not one label per row, a label is missing, or the labels do not fit the k columns.
    """
    y = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if y.shape != (n,):
        raise ValueError(f"{name} must hold one label for each of {n} rows, shape ({n},), got {y.shape}")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{name} holds missing labels (NaN or infinite); drop those rows first")
    if y.dtype.kind == "O":
        if any(label is None or label != label for label in y):
            raise ValueError(f"{name} holds missing labels (None or NaN); drop those rows first")
        y = np.array(y.tolist()) if all(isinstance(label, (int, float)) for label in y) else y.astype(str)
    if classes is not None:
        return _looked_up(y, k, name, classes)
    if y.dtype.kind in "iubf" and ((y >= 0) & (y < k) & (y == np.floor(y))).all():
        return y.astype(np.int64)
    found, indices = np.unique(y, return_inverse=True)
    if len(found) != k:
        shown = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise ValueError(
            f"{name} must hold column numbers 0 to {k - 1}, or {k} different labels, but holds {len(found)}: {shown}; "
            "name the columns with classes"
        )
    return indices.astype(np.int64)


def _looked_up(y: np.ndarray, k: int, name: str, classes: Sequence[Any]) -> np.ndarray:
    names = list(classes.tolist() if isinstance(classes, (np.ndarray, Tensor)) else classes)
    if len(set(names)) != len(names) or len(names) != k:
        raise ValueError(f"classes must name each of the {k} columns once, got {len(names)} names")
    column = {c: i for i, c in enumerate(names)}
    found, indices = np.unique(y, return_inverse=True)
    unknown = [label for label in found.tolist() if label not in column]
    if unknown:
        raise ValueError(f"{name} holds the label {unknown[0]!r}, which classes does not name")
    return np.array([column[label] for label in found.tolist()], dtype=np.int64)[indices]
