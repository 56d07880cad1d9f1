"""Are classes consistent, are styles mixed? Scatter and silhouettes of labelled features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.samples import as_labels, as_pair, as_sample


@dataclass(frozen=True)
class Consistency:
    """How consistent classes are over two domains, and how well the domains mix.

    Attributes
    ----------
    class_silhouette : float in [-1, 1], or None
        Silhouette of the classes over both domains together; None where there is one class only. High: examples of a
        class lie together whatever their domain.
    domain_silhouette : float in [-1, 1]
        Silhouette of the two domains. Near 0: mixed. Near 1: apart.
    domain_silhouette_within : float in [-1, 1], or None
        The same inside each class that both domains have, averaged over these classes; None where they share none. It
        is not fooled by domains that differ in their classes alone.
    within : dict
        Mean squared distance to the class mean, of each class over both domains.
    ratio : float, at least 0, or None
        Scatter between classes over scatter within; infinite where classes are points, None where there is one class.
    shared : int
        Number of classes that both domains have.
    """

    class_silhouette: float | None
    domain_silhouette: float
    domain_silhouette_within: float | None
    within: dict
    ratio: float | None
    shared: int

    def __str__(self) -> str:
        def show(value: float | None) -> str:
            return "undefined" if value is None else f"{value:.3f}"

        return (
            f"class silhouette {show(self.class_silhouette)}, domain silhouette {show(self.domain_silhouette)} "
            f"(inside classes {show(self.domain_silhouette_within)}), between/within {show(self.ratio)}, "
            f"{self.shared} shared classes"
        )


def within_class_scatter(x: Any, y: Any) -> float:
    """Mean squared distance of the examples to the mean of their class. Low: classes are consistent.

    ``tr S_w = 1/n sum_i |x_i - mean(y_i)|²``. In squared units of the features; a class of one example adds 0.

    Parameters
    ----------
    x : array or tensor of shape (n, d)
    y : array or tensor of shape (n,)
        Labels; any names.

    Returns
    -------
    float, at least 0

    Raises
    ------
    TypeError, ValueError
        If the features are not finite numbers or a label is missing.

    Examples
    --------
    >>> within_class_scatter([[0.0], [2.0], [5.0]], ["a", "a", "b"])  # (1 + 1 + 0) / 3
    0.6666666666666666
    """
    x, y = _labelled(x, y)
    return float(_residuals(x, y)[0].square().sum() / len(x))


def scatter_by_class(x: Any, y: Any) -> dict:
    """Mean squared distance to the class mean, of each class by its label.

    Parameters
    ----------
    x, y
        As for :func:`within_class_scatter`.

    Returns
    -------
    dict
        Label to float, at least 0; a class of one example has 0.

    Examples
    --------
    >>> scatter_by_class([[0.0], [2.0], [5.0]], ["a", "a", "b"])
    {'a': 1.0, 'b': 0.0}
    """
    names = np.unique(_plain(y))
    x, y = _labelled(x, y)
    squares = _residuals(x, y)[0].square().sum(1).cpu().numpy()
    return {name: float(squares[y == c].mean()) for c, name in enumerate(names.tolist())}


def between_within_ratio(x: Any, y: Any, *, kind: str = "trace") -> float:
    """Scatter between classes over scatter within them. High: classes are compact and apart.

    ``"trace"``: ``tr S_b / tr S_w``; ``"fisher"``: ``tr(S_w⁻¹ S_b)``, with ``S_b = 1/n sum_c n_c (m_c - m)(m_c - m)'``
    and ``S_w = 1/n sum_i (x_i - m_{y_i})(x_i - m_{y_i})'``. The first changes when a feature is rescaled; the second is
    the same after any invertible linear map, and needs more examples than features.

    Parameters
    ----------
    x : array or tensor of shape (n, d)
    y : array or tensor of shape (n,)
        Labels; any names, at least two different ones.
    kind : {"trace", "fisher"}

    Returns
    -------
    float, at least 0
        "trace" is infinite where every class is a single point.

    Raises
    ------
    TypeError, ValueError
        If there is one class only, all examples are equal, ``S_w`` is singular (for "fisher") or ``kind`` is unknown.

    References
    ----------
    Fisher (1936). The use of multiple measurements in taxonomic problems. Ann. Eugenics 7.
    Fukunaga (1990). Introduction to statistical pattern recognition, chapter 10.

    Examples
    --------
    >>> between_within_ratio([[-3.0], [-1.0], [1.0], [3.0]], [0, 0, 1, 1])  # 4 / 1
    4.0
    """
    if kind not in ("trace", "fisher"):
        raise ValueError(f"kind must be 'trace' or 'fisher', got {kind!r}")
    x, y = _labelled(x, y)
    if y.max() == 0:
        raise ValueError("all examples have one label; a ratio of classes needs at least two")
    residuals, means = _residuals(x, y)
    if kind == "trace":
        return _trace_ratio(residuals, means)
    varies = means.square().sum(0) + residuals.square().sum(0) > 0
    residuals, means = residuals[:, varies], means[:, varies]
    scale = (residuals + means).square().mean(0).sqrt()
    singular = "the scatter within classes is singular (more features than examples, or dependent ones)"
    if residuals.shape[1] == 0:
        raise ValueError("all examples are equal, so there is no scatter to compare")
    _, s, vt = torch.linalg.svd(residuals / scale, full_matrices=False)
    if len(s) < residuals.shape[1] or float(s[-1]) <= 1e-9 * float(s[0]) or float(s[0]) < 1e-9:
        raise ValueError(f"{singular}; use kind='trace', or fewer features")
    return float(((means / scale) @ (vt.T / s)).square().sum())


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
    x, y = _labelled(x, y)
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


def consistency(xs: Any, ys: Any, xt: Any, yt: Any, *, max_points: int = 2000, seed: int = 0) -> Consistency:
    """Consistency of classes over two domains and mixing of their styles, in one reading.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, d) and (m, d)
        Features of source and target.
    ys, yt : array or tensor of shape (n,) and (m,)
        Labels in common names; ``yt`` may be pseudo-labels. Classes of one domain alone are allowed.
    max_points, seed
        As for :func:`silhouette_by_class`.

    Returns
    -------
    Consistency

    Raises
    ------
    TypeError, ValueError
        If features are not finite numbers or differ in their number, labels are missing, or all points are equal.

    Examples
    --------
    >>> consistency([[0.0], [4.0]], ["a", "b"], [[0.0], [4.0]], ["a", "b"]).class_silhouette
    1.0
    """
    xs, xt = as_pair(xs, xt)
    as_labels(ys, len(xs), "ys")
    as_labels(yt, len(xt), "yt")
    names = np.concatenate([_plain(ys), _plain(yt)])
    x = torch.cat([xs, xt])
    y = as_labels(names, len(x))
    domain = np.repeat([0, 1], [len(xs), len(xt)])
    several = y.max() > 0
    shared = np.intersect1d(y[: len(xs)], y[len(xs) :])
    inside = [
        mean_silhouette(
            x[torch.from_numpy(y == c).to(x.device)], domain[y == c], max_points=max_points, seed=seed
        )
        for c in shared
        if (y == c).sum() > 2
    ]
    residuals, means = _residuals(x.double(), y)
    return Consistency(
        class_silhouette=mean_silhouette(x, y, max_points=max_points, seed=seed)
        if several and y.max() + 1 < len(y)
        else None,
        domain_silhouette=mean_silhouette(x, domain, max_points=max_points, seed=seed),
        domain_silhouette_within=float(np.mean(inside)) if inside else None,
        within=scatter_by_class(x, names),
        ratio=_trace_ratio(residuals, means) if several else None,
        shared=len(shared),
    )


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


def _plain(y: Any) -> np.ndarray:
    return np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)


def _labelled(x: Any, y: Any) -> tuple[Tensor, np.ndarray]:
    x = as_sample(x)
    return x.double(), as_labels(y, len(x))


def _residuals(x: Tensor, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """What is left of each row without its class mean, and that class mean without the overall mean, (n, d) each."""
    at = torch.from_numpy(y).to(x.device)
    centred = x - x.mean(0)
    # A constant column leaves a rounding error of its mean, which is no scatter.
    centred[:, (centred.abs() <= 1e-14 * x.abs().amax(0)).all(0)] = 0
    sums = centred.new_zeros(int(y.max()) + 1, x.shape[1]).index_add_(0, at, centred)
    means = (sums / torch.bincount(at)[:, None])[at]
    return centred - means, means


def _trace_ratio(residuals: Tensor, means: Tensor) -> float:
    largest = max(float(residuals.abs().max()), float(means.abs().max()))
    if largest == 0:
        raise ValueError("all examples are equal, so there is no scatter to compare")
    within, between = (float((r / largest).square().sum()) for r in (residuals, means))
    return between / within if within > 1e-28 * between else math.inf
