"""The handful of numbers that dakit reports for a pair of domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from dakit.metrics.a_distance import a_distance
from dakit.metrics.icv_idd import icv, idd
from dakit.metrics.samples import as_labels, as_pair
from dakit.metrics.two_sample import mmd_test


def shift_numbers(
    xs: Any, xt: Any, ys: Any = None, yt: Any = None, *, seed: int = 0, permutations: int = 200
) -> dict[str, float | None]:
    """How far apart two domains lie in a space of features, in one table row.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Features of source and target.
    ys, yt : array or tensor of shape (n,) and (m,), optional
        Labels, for the variation inside classes.
    seed : int
        Of the relabellings and of the folds.
    permutations : int
        Relabellings of the MMD test.

    Returns
    -------
    dict
        ``mmd`` and ``mmd_pvalue`` (:func:`mmd_test`), ``a_distance``, ``icv_source`` and ``icv_target`` (None where
        labels are missing or no class has two examples) and ``idd``, both with ``descriptor="features"``.

    Raises
    ------
    TypeError, ValueError
        As the metrics themselves.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(40, 3))
    >>> list(shift_numbers(x[:20], x[20:]))
    ['mmd', 'mmd_pvalue', 'a_distance', 'icv_source', 'icv_target', 'idd']
    """
    xs, xt = as_pair(xs, xt)
    test = mmd_test(xs, xt, permutations=permutations, seed=seed)
    return {
        "mmd": test.statistic,
        "mmd_pvalue": test.pvalue,
        "a_distance": a_distance(xs, xt, seed=seed),
        "icv_source": _icv_of_features(xs, ys, "ys"),
        "icv_target": _icv_of_features(xt, yt, "yt"),
        "idd": idd(xs, xt, descriptor="features"),
    }


def _icv_of_features(x: Any, y: Any, name: str) -> float | None:
    if y is None:
        return None
    labels = as_labels(y, len(x), name)
    return icv(x, labels, descriptor="features") if np.bincount(labels).max() > 1 else None
