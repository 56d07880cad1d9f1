"""Hyper-parameters of the shallow methods: each check answers with the value, or with one clear sentence."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

__all__ = ["check_choice", "check_int", "check_real"]


def check_int(name: str, value: Any, low: int, high: int | None = None) -> int:
    """``value`` as an int within [low, high], or one clear sentence."""
    span = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be {span}, got {value!r}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} must be {span}, got {value!r}")
    return int(value)


def check_real(
    name: str, value: Any, low: float = 0.0, high: float = np.inf, *, open_low: bool = False
) -> float:
    """``value`` as a finite float within [low, high], without ``low`` itself if ``open_low``."""
    span = f"{'more than' if open_low else 'at least'} {low:g}"
    span += f" and at most {high:g}" if np.isfinite(high) else ""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number of {span}, got {value!r}") from None
    if not np.isfinite(number) or number > high or number < low or (open_low and number == low):
        raise ValueError(f"{name} must be a number of {span}, got {value!r}")
    return number


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """One clear sentence unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
