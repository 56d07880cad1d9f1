"""How many directions the features use."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dakit.metrics.samples import as_sample


def rankme(z: Any, *, centred: bool = False) -> float:
    """Effective rank of the features: exp of the entropy of their normalised singular values. Higher is better.

    ``exp(-sum_k p_k log p_k)``, ``p_k = s_k / sum_j s_j``. Low where the features have collapsed onto few directions.

    Parameters
    ----------
    z : array or tensor of shape (n, d)
    centred : bool
        Subtract the mean first, so that a common offset does not count as a direction. The paper does not.

    Returns
    -------
    float in {0} or [1, min(n, d)]
        0 for features that are all 0 (with ``centred``: all equal). With n examples it cannot exceed n: compare at
        equal n.

    Raises
    ------
    TypeError, ValueError
        If ``z`` is not a finite matrix.

    Notes
    -----
    The paper adds 1e-7 to each p against the logarithm of 0. Here 0 log 0 is 0, and singular values that are rounding
    errors of the data's precision are left out.

    References
    ----------
    Garrido, Balestriero, Najman, LeCun (2023). RankMe: assessing the downstream performance of pretrained
    self-supervised representations by their rank. ICML. Roy, Vetterli (2007). The effective rank. EUSIPCO.

    Examples
    --------
    >>> round(rankme([[1.0, 0.0], [0.0, 1.0]]), 6)
    2.0
    """
    s = _singular_values(z, centred)
    if len(s) == 0:
        return 0.0
    return math.exp(float(torch.special.entr(s / s.sum()).sum()))


def feature_rank(z: Any, *, centred: bool = True, variance: float | None = None) -> int:
    """Number of directions that the features use.

    Parameters
    ----------
    z : array or tensor of shape (n, d)
    centred : bool
        Subtract the mean first.
    variance : float in (0, 1], optional
        Count the fewest directions that together hold this share of the sum of squares. By default, count singular
        values above ``max(n, d) eps`` times the largest, ``eps`` the precision of the data's type.

    Returns
    -------
    int in 0 .. min(n, d)
        0 for features that are all equal.

    Raises
    ------
    TypeError, ValueError
        As for :func:`rankme`, and if ``variance`` is outside (0, 1].

    Examples
    --------
    >>> feature_rank([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    1
    """
    if variance is not None and not 0 < variance <= 1:
        raise ValueError(f"variance must lie in (0, 1], got {variance}")
    s = _singular_values(z, centred)
    if variance is None or len(s) == 0:
        return len(s)
    shares = s.square().cumsum(0) / s.square().sum()
    return int((shares < variance * (1 - 1e-12)).sum()) + 1


def _singular_values(z: Any, centred: bool) -> Tensor:
    """The singular values that exceed rounding, falling, in float64, up to a common factor."""
    z = as_sample(z, "z")
    eps, largest = torch.finfo(z.dtype).eps, float(z.abs().max())
    if largest == 0:
        return z.new_empty(0, dtype=torch.float64)
    z = z.double() / largest
    whole = float(torch.linalg.vector_norm(z))
    if centred:
        z = z - z.mean(0)
    s = torch.linalg.svdvals(z)
    # Centring leaves rounding errors of the size of the offset, not of what remains.
    floor = max(max(z.shape) * eps * float(s[0]), eps * whole if centred else 0.0)
    return s[s > floor]
