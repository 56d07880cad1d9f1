"""How much memory a domain needs, and the refusal when that is too much.

Domains live in memory as float32 tensors: 4 bytes a number, so that 10,000 RGB images of 32×32 take 0.12 GB
and 10,000 of 224×224 take 6 GB. Loaders ask here before they read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LIMIT_GB = 4.0
"""Largest domain, in gigabytes of float32, that a loader reads unless it is told otherwise."""


def check_memory(count: int, shape: Sequence[int], limit_gb: float, what: str, remedy: str) -> None:
    """Refuse to read ``count`` examples of ``shape`` if they need more than ``limit_gb`` as float32.

    Parameters
    ----------
    count : int
        Number of examples.
    shape : sequence of int
        Shape of one example.
    limit_gb : float
        Allowed gigabytes (10⁹ bytes).
    what : str
        What is being read, for the sentence.
    remedy : str
        What would make it smaller, for the sentence.

    Raises
    ------
    ValueError
        If the examples need more than the limit.

    Examples
    --------
    >>> check_memory(10_000, (3, 32, 32), 4.0, "the folder 'art'", "a smaller size")
    """
    needed = 4 * count * math.prod(shape) / 1e9
    if needed > limit_gb:
        raise ValueError(
            f"{what} takes {needed:.1f} GB ({count:,} examples of shape {tuple(shape)} as float32), "
            f"more than limit_gb={limit_gb:g}; choose {remedy}, or raise limit_gb"
        )
