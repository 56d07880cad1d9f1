"""What each class adds to the MMD² between two domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dakit.metrics.kernels import KernelName
from dakit.metrics.samples import as_pair
from dakit.metrics.shared_classes import shared_codes
from dakit.metrics.where import witness

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class ClassContributions:
    """MMD² split over the classes.

    Attributes
    ----------
    classes : array of shape (k,)
        The classes of both samples, sorted.
    values : array of shape (k,), float64
        What each class adds; may be negative. Their sum is ``mmd``.
    mmd : float
        The unbiased MMD² of the two samples.
    """

    classes: np.ndarray
    values: np.ndarray
    mmd: float

    def table(self) -> DataFrame:
        """One row a class, the class that adds most first."""
        from pandas import DataFrame

        share = self.values / self.mmd if self.mmd != 0 else np.zeros_like(self.values)
        columns = {"class": self.classes, "contribution": self.values, "share": share}
        return DataFrame(columns).sort_values("contribution", ascending=False, ignore_index=True)


def class_contributions(
    xs: Any,
    ys: Any,
    xt: Any,
    yt: Any,
    *,
    bandwidths: float | Sequence[float] | None = None,
    kernel: KernelName = "rbf",
) -> ClassContributions:
    """How much of the MMD² between two labelled samples each class accounts for.

    With f the witness function, ``MMD² = mean f(xs) - mean f(xt)`` is a sum over the classes,
    ``sum_c p_s(c) mean f(xs of class c) - p_t(c) mean f(xt of class c)``. A class adds much if its examples moved, and
    if it became more or less common: under pure label shift it is the classes whose share changed.
    :func:`class_distances` answers the other question, how far each class moved whatever its share.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    ys, yt : array or tensor of shape (n,) and (m,)
        Labels, any names, the same in both domains.
    bandwidths, kernel
        As for :func:`mmd`.

    Returns
    -------
    ClassContributions

    Raises
    ------
    TypeError, ValueError
        As for :func:`mmd`; if labels are missing, named differently, or no class occurs in both samples.

    Examples
    --------
    >>> xs, ys = [[0.0], [0.1], [5.0], [5.1]], ["a", "a", "b", "b"]
    >>> xt, yt = [[0.0], [0.1], [9.0], [9.1]], ["a", "a", "b", "b"]
    >>> found = class_contributions(xs, ys, xt, yt, bandwidths=1.0)
    >>> found.table()["class"].tolist(), bool(np.isclose(found.values.sum(), found.mmd))
    (['b', 'a'], True)
    """
    xs, xt = as_pair(xs, xt)
    classes, cs, ct = shared_codes(ys, yt, len(xs), len(xt))
    f = witness(xs, xt, bandwidths=bandwidths, kernel=kernel).values
    k = len(classes)
    source = np.bincount(cs, f[: len(xs)], minlength=k) / len(xs)
    target = np.bincount(ct, f[len(xs) :], minlength=k) / len(xt)
    values = source - target
    return ClassContributions(classes, values, float(values.sum()))
