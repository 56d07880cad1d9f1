"""How far the examples of a class lie from its mean, and the classes from one another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.samples import as_labels, as_sample


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
    return float(residuals_and_means(x, y)[0].square().sum() / len(x))


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

    Raises
    ------
    TypeError, ValueError
        As for :func:`within_class_scatter`.

    Examples
    --------
    >>> scatter_by_class([[0.0], [2.0], [5.0]], ["a", "a", "b"])
    {'a': 1.0, 'b': 0.0}
    """
    names = np.unique(label_names(y))
    x, y = _labelled(x, y)
    squares = residuals_and_means(x, y)[0].square().sum(1).cpu().numpy()
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
    >>> round(between_within_ratio([[-3.0], [-1.0], [1.0], [3.0]], [0, 0, 1, 1]), 6)  # 4 / 1
    4.0
    """
    if kind not in ("trace", "fisher"):
        raise ValueError(f"kind must be 'trace' or 'fisher', got {kind!r}")
    x, y = _labelled(x, y)
    if y.max() == 0:
        raise ValueError("all examples have one label; a ratio of classes needs at least two")
    x = x / (float(x.abs().max()) or 1.0)  # a ratio has no unit, the squares on the way to it could underflow
    residuals, means = residuals_and_means(x, y)
    if kind == "trace":
        return trace_ratio(residuals, means)
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


def residuals_and_means(x: Tensor, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """What is left of each row without its class mean, and that class mean without the overall mean, (n, d) each."""
    at = torch.from_numpy(y).to(x.device)
    centred = x - x.mean(0)
    # A constant column leaves a rounding error of its mean, which is no scatter.
    centred[:, (centred.abs() <= 1e-14 * x.abs().amax(0)).all(0)] = 0
    sums = centred.new_zeros(int(y.max()) + 1, x.shape[1]).index_add_(0, at, centred)
    means = (sums / torch.bincount(at)[:, None])[at]
    return centred - means, means


def trace_ratio(residuals: Tensor, means: Tensor) -> float:
    largest = max(float(residuals.abs().max()), float(means.abs().max()))
    if largest == 0:
        raise ValueError("all examples are equal, so there is no scatter to compare")
    within, between = (float((r / largest).square().sum()) for r in (residuals, means))
    return between / within if within > 1e-28 * between else math.inf


def label_names(y: Any) -> np.ndarray:
    """The labels as an array, in their own names."""
    return np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)


def _labelled(x: Any, y: Any) -> tuple[Tensor, np.ndarray]:
    x = as_sample(x)
    return x.double(), as_labels(y, len(x))
