"""Comparing an answer with the right one: numbers, arrays, tensors, and tuples or dicts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def leaves(value: Any) -> list[Any]:
    """The numbers, arrays, texts inside ``value`` in order; tensors become arrays."""
    if hasattr(value, "detach"):  # a tensor, without importing torch
        value = value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        return [leaf for key in sorted(value, key=str) for leaf in leaves(value[key])]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def close(a: Any, b: Any, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """True if ``a`` and ``b`` hold the same shapes and, to within tolerance, the same numbers.

    >>> close((1.0, [2.0]), (1.0, [2.00001]))
    True
    >>> close([1.0, 2.0], [1.0])
    False
    """
    if isinstance(a, Mapping) != isinstance(b, Mapping):
        return False
    if isinstance(a, Mapping) and set(a) != set(b):
        return False
    first, second = leaves(a), leaves(b)
    return len(first) == len(second) and all(_same(x, y, rtol, atol) for x, y in zip(first, second))


def _same(a: Any, b: Any, rtol: float, atol: float) -> bool:
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        return type(a) is type(b) and a == b
    try:
        x, y = np.asarray(a), np.asarray(b)
        if x.shape != y.shape:
            return False
        if x.dtype == bool or y.dtype == bool:
            return x.dtype == y.dtype and bool((x == y).all())
        if x.dtype.kind in "USO" or y.dtype.kind in "USO":
            return bool((x == y).all())
        return bool(np.allclose(x.astype(float), y.astype(float), rtol=rtol, atol=atol))
    except (TypeError, ValueError):
        return bool(a == b)


def constant(values: Sequence[Any]) -> bool:
    """True if all ``values`` are the same."""
    return all(close(v, values[0], 1e-9, 1e-12) for v in values[1:])


def factor(given: Sequence[Any], expected: Sequence[Any]) -> float | None:
    """The one number by which every ``given`` is too large, or None if there is none.

    >>> round(factor([2.0, 6.0], [1.0, 3.0]), 3)
    2.0
    """
    try:
        x = np.concatenate([np.ravel(np.asarray(leaf, float)) for g in given for leaf in leaves(g)])
        y = np.concatenate([np.ravel(np.asarray(leaf, float)) for e in expected for leaf in leaves(e)])
    except (TypeError, ValueError):
        return None
    if x.shape != y.shape or len(x) < 2 or not np.isfinite(x).all() or not np.any(y):
        return None
    ratio = float(x @ y / (y @ y))
    return ratio if ratio != 0 and np.allclose(x, ratio * y, rtol=1e-4, atol=1e-7) else None


def describe(value: Any, *, short: bool = False) -> str:
    """``value`` in words: what kind of thing and of which shape; NaN is told.

    >>> describe(np.zeros((2, 3)))
    'an array of shape (2, 3)'
    >>> describe(3.5, short=True)
    '3.5'
    """
    if hasattr(value, "detach"):
        shape = tuple(value.shape)
        kind = "tensor"
        value = value.detach().cpu().numpy()
    elif isinstance(value, np.ndarray):
        shape, kind = value.shape, "array"
    elif isinstance(value, bool | str) or value is None:
        return repr(value)
    elif isinstance(value, int | float | np.number):
        if short:
            return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
        return "a number that is NaN or infinite" if not np.isfinite(value) else "a number"
    elif isinstance(value, list | tuple):
        return f"({', '.join(describe(v, short=short) for v in value)})"
    else:
        return f"{'' if short else 'a '}{type(value).__name__}"
    bad = value.dtype.kind == "f" and not np.isfinite(value).all()
    article = "" if short else ("an " if kind == "array" else "a ")
    return f"{article}{kind} of shape {tuple(shape)}" + (" with NaN or infinite values" if bad else "")
