"""Accuracy on a target without labels, from how sure a classifier is there and on the source.

No such estimate can be right under every shift: if p(y | x) changes, nothing in the inputs shows it (Garg et al. 2022,
section 3). All of these are blind to concept shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dakit.metrics.label_shift_result import resampled_counts, resampled_means
from dakit.metrics.probabilities import as_class_indices, as_probabilities
from dakit.metrics.results import Estimate


def average_confidence(probs_t: Any, *, bootstrap: int = 200, level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean of the largest probability: the accuracy on the target, if the classifier is calibrated there.

    Parameters
    ----------
    probs_t : array or tensor of shape (m, k)
        Predicted probabilities on the target.
    bootstrap : int
        Resamples for the interval, percentile method; 0 for none.
    level : float in (0, 1)
    seed : int
        Which resamples.

    Returns
    -------
    Estimate
        ``value`` in [1/k, 1]. Interval and standard error are of the sampling error alone; NaN without bootstrap.

    Raises
    ------
    TypeError, ValueError
        If ``probs_t`` are not probabilities (logits are not), ``bootstrap`` is negative or ``level`` not in (0, 1).

    References
    ----------
    Hendrycks, Gimpel (2017). A baseline for detecting misclassified and out-of-distribution examples. ICLR.

    Examples
    --------
    >>> round(average_confidence([[0.9, 0.1], [0.3, 0.7]]).value, 4)
    0.8
    """
    confidence = as_probabilities(probs_t, "probs_t").max(1)
    draws = _means(confidence, bootstrap, np.random.default_rng(seed))
    return _estimate(confidence.mean(), draws, level, "average confidence")


def difference_of_confidences(
    probs_s: Any,
    ys: Any,
    probs_t: Any,
    *,
    bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
) -> Estimate:
    """Accuracy on the source, less the fall of the mean confidence from source to target (DoC).

    ``accuracy_t = accuracy_s - (confidence_s - confidence_t)``. A classifier that is too sure of itself by the same
    amount everywhere is allowed for.

    Parameters
    ----------
    probs_s, probs_t : array or tensor of shape (n, k) and (m, k)
        Predicted probabilities on *held-out* source examples and on the target.
    ys : array of shape (n,)
        Labels of those source examples: column numbers 0 .. k-1, or names of classes.
    bootstrap, level, seed
        As for :func:`average_confidence`; both samples are resampled.
    classes : sequence of k names, optional
        What the columns stand for, where ``ys`` holds names whose sorted order is not theirs.

    Returns
    -------
    Estimate
        ``value`` in [0, 1]; the difference is cut there. The paper's regression of accuracies on DoC over many known
        shifts is left out: the slope is 1.

    Raises
    ------
    TypeError, ValueError
        As for :func:`average_confidence`, and if labels and columns do not fit.

    References
    ----------
    Guillory, Shankar, Ebrahimi, Darrell, Schmidt (2021). Predicting with confidence on unseen distributions. ICCV.

    Examples
    --------
    >>> source = [[0.9, 0.1], [0.9, 0.1]]
    >>> round(
    ...     difference_of_confidences(source, [0, 1], [[0.7, 0.3], [0.2, 0.8]]).value, 4
    ... )  # 0.5 - (0.9 - 0.75)
    0.35
    """
    confidence_s, right, target = _checked(probs_s, ys, probs_t, classes)
    rng = np.random.default_rng(seed)
    draws = _means(right - confidence_s, bootstrap, rng) + _means(target.max(1), bootstrap, rng)
    value = (right - confidence_s).mean() + target.max(1).mean()
    return _estimate(np.clip(value, 0, 1), draws.clip(0, 1), level, "difference of confidences")


def average_thresholded_confidence(
    probs_s: Any,
    ys: Any,
    probs_t: Any,
    *,
    score: Literal["confidence", "negentropy"] = "confidence",
    bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
) -> Estimate:
    """The share of target examples whose score reaches a threshold that is right on the source (ATC).

    The threshold t solves ``share of source with score < t = source error``; the estimate is the share of the target
    with ``score >= t``.

    Parameters
    ----------
    probs_s, ys, probs_t, bootstrap, level, seed, classes
        As for :func:`difference_of_confidences`.
    score : {"confidence", "negentropy"}
        The largest probability, or ``Σ p log p``, which looks at the whole row. For two classes they order examples
        alike.

    Returns
    -------
    Estimate
        ``value`` in [0, 1]; on the source itself, its accuracy, unless several examples share the threshold's score.

    Raises
    ------
    TypeError, ValueError
        As for :func:`difference_of_confidences`, and if ``score`` is unknown.

    References
    ----------
    Garg, Balakrishnan, Lipton, Neyshabur, Sedghi (2022). Leveraging unlabeled data to predict out-of-distribution
    performance. ICLR.

    Examples
    --------
    >>> source = [[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.1, 0.9]]  # one error of four: the threshold is 0.7
    >>> average_thresholded_confidence(source, [1, 1, 0, 1], [[0.65, 0.35], [0.75, 0.25]], bootstrap=0).value
    0.5
    """
    if score not in ("confidence", "negentropy"):
        raise ValueError(f"score must be 'confidence' or 'negentropy', got {score!r}")
    _, right, target = _checked(probs_s, ys, probs_t, classes)
    source = as_probabilities(probs_s, "probs_s")
    of_source, of_target = (
        p.max(1) if score == "confidence" else (p * np.log(np.where(p > 0, p, 1))).sum(1)
        for p in (source, target)
    )
    order = np.argsort(of_source, kind="stable")
    # A threshold for every number of source examples below it; beyond the last, none reaches it.
    thresholds = np.append(of_source[order], np.inf)
    # How many of the target reach each of them.
    shares = 1 - np.searchsorted(np.sort(of_target), thresholds, side="left") / len(of_target)
    n, m = len(of_source), len(of_target)
    right = right[order]
    first = _first_of_ties(thresholds)

    def at(below: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """The place of the threshold, (B,), for counts of source examples below each place, (B, n + 1)."""
        return np.abs(below[:, first] - errors[:, None]).argmin(1)

    below = np.arange(n + 1)[None]
    value = shares[first][at(below, np.array([n - right.sum()]))[0]]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(_checked_bootstrap(bootstrap)):
        counts = resampled_counts(n, 1, rng)
        below = np.concatenate([[[0]], counts.cumsum(1)], axis=1)
        share = shares[first][at(below, counts @ (1 - right))[0]]
        draws.append(
            rng.binomial(m, share) / m
        )  # given the threshold, a resample of the target is a binomial
    return _estimate(value, np.array(draws), level, f"average thresholded {score}")


def generalised_disagreement(
    probs_a: Any, probs_b: Any, *, bootstrap: int = 200, level: float = 0.95, seed: int = 0
) -> Estimate:
    """How often two classifiers agree on the target: the accuracy of either, under a condition on calibration.

    For two runs of one training (another seed, another order of the data), the expected disagreement equals the
    expected error, if the ensemble of all such runs is calibrated on the target.

    Parameters
    ----------
    probs_a, probs_b : array or tensor of shape (m, k)
        Predicted probabilities of the two classifiers on the same target examples.
    bootstrap, level, seed
        As for :func:`average_confidence`. The interval does not cover that another pair of runs differs.

    Returns
    -------
    Estimate
        ``value`` in [0, 1]. Two copies of one classifier agree everywhere, which says nothing.

    Raises
    ------
    TypeError, ValueError
        As for :func:`average_confidence`, and if the shapes differ.

    References
    ----------
    Jiang, Nagarajan, Baek, Kolter (2022). Assessing generalization of SGD via disagreement. ICLR.

    Examples
    --------
    >>> a, b = [[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]]
    >>> generalised_disagreement(a, b).value
    0.5
    """
    a = as_probabilities(probs_a, "probs_a")
    b = as_probabilities(probs_b, "probs_b", classes=a.shape[1])
    if len(a) != len(b):
        raise ValueError(
            f"probs_a and probs_b must be about the same examples, but have {len(a)} and {len(b)} rows"
        )
    agree = (a.argmax(1) == b.argmax(1)).astype(np.float64)
    draws = _means(agree, bootstrap, np.random.default_rng(seed))
    return _estimate(agree.mean(), draws, level, "agreement of two classifiers")


def _checked(
    probs_s: Any, ys: Any, probs_t: Any, classes: Sequence[Any] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source confidences, whether each source prediction is right, and the target's probabilities."""
    source = as_probabilities(probs_s, "probs_s")
    target = as_probabilities(probs_t, "probs_t", classes=source.shape[1])
    ys = as_class_indices(ys, *source.shape, "ys", classes=classes)
    return source.max(1), (source.argmax(1) == ys).astype(np.float64), target


def _first_of_ties(values: np.ndarray) -> np.ndarray:
    """Places of a sorted array at which a new value begins."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1]))


def _checked_bootstrap(bootstrap: int) -> int:
    if bootstrap < 0:
        raise ValueError(f"bootstrap must be at least 1, or 0 for no interval, got {bootstrap}")
    return bootstrap


def _means(x: np.ndarray, bootstrap: int, rng: np.random.Generator) -> np.ndarray:
    return resampled_means(x[:, None], _checked_bootstrap(bootstrap), rng)[:, 0]


def _estimate(value: float, draws: np.ndarray, level: float, method: str) -> Estimate:
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
    if len(draws) == 0:
        return Estimate(float(value), np.nan, (np.nan, np.nan), level, method)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(draws.std()), (float(low), float(high)), level, method)
