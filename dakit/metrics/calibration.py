"""Calibration: does a classifier that says 80 % turn out right in 80 % of the cases?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dakit.metrics.probabilities import as_class_indices, as_probabilities

Norm = Literal["l1", "l2", "max"]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram in numbers, one entry for each bin of confidence.

    Attributes
    ----------
    edges : array of shape (bins + 1,)
        A bin holds confidences from its lower edge up to, and without, its upper edge; the last holds its upper edge
        too.
    confidence : array of shape (bins,)
        Mean confidence of the predictions in the bin; NaN in an empty bin.
    accuracy : array of shape (bins,)
        Share of them that are right; NaN in an empty bin.
    count : array of shape (bins,), int
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability(
    probs: Any, y: Any, *, bins: int = 15, adaptive: bool = False, classes: Sequence[Any] | None = None
) -> Reliability:
    """Confidence against accuracy in bins: the numbers of a reliability diagram.

    Confidence is the largest probability of a row; a prediction is right where it is that of the true class.

    Parameters
    ----------
    probs : array or tensor of shape (n, k)
        Probabilities; rows sum to 1.
    y : array of shape (n,)
        Column numbers 0 .. k-1, or names of classes.
    bins : int
    adaptive : bool
        Bins that hold equally many predictions (equal confidences stay together), not bins of equal width.
    classes : sequence of k names, optional
        What the columns stand for, where ``y`` holds names whose sorted order is not theirs.

    Returns
    -------
    Reliability

    Raises
    ------
    TypeError, ValueError
        If ``probs`` does not hold probabilities (logits do not), labels and columns do not fit, or ``bins`` is less
        than 1.

    References
    ----------
    Niculescu-Mizil, Caruana (2005). Predicting good probabilities with supervised learning. ICML.

    Examples
    --------
    >>> r = reliability([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2)
    >>> r.accuracy, r.count
    (array([       nan, 0.66666667]), array([0, 3]))
    """
    probs = as_probabilities(probs)
    y = as_class_indices(y, len(probs), probs.shape[1], classes=classes)
    confidence = probs.max(1)
    return _binned(confidence, probs.argmax(1) == y, bins, adaptive)


def ece(
    probs: Any,
    y: Any,
    *,
    bins: int = 15,
    norm: Norm = "l1",
    adaptive: bool = False,
    classes: Sequence[Any] | None = None,
) -> float:
    """Expected calibration error of the predicted class.

    ``ECE = Σ_b (n_b / n) |accuracy_b - confidence_b|`` over bins b of confidence.

    Parameters
    ----------
    probs, y, bins, adaptive, classes
        As for :func:`reliability`.
    norm : {"l1", "l2", "max"}
        The weighted mean of the gaps, the root of the weighted mean of their squares, or the largest of them.

    Returns
    -------
    float in [0, 1]
        0 for a calibrated classifier with infinitely many examples. With few it is positive by chance, roughly
        ``sqrt(bins / n) / 2``, so compare values of equal n.

    Raises
    ------
    TypeError, ValueError
        As for :func:`reliability`, and if ``norm`` is unknown.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.
    Nixon, Dusenberry, Zhang, Jerfel, Tran (2019). Measuring calibration in deep learning. CVPR workshops.

    Examples
    --------
    >>> round(ece([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1]), 4)  # gaps 0.1, 0.8 and 0.3
    0.4
    """
    return _gap(reliability(probs, y, bins=bins, adaptive=adaptive, classes=classes), norm)


def classwise_ece(
    probs: Any,
    y: Any,
    *,
    bins: int = 15,
    norm: Norm = "l1",
    adaptive: bool = False,
    classes: Sequence[Any] | None = None,
) -> float:
    """Calibration error of all probabilities, not of the largest alone.

    The mean over classes j of the ECE of "p_j against how often the class is j". A classifier may know how often its
    answer is right and still spread the rest of the probability wrongly over the other classes.

    Parameters
    ----------
    probs, y, bins, norm, adaptive, classes
        As for :func:`ece`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    TypeError, ValueError
        As for :func:`ece`.

    References
    ----------
    Kull, Perello-Nieto, Kängsepp, Silva Filho, Song, Flach (2019). Beyond temperature scaling. NeurIPS, eq. 4.

    Examples
    --------
    >>> round(classwise_ece([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1]), 4)
    0.4
    """
    probs = as_probabilities(probs)
    y = as_class_indices(y, len(probs), probs.shape[1], classes=classes)
    return float(
        np.mean([_gap(_binned(column, y == j, bins, adaptive), norm) for j, column in enumerate(probs.T)])
    )


def brier(probs: Any, y: Any, *, classes: Sequence[Any] | None = None) -> float:
    """Brier score: mean squared distance between the probabilities and the truth, ``mean |p - onehot(y)|²``.

    Parameters
    ----------
    probs, y, classes
        As for :func:`reliability`.

    Returns
    -------
    float in [0, 2]
        Summed over classes; for two classes this is twice the score that looks at one of them.

    Raises
    ------
    TypeError, ValueError
        As for :func:`reliability`.

    References
    ----------
    Brier (1950). Verification of forecasts expressed in terms of probability. Monthly Weather Review 78.

    Examples
    --------
    >>> round(brier([[0.9, 0.1], [0.8, 0.2]], [0, 1]), 4)
    0.65
    """
    probs = as_probabilities(probs)
    y = as_class_indices(y, len(probs), probs.shape[1], classes=classes)
    # |p - e_y|² = |p|² - 2 p_y + 1
    return float(np.mean(np.square(probs).sum(1) - 2 * probs[np.arange(len(y)), y] + 1))


def nll(probs: Any, y: Any, *, classes: Sequence[Any] | None = None) -> float:
    """Negative log-likelihood of the true classes, ``-mean log p_y``, in nats.

    Parameters
    ----------
    probs, y, classes
        As for :func:`reliability`.

    Returns
    -------
    float, at least 0
        Infinite where a true class has probability 0: the classifier has ruled out what happened.

    Raises
    ------
    TypeError, ValueError
        As for :func:`reliability`.

    References
    ----------
    Good (1952). Rational decisions. Journal of the Royal Statistical Society B 14.

    Examples
    --------
    >>> round(nll([[0.9, 0.1], [0.8, 0.2]], [0, 1]), 4)
    0.8574
    """
    probs = as_probabilities(probs)
    y = as_class_indices(y, len(probs), probs.shape[1], classes=classes)
    chosen = probs[np.arange(len(y)), y]
    return float(np.inf) if (chosen == 0).any() else max(0.0, float(-np.log(chosen).mean()))


def _binned(confidence: np.ndarray, right: np.ndarray, bins: int, adaptive: bool) -> Reliability:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    edges = np.linspace(0, 1, bins + 1)
    if adaptive:
        edges = np.unique(np.quantile(confidence, edges))
        if len(edges) == 1:
            edges = np.repeat(edges, 2)
        bins = len(edges) - 1
    at = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)
    count = np.bincount(at, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return Reliability(
        edges,
        np.bincount(at, confidence, minlength=bins) / filled,
        np.bincount(at, right, minlength=bins) / filled,
        count,
    )


def _gap(diagram: Reliability, norm: str) -> float:
    gaps = np.nan_to_num(np.abs(diagram.accuracy - diagram.confidence))
    share = diagram.count / diagram.count.sum()
    if norm == "l1":
        return float(share @ gaps)
    if norm == "l2":
        return float(np.sqrt(share @ gaps**2))
    if norm == "max":
        return float(gaps.max())
    raise ValueError(f"norm must be 'l1', 'l2' or 'max', got {norm!r}")
