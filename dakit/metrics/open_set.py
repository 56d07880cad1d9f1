"""Scores of a classifier that may answer "unknown", on a target with classes that the source never had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class OpenSetScores:
    """How well known classes are told from each other and from the unknown.

    Attributes
    ----------
    known : float in [0, 1]
        Share of all examples of known classes that got their own class: "unknown" counts as an error there.
    unknown : float in [0, 1]
        UNK, the share of unknown examples that were called unknown.
    os_star : float in [0, 1]
        OS*, the mean accuracy of the known classes that occur, each with the same weight.
    os : float in [0, 1]
        OS, the mean accuracy over those classes and the unknown one: with many known classes, UNK hardly counts in it.
    hos : float in [0, 1]
        HOS, the harmonic mean of OS* and UNK: 0 where one of both is.
    """

    known: float
    unknown: float
    os_star: float
    os: float
    hos: float


def open_set_scores(y: Any, predicted: Any, num_known: int) -> OpenSetScores:
    """Scores for open-set and universal adaptation: OS, OS*, UNK and their harmonic mean HOS.

    With ``a_c`` the accuracy on the examples of class c, classes ``0 .. K-1`` known and K the unknown one:
    ``OS* = mean of a_c over the known classes that occur``, ``UNK = a_K``,
    ``OS = (sum of those a_c + a_K) / (their number + 1)``, ``HOS = 2 OS* UNK / (OS* + UNK)``.

    A classifier that never answers "unknown" can have a high OS; its HOS is 0. The H-score of universal adaptation
    (not the score of transferability of that name) is the same harmonic mean, sometimes with ``known`` for OS*.

    Parameters
    ----------
    y : array or tensor of shape (n,)
        True classes as whole numbers, 0 to K. All unknown classes are merged into K.
    predicted : array or tensor of shape (n,)
        Predicted classes, 0 to K.
    num_known : int, at least 1
        K, the number of known classes.

    Returns
    -------
    OpenSetScores

    Raises
    ------
    TypeError
        If a label is no whole number, or ``num_known`` is none.
    ValueError
        If a label lies outside 0 .. K, the shapes do not fit, or ``y`` holds no known or no unknown example.

    References
    ----------
    Panareda Busto, Gall (2017). Open set domain adaptation. ICCV (OS, OS*).
    Fu, Cao, Long, Wang (2020). Learning to detect open classes for universal domain adaptation. ECCV (H-score).
    Bucci, Loghmani, Tommasi (2020). On the effectiveness of image rotation for open set domain adaptation. ECCV (HOS).

    Examples
    --------
    >>> open_set_scores([0, 0, 1, 2, 2], [0, 2, 1, 2, 0], num_known=2)
    OpenSetScores(known=0.6666666666666666, unknown=0.5, os_star=0.75, os=0.6666666666666666, hos=0.6)
    """
    if isinstance(num_known, bool) or not isinstance(num_known, (int, np.integer)):
        raise TypeError(f"num_known must be a whole number of at least 1, got {num_known!r}")
    k = int(num_known)
    if k < 1:
        raise ValueError(f"num_known must be a whole number of at least 1, got {k}")
    y, predicted = _classes(y, k, "y"), _classes(predicted, k, "predicted")
    if y.shape != predicted.shape:
        raise ValueError(
            f"y and predicted must hold one class an example each, got {len(y)} and {len(predicted)}"
        )
    counts = np.bincount(y, minlength=k + 1)
    right = np.bincount(y[y == predicted], minlength=k + 1)
    if counts[k] == 0:
        raise ValueError(f"y holds no example of the unknown class {k}: its accuracy is not defined")
    occurs = counts[:k] > 0
    if not occurs.any():
        raise ValueError(f"y holds no example of a known class, 0 to {k - 1}: their accuracy is not defined")
    accuracy = right[:k][occurs] / counts[:k][occurs]
    unknown, os_star = float(right[k] / counts[k]), float(accuracy.mean())
    return OpenSetScores(
        known=float(right[:k].sum() / counts[:k].sum()),
        unknown=unknown,
        os_star=os_star,
        os=float((accuracy.sum() + unknown) / (len(accuracy) + 1)),
        hos=2 * os_star * unknown / (os_star + unknown) if os_star + unknown > 0 else 0.0,
    )


def _classes(values: Any, k: int, name: str) -> np.ndarray:
    """Whole numbers in 0 .. k as an int64 array of one axis."""
    values = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must hold one class an example, shape (n,) with n ≥ 1, got {values.shape}")
    if values.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold classes as whole numbers from 0 to {k}, got dtype {values.dtype}")
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        raise TypeError(
            f"{name} must hold classes as whole numbers from 0 to {k}, got fractions, NaN or infinity"
        )
    if values.min() < 0 or values.max() > k:
        raise ValueError(
            f"{name} must hold classes from 0 to {k}, where {k} is every unknown one, "
            f"got {values.min():.0f} to {values.max():.0f}"
        )
    return values.astype(np.int64)
