"""Has the mix of classes moved? A test on what a classifier predicts, and the repair of its probabilities."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from torch import Tensor

from dakit.metrics.permutation import permute
from dakit.metrics.probabilities import as_probabilities
from dakit.metrics.results import TwoSampleTest
from dakit.metrics.samples import as_tensor

EXACT_UP_TO = 1_000_000  # n * m, beyond which the Kolmogorov-Smirnov p-value is asymptotic


def label_shift_test(
    probs_s: Any,
    probs_t: Any,
    *,
    method: Literal["permutation", "chi2", "ks"] = "permutation",
    permutations: int = 999,
    seed: int = 0,
) -> TwoSampleTest:
    """Black-box shift detection: do source and target predictions of one classifier come from one distribution?

    A classifier reduces examples to k numbers, in which a small shift of the classes is easier to see than in the
    features. Predictions differ under covariate shift too: the test finds a shift, and calls it label shift only where
    p(x | y) is known to have stayed.

    Parameters
    ----------
    probs_s, probs_t : array or tensor of shape (n, k) and (m, k)
        Predicted probabilities on *held-out* source examples and on the target.
    method : {"permutation", "chi2", "ks"}
        Pearson's chi-square of the predicted classes, with an exact permutation p-value or with the asymptotic one,
        which needs expected counts of about 5; or the largest Kolmogorov-Smirnov distance among the k columns, its
        smallest p-value times k (Bonferroni), which looks at the probabilities themselves.
    permutations : int
        For ``"permutation"``.
    seed : int
        Which permutations.

    Returns
    -------
    TwoSampleTest
        P-values of ``"chi2"`` are uniform for large samples only; those of ``"ks"`` are on the cautious side.

    Raises
    ------
    TypeError
        If the predictions are not numeric.
    ValueError
        If they are not probabilities, have different numbers of columns or fewer than 2 rows, or ``method`` is unknown.

    References
    ----------
    Rabanser, Günnemann, Lipton (2019). Failing loudly: an empirical study of methods for detecting dataset shift.
    NeurIPS.
    Lipton, Wang, Smola (2018). Detecting and correcting for label shift with black box predictors. ICML, section 5.

    Examples
    --------
    >>> source, target = [[0.9, 0.1], [0.1, 0.9]] * 20, [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]] * 10
    >>> label_shift_test(source, target, method="chi2").pvalue < 0.05
    True
    """
    probs_s = as_probabilities(probs_s, "probs_s")
    probs_t = as_probabilities(probs_t, "probs_t", classes=probs_s.shape[1])
    n, m, k = len(probs_s), len(probs_t), probs_s.shape[1]
    if min(n, m) < 2:
        raise ValueError(f"a test needs at least 2 examples in each sample, got {n} and {m}")
    if method == "ks":
        return _ks(probs_s, probs_t)
    predicted = np.eye(k)[np.concatenate([probs_s.argmax(1), probs_t.argmax(1)])]
    predicted = predicted[:, predicted.any(0)]  # a class that is never predicted takes no part
    total = predicted.sum(0)

    def chi_square(in_source: np.ndarray) -> np.ndarray:
        # Of the 2 x k table with rows n and m, from its first row (k, B).
        expected = total[:, None] * n / (n + m)
        return (np.square(in_source - expected) / expected).sum(0) * (n + m) / m

    if method == "chi2":
        from scipy.stats import chi2

        statistic = float(chi_square(predicted[:n].sum(0)[:, None])[0])
        pvalue = float(chi2.sf(statistic, len(total) - 1)) if len(total) > 1 else 1.0
        return TwoSampleTest(statistic, pvalue, method="chi-square test of the predicted classes")
    if method != "permutation":
        raise ValueError(f"method must be 'permutation', 'chi2' or 'ks', got {method!r}")

    def evaluate(labels: Tensor) -> np.ndarray:
        return chi_square(predicted.T @ labels.numpy().astype(np.float64))

    return permute(
        evaluate,
        n,
        m,
        permutations=permutations,
        seed=seed,
        method="permutation test of the predicted classes",
    )


def adjust_probabilities(probs: Any, weights: Any) -> np.ndarray:
    """A source classifier's probabilities, corrected for the class shares of the target.

    By Bayes' rule under label shift, ``p_t(y | x) ∝ w_y p_s(y | x)`` with ``w = priors_t / priors_s``.

    Parameters
    ----------
    probs : array or tensor of shape (n, k)
        Calibrated on the source.
    weights : array of shape (k,)
        As :class:`LabelShift` has them. Not negative, at least one positive; their scale does not matter.

    Returns
    -------
    array of shape (n, k), float64
        Rows sum to 1. A row all of whose probability lies on classes of weight 0 becomes ``weights / sum(weights)``:
        its evidence was for the impossible.

    Raises
    ------
    TypeError, ValueError
        If ``probs`` are not probabilities, or the weights do not fit them.

    References
    ----------
    Saerens, Latinne, Decaestecker (2002). Adjusting the outputs of a classifier to new a priori probabilities.
    Neural Computation 14, eq. 2.4.

    Examples
    --------
    >>> adjust_probabilities([[0.5, 0.5]], [0.4, 1.6])
    array([[0.2, 0.8]])
    """
    probs = as_probabilities(probs)
    weights = as_tensor(weights, "weights").double().cpu().numpy()
    if weights.shape != (probs.shape[1],):
        raise ValueError(
            f"weights must hold one number for each of {probs.shape[1]} classes, got {weights.shape}"
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("weights must be finite and not negative, and at least one positive")
    weights = weights / weights.max()
    adjusted = probs * weights
    sums = adjusted.sum(1, keepdims=True)
    return np.where(sums > 0, adjusted / np.where(sums > 0, sums, 1), weights / weights.sum())


def _ks(probs_s: np.ndarray, probs_t: np.ndarray) -> TwoSampleTest:
    from scipy.stats import ks_2samp

    k = probs_s.shape[1]
    how = "exact" if len(probs_s) * len(probs_t) <= EXACT_UP_TO else "asymp"
    # The second column of two classes repeats the first.
    tests = [ks_2samp(probs_s[:, j], probs_t[:, j], method=how) for j in range(k if k > 2 else 1)]
    return TwoSampleTest(
        max(float(t.statistic) for t in tests),
        min(1.0, len(tests) * min(float(t.pvalue) for t in tests)),
        method="Kolmogorov-Smirnov tests of the predicted probabilities",
    )
