"""What estimators of label shift share: checked predictions, their resamples, and the result."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dakit.metrics.probabilities import as_class_indices, as_probabilities

DRAWS = 100  # resamples that judge the confusion matrix where fewer are asked for intervals


class UnidentifiableWarning(UserWarning):
    """The target's class shares cannot be told from these predictions."""


@dataclass(frozen=True)
class LabelShift:
    """Class shares of the target, and how far to trust them.

    Attributes
    ----------
    priors : array of shape (k,)
        Estimated class shares of the target; not negative, sum 1.
    weights : array of shape (k,)
        ``priors / source_priors``: how much a source example of each class should count.
    interval : array of shape (k, 2)
        Lower and upper end for each class share at ``level``; shape (0, 2) without bootstrap. Percentiles of a
        bootstrap that keeps the classifier. Measured coverage of 95 % intervals: 91 to 95 % for BBSE, 80 to 95 % for
        MLLS with "bcts", least for rare classes under a strong shift. Not to be trusted where ``identifiable`` is
        False: classes that the classifier merges entirely give narrow intervals around a wrong share.
    source_priors : array of shape (k,)
        Class shares of the source sample.
    condition : float
        Condition number of the confusion matrix ``M_ij = mean prediction i over source class j``; infinite where it
        is singular.
    identifiable : bool
        Whether a singular M is ruled out by the sample: the smallest singular value of M exceeds the 95 % quantile
        of ``|M* - M|₂`` over resamples M*. The smallest singular value cannot change by more than the spectral norm of
        the error in M (Weyl), so where it is smaller than a common error, the true M may be singular; then a change of
        the class shares along its null space leaves the mean prediction as it is, and no estimate is to be believed.
        The rule compares the two directly, without a threshold for the condition number: M of condition 100 is
        informative with a million examples and noise with a hundred.
    method : str
    level : float
    iterations : int
        Of EM; 0 for methods without iteration.
    log_likelihood : array of shape (iterations + 1,)
        Of EM, mean over target points up to a constant; empty otherwise.
    """

    priors: np.ndarray
    weights: np.ndarray
    interval: np.ndarray
    source_priors: np.ndarray
    condition: float
    identifiable: bool
    method: str
    level: float = 0.95
    iterations: int = 0
    log_likelihood: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)

    @classmethod
    def of(
        cls,
        given: Predictions,
        priors: np.ndarray,
        method: str,
        *,
        resampled: Resamples,
        interval: np.ndarray,
        level: float,
        log_likelihood: np.ndarray | None = None,
    ) -> LabelShift:
        """The result for class shares that a method found; warns where they are unidentifiable."""
        confusion = given.confusion()
        values = np.linalg.svd(confusion, compute_uv=False)
        errors = np.linalg.norm(resampled.confusions - confusion, ord=2, axis=(1, 2))
        identifiable = bool(values[-1] > max(np.quantile(errors, 0.95), 1e-10))
        if not identifiable:
            warnings.warn(
                f"{method}: the class shares of the target are unidentifiable: the smallest singular value of the "
                f"confusion matrix, {values[-1]:.3g}, is within its sampling error, "
                f"{np.quantile(errors, 0.95):.3g}; use a better classifier, more source examples or fewer classes",
                UnidentifiableWarning,
                stacklevel=4,
            )
        path = np.empty(0) if log_likelihood is None else log_likelihood
        return cls(
            priors,
            priors / given.shares,
            interval,
            given.shares,
            float(values[0] / values[-1]) if values[-1] > 1e-14 else np.inf,
            identifiable,
            method,
            level,
            max(0, len(path) - 1),
            path,
        )


@dataclass(frozen=True)
class Resamples:
    """Bootstrap of the labelled source sample.

    Attributes
    ----------
    confusions : array of shape (draws, k, k)
        Each class is resampled by itself, as the matrix is conditional on the class.
    shares : array of shape (draws, k)
        Class shares of samples of n labels; positive.
    """

    confusions: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class Predictions:
    """Checked input: predictions on source and target, and the source labels as column numbers."""

    source: np.ndarray
    target: np.ndarray
    ys: np.ndarray

    @classmethod
    def of(
        cls,
        ys: Any,
        probs_s: Any,
        probs_t: Any,
        *,
        classes: Sequence[Any] | None = None,
        hard: bool = False,
    ) -> Predictions:
        source = as_probabilities(probs_s, "probs_s")
        target = as_probabilities(probs_t, "probs_t", classes=source.shape[1])
        ys = as_class_indices(ys, *source.shape, "ys", classes=classes)
        count = np.bincount(ys, minlength=source.shape[1])
        if not count.all():
            missing = int(count.argmin())
            name = missing if classes is None else list(classes)[missing]
            raise ValueError(
                f"class {name} has no source example, so nothing tells what the classifier predicts on it; "
                "label shift needs every class in ys"
            )
        if hard:
            source, target = (np.eye(p.shape[1])[p.argmax(1)] for p in (source, target))
        return cls(source, target, ys)

    @property
    def k(self) -> int:
        return self.source.shape[1]

    @property
    def shares(self) -> np.ndarray:
        """Class shares of the source sample, (k,)."""
        return np.bincount(self.ys, minlength=self.k) / len(self.ys)

    def confusion(self) -> np.ndarray:
        """``M_ij``: mean prediction i over source examples of class j; columns sum to 1."""
        return np.stack([self.source[self.ys == j].mean(0) for j in range(self.k)], axis=1)

    def resample(self, draws: int, seed: int) -> Resamples:
        """At least 100 draws, whatever is asked for, since the confusion matrix is judged by them too."""
        if draws < 0:
            raise ValueError(f"bootstrap must be at least 1, or 0 for no interval, got {draws}")
        draws = max(draws, DRAWS)
        rng = np.random.default_rng(seed)
        confusions = np.stack(
            [resampled_means(self.source[self.ys == j], draws, rng) for j in range(self.k)], axis=2
        )
        counts = np.maximum(rng.multinomial(len(self.ys), self.shares, size=draws), 1)
        return Resamples(confusions, counts / counts.sum(1, keepdims=True))

    def resampled_means(self, draws: int, seed: int) -> np.ndarray:
        """Mean predictions on resamples of the target, (draws, k)."""
        return resampled_means(self.target, draws, np.random.default_rng([seed, 1]))


def resampled_counts(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n points occurs in resamples of size n: (draws, n), float64."""
    index = rng.integers(0, n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(index.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def resampled_means(x: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Means of ``draws`` resamples of the rows of ``x``, (draws, k), in memory that does not grow with both."""
    at_once = max(1, 4_000_000 // len(x))
    parts = [
        resampled_counts(len(x), min(at_once, draws - start), rng) @ x / len(x)
        for start in range(0, draws, at_once)
    ]
    return np.concatenate(parts) if parts else np.empty((0, x.shape[1]))


def percentile_interval(draws: Sequence[np.ndarray], level: float, k: int) -> np.ndarray:
    """Lower and upper percentile of each of k numbers: (k, 2), or (0, 2) without draws."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
    if len(draws) == 0:
        return np.empty((0, 2))
    return np.quantile(np.stack(draws), [(1 - level) / 2, (1 + level) / 2], axis=0).T.reshape(k, 2)
