"""Silhouettes: do classes lie apart, do domains mix?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.samples import as_labels, as_pair, as_sample


def silhouette_by_class(x: Any, y: Any, *, max_points: int = 2000, seed: int = 0) -> float:
    """Mean silhouette of the classes. High: examples of a class lie together and away from other classes.

    ``mean_i (b_i - a_i) / max(a_i, b_i)`` with ``a`` the mean distance to the own class and ``b`` that to the nearest
    other class. An example that is alone in its class counts 0.

    Parameters
    ----------
    x : array or tensor of shape (n, d)
    y : array or tensor of shape (n,)
        Labels; any names, at least two different ones.
    max_points : int
        Beyond this number of examples, a random sample of them, drawn class by class, is looked at.
    seed : int
        Which sample.

    Returns
    -------
    float in [-1, 1]

    Raises
    ------
    TypeError, ValueError
        If there is one class only, or every example has a class of its own.

    References
    ----------
    Rousseeuw (1987). Silhouettes: a graphical aid to the interpretation and validation of cluster analysis.
    J. Comput. Appl. Math. 20.

    Examples
    --------
    >>> silhouette_by_class([[0.0], [0.0], [4.0], [4.0]], ["a", "a", "b", "b"])
    1.0
    """
    x = as_sample(x)
    y = as_labels(y, len(x))
    return mean_silhouette(x, y, max_points=max_points, seed=seed)


def silhouette_by_domain(xs: Any, xt: Any, *, max_points: int = 2000, seed: int = 0) -> float:
    """Mean silhouette of the two domains. Near 0 or below: styles are mixed. Near 1: domains are apart.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, d) and (m, d)
        Features of source and target.
    max_points, seed
        As for :func:`silhouette_by_class`.

    Returns
    -------
    float in [-1, 1]

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or differ in their number, or each domain has a single example.

    Examples
    --------
    >>> silhouette_by_domain([[0.0], [0.0]], [[4.0], [4.0]])
    1.0
    """
    xs, xt = as_pair(xs, xt, at_least=1)
    domain = np.repeat([0, 1], [len(xs), len(xt)])
    return mean_silhouette(torch.cat([xs, xt]), domain, max_points=max_points, seed=seed)


def mean_silhouette(x: Tensor, groups: np.ndarray, *, max_points: int, seed: int) -> float:
    """Mean silhouette of groups 0 .. k-1, on a random sample beyond ``max_points``; scikit-learn's, after scaling.

    The sample takes from each group its share, and two examples of a group that has them, so that no group becomes a
    single example by sampling.
    """
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise ValueError("a silhouette compares groups, but all examples are in one; it needs at least two")
    if len(sizes) >= len(groups):
        raise ValueError("every example is a group of its own; a silhouette needs a group of at least two")
    if max_points < 3:
        raise ValueError(f"max_points must be at least 3, got {max_points}")
    if len(groups) > max_points:
        rng = np.random.default_rng(seed)
        take = np.minimum(sizes, np.maximum(2, np.round(max_points * sizes / len(groups)).astype(int)))
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(groups == c), take[c], replace=False) for c in range(len(sizes))]
        )
        x, groups = x[torch.from_numpy(rows).to(x.device)], groups[rows]
    x = x.double()
    x = x - x.mean(0)
    largest = float(x.abs().max())
    if largest > 0:
        x = x / largest  # a silhouette has no unit, the squares on the way to it could overflow
    with threadpool_limits(1, user_api="blas"):
        return float(silhouette_score(x.cpu().numpy(), groups))
