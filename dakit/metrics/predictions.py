"""Scores of a classifier's predictions: how sure they are on the target, how spread over classes, how right on source.

None of them reads a target label. Each is fooled by something: the entropy by a classifier that is sure and wrong, the
diversity by one that guesses evenly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dakit.metrics.probabilities import as_class_indices, as_logits, as_probabilities


def entropies(p: np.ndarray) -> np.ndarray:
    """Shannon entropy of each row, in nats, with 0 log 0 = 0."""
    return -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(-1)


def entropy_score(probs: Any) -> float:
    """Mean negative entropy of the target predictions, ``mean_i sum_c p_ic log p_ic``. Higher is better.

    High where the classifier is sure of the target. A classifier that has collapsed onto one class reaches the best
    value, 0: see :func:`information_maximisation`.

    Parameters
    ----------
    probs : array or tensor of shape (n, k)
        Predicted probabilities of the target.

    Returns
    -------
    float in [-log k, 0]
        In nats.

    Raises
    ------
    TypeError, ValueError
        If the rows are not finite probabilities of at least two classes.

    References
    ----------
    Morerio, Cavazza, Murino (2018). Minimal-entropy correlation alignment for unsupervised deep domain adaptation.
    ICLR.

    Examples
    --------
    >>> round(entropy_score([[0.5, 0.5], [1.0, 0.0]]), 4)
    -0.3466
    """
    return -float(entropies(as_probabilities(probs)).mean())


def class_diversity(probs: Any) -> float:
    """Entropy of the mean target prediction in units of log k, ``H(mean_i p_i) / log k``. Higher is better.

    Low where predictions crowd into few classes. The best value belongs to equal class shares, so that a target whose
    classes are not equally frequent is judged unfairly.

    Parameters
    ----------
    probs : array or tensor of shape (n, k)

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    TypeError, ValueError
        As for :func:`entropy_score`.

    References
    ----------
    Musgrave, Belongie, Lim (2022). Three new validators and a large-scale benchmark ranking for unsupervised domain
    adaptation. arXiv 2208.07360 (the diversity term of the IM score).

    Examples
    --------
    >>> class_diversity([[1.0, 0.0], [0.0, 1.0]])
    1.0
    """
    p = as_probabilities(probs)
    return min(1.0, float(entropies(p.mean(0))) / math.log(p.shape[1]))


def information_maximisation(probs: Any) -> float:
    """Mutual information of example and predicted class, ``H(mean_i p_i) - mean_i H(p_i)``. Higher is better.

    High where each prediction is sure and all together are diverse.

    Parameters
    ----------
    probs : array or tensor of shape (n, k)

    Returns
    -------
    float in [0, log k]
        In nats; 0 where all predictions are equal.

    Raises
    ------
    TypeError, ValueError
        As for :func:`entropy_score`.

    References
    ----------
    Gomes, Krause, Perona (2010). Discriminative clustering by regularized information maximization. NIPS.
    Musgrave, Belongie, Lim (2022). Three new validators and a large-scale benchmark ranking for unsupervised domain
    adaptation. arXiv 2208.07360.

    Examples
    --------
    >>> round(information_maximisation([[1.0, 0.0], [0.0, 1.0]]), 4)  # log 2
    0.6931
    """
    p = as_probabilities(probs)
    return max(0.0, float(entropies(p.mean(0)) - entropies(p).mean()))


def bnm(probs: Any) -> float:
    """Nuclear norm of the matrix of predictions over its largest possible value. Higher is better.

    ``|P|_* / sqrt(n min(n, k))``. The norm is large where the predictions are sure (a large Frobenius norm) and span
    many classes (a high rank). The paper's batch loss is ``-|P|_* / n``; the denominator here makes samples of
    different size comparable and changes no order at a fixed n.

    Parameters
    ----------
    probs : array or tensor of shape (n, k)

    Returns
    -------
    float in (0, 1]
        1 for predictions that are sure and, for ``n >= k``, equally frequent in all classes.

    Raises
    ------
    TypeError, ValueError
        As for :func:`entropy_score`.

    References
    ----------
    Cui, Wang, Zhuo, Li, Huang, Tian (2020). Towards discriminability and diversity: batch nuclear-norm maximization
    under label insufficient situations. CVPR.

    Examples
    --------
    >>> round(bnm([[1.0, 0.0], [0.0, 1.0]]), 6)
    1.0
    """
    p = as_probabilities(probs)
    n, k = p.shape
    return min(1.0, float(np.linalg.svd(p, compute_uv=False).sum()) / math.sqrt(n * min(n, k)))


def source_accuracy(scores: Any, y: Any) -> float:
    """Share of source examples whose largest score is that of their class. Higher is better.

    Parameters
    ----------
    scores : array or tensor of shape (n, k)
        Logits or probabilities on source examples that were not trained on. Of equal scores the first class counts.
    y : array or tensor of shape (n,)
        Class indices 0 .. k-1, or names whose sorted order is that of the columns.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    TypeError, ValueError
        If the scores are not finite numbers, or ``y`` does not hold one class index per row.

    Examples
    --------
    >>> source_accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    0.5
    """
    scores = as_logits(scores, "scores")
    return float((scores.argmax(1) == as_class_indices(y, *scores.shape)).mean())


def cross_entropies(logits: Any, y: Any) -> np.ndarray:
    """Cross-entropy of each row, ``-log softmax(logits_i)[y_i]``, (n,) float64, at least 0."""
    logits = as_logits(logits)
    y = as_class_indices(y, *logits.shape)
    # The largest logit of each row is 0 now: nothing overflows, and the sum is at least 1.
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]


def source_risk(logits: Any, y: Any) -> float:
    """Mean cross-entropy of source examples, ``mean_i -log softmax(logits_i)[y_i]``. **Lower is better.**

    Parameters
    ----------
    logits : array or tensor of shape (n, k)
        On source examples that were not trained on.
    y : array or tensor of shape (n,)
        Class indices 0 .. k-1, or names whose sorted order is that of the columns.

    Returns
    -------
    float, at least 0
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`source_accuracy`.

    Examples
    --------
    >>> round(source_risk([[0.0, 0.0]], [1]), 4)  # log 2
    0.6931
    """
    return float(cross_entropies(logits, y).mean())
