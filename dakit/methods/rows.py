"""Which rows belong to the source, and which have a label."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_array(values: Any) -> np.ndarray:
    """Any array or tensor as a numpy array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def is_minus_one(y: np.ndarray) -> np.ndarray:
    """Where an array of anything holds the number -1."""
    return np.array([not isinstance(v, str | bool) and v == -1 for v in y.tolist()], bool)


def missing_labels(y: np.ndarray) -> np.ndarray:
    """Where there is no label: -1 among numbers, NaN, None."""
    if y.dtype.kind in "iu":
        return y == -1
    if y.dtype.kind == "f":
        return (y == -1) | np.isnan(y)
    if y.dtype.kind == "O":
        return np.array([v is None or v != v for v in y.tolist()], bool) | is_minus_one(y)
    return np.zeros(len(y), bool)


def domain_signs(sample_domain: Any, n: int) -> np.ndarray:
    """True for source rows, from numbers that are positive for the source and negative for the target."""
    signs = as_array(sample_domain)
    if signs.shape != (n,) or signs.dtype.kind not in "if" or not ((signs > 0) | (signs < 0)).all():
        raise ValueError(
            f"sample_domain must hold {n} numbers, positive for source rows and negative for target rows"
        )
    return signs > 0


def source_rows(y: np.ndarray, sample_domain: Any) -> np.ndarray:
    """True for source rows: by ``sample_domain``, or where there is a label."""
    return ~missing_labels(y) if sample_domain is None else domain_signs(sample_domain, len(y))
