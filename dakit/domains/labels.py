"""From the labels that people have (names, numbers, truth values) to class indices and class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor


def encode_labels(
    y: Any, classes: Sequence[str] | None = None, *, name: str = "domain", by_name: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class indices and class names.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        Strings, integers, whole floats or truth values. Missing values are refused.
    classes : sequence of str, optional
        Class names in index order. Strings must be among them; integers are indices into them. Without
        ``classes`` the distinct labels become the classes: numbers in numeric order, names alphabetically.
    name : str
        Name of the domain, for error messages.
    by_name : bool
        Match integers with ``classes`` by name first (``2`` is the class ``"2"``), and take them for indices
        only if that fails: what label columns of files mean.

    Returns
    -------
    index : ndarray of shape (n,), int64
    classes : tuple of str

    Raises
    ------
    ValueError
        If labels are missing, fractional, not one a row, or not among ``classes``.

    Examples
    --------
    >>> encode_labels(["dog", "cat", "dog"])
    (array([1, 0, 1]), ('cat', 'dog'))
    >>> encode_labels([5, 3, 5])
    (array([1, 0, 1]), ('3', '5'))
    """
    values = np.asarray(y.detach().cpu().numpy() if isinstance(y, Tensor) else y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            f"domain {name!r}: labels must be one class an example, shape (n,), got shape {values.shape}"
        )
    if values.dtype.kind == "b" and classes is not None and not {"False", "True"} <= set(classes):
        values = values.astype(np.int64)
    values = _whole_or_text(values, name)
    if classes is None:
        distinct, index = np.unique(values, return_inverse=True)
        return index.astype(np.int64), tuple(str(v) for v in distinct.tolist())

    names = tuple(str(c) for c in classes)
    if len(set(names)) < len(names):
        raise ValueError(f"domain {name!r}: class names must differ from each other, got {list(names)}")
    if values.dtype.kind == "i" and not (by_name and set(map(str, np.unique(values).tolist())) <= set(names)):
        if len(values) and not 0 <= values.min() <= values.max() < len(names):
            raise ValueError(
                f"domain {name!r}: labels run from {values.min()} to {values.max()}, "
                f"but {len(names)} class names allow 0 to {len(names) - 1}"
            )
        return values, names
    at = {c: i for i, c in enumerate(names)}
    distinct, index = np.unique(values, return_inverse=True)
    unknown = [str(v) for v in distinct.tolist() if str(v) not in at]
    if unknown:
        raise ValueError(f"domain {name!r} has labels outside the classes {listed(names)}: {listed(unknown)}")
    lookup = np.array([at[str(v)] for v in distinct.tolist()], dtype=np.int64)
    return lookup[index], names


def listed(names: Sequence[object], most: int = 8) -> str:
    """Names joined for a sentence, cut after ``most``."""
    shown = ", ".join(repr(str(n)) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _is_missing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, float) and value != value)
        or type(value).__name__ in ("NAType", "NaTType")
    )


def _whole_or_text(values: np.ndarray, name: str) -> np.ndarray:
    """Labels as int64 or as unicode, whichever they are."""
    if values.dtype.kind == "O":
        missing = sum(_is_missing(v) for v in values.tolist())
        if missing:
            raise ValueError(
                f"domain {name!r}: {missing} of {len(values)} labels are missing; drop those rows first"
            )
        kinds = {type(v) for v in values.tolist()}
        if kinds <= {bool, np.bool_}:
            return values.astype(bool).astype(str)
        if all(issubclass(k, (int, np.integer)) for k in kinds):
            return values.astype(np.int64)
        if all(issubclass(k, (float, int, np.floating, np.integer)) for k in kinds):
            values = values.astype(np.float64)
        elif all(issubclass(k, (str, int, np.integer, bool)) for k in kinds):
            return values.astype(str)
        else:
            found = listed(sorted(k.__name__ for k in kinds))
            raise ValueError(f"domain {name!r}: labels must be names or whole numbers, got {found}")
    if values.dtype.kind == "f":
        missing = int((~np.isfinite(values)).sum())
        if missing:
            raise ValueError(
                f"domain {name!r}: {missing} of {len(values)} labels are missing; drop those rows first"
            )
        if (values != np.round(values)).any() or (np.abs(values) > 2**53).any():
            raise ValueError(
                f"domain {name!r}: labels must be classes (names or whole numbers), but they hold "
                "fractions or huge numbers; bin a measured quantity first"
            )
        return values.astype(np.int64)
    if values.dtype.kind == "b":
        return values.astype(str)
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind in "US":
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    if hasattr(values.dtype, "na_object"):  # numpy's variable-width strings
        return values.astype(str)
    raise ValueError(f"domain {name!r}: labels must be names or whole numbers, got dtype {values.dtype}")
