"""The most likely proportions of a mixture whose components are known: EM with a certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Proportions:
    """What :func:`mixture_proportions` found.

    Attributes
    ----------
    values : array of shape (k,)
        Not negative, sum 1.
    log_likelihood : array of shape (iterations + 1,)
        The mean log-likelihood before each iteration and after the last; it never falls.
    gap : float
        The largest possible log-likelihood exceeds the last by at most this much.
    """

    values: np.ndarray
    log_likelihood: np.ndarray
    gap: float


def mixture_proportions(
    densities: np.ndarray,
    *,
    start: np.ndarray | None = None,
    counts: np.ndarray | None = None,
    tolerance: float = 1e-7,
    max_iterations: int = 1000,
) -> Proportions:
    """Maximise ``L(q) = Σ_i c_i log Σ_k q_k l_ik / Σ_i c_i`` over the proportions q of a mixture.

    The problem is concave. An EM step multiplies each q_k by ``g_k = ∂L/∂q_k``, whose q-weighted mean is always 1;
    hence ``max L - L(q) <= max_k g_k - 1``, which says when to stop. Every iteration makes two such steps and jumps
    along their difference (SQUAREM), a jump that is dropped where it would lower the likelihood.

    Parameters
    ----------
    densities : array of shape (m, k)
        ``l_ik >= 0``, the density of point i under component k, up to a factor of each point. No row and no column is
        zero.
    start : array of shape (k,), optional
        Positive; all equal by default.
    counts : array of shape (m,), optional
        How often each point counts; once by default.
    tolerance : float
        Stop when the gap in mean log-likelihood is at most this.
    max_iterations : int

    Returns
    -------
    Proportions

    References
    ----------
    Saerens, Latinne, Decaestecker (2002). Adjusting the outputs of a classifier to new a priori probabilities.
    Neural Computation 14.
    Varadhan, Roland (2008). Simple and globally convergent methods for accelerating the convergence of any EM
    algorithm. Scandinavian Journal of Statistics 35.

    Examples
    --------
    >>> mixture_proportions(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).values.round(6)
    array([0.666667, 0.333333])
    """
    m, k = densities.shape
    share = np.full(m, 1 / m) if counts is None else counts / counts.sum()
    # A point's own factor changes L by a constant; without it nothing can underflow.
    largest = densities.max(1)
    scaled = densities / largest[:, None]
    constant = float(share @ np.log(largest))

    def look(q: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(scaled @ q, np.finfo(float).tiny)
        return float(share @ np.log(mixed)) + constant, (share / mixed) @ scaled

    q = np.full(k, 1 / k) if start is None else start / start.sum()
    level, gradient = look(q)
    path = [level]
    while gradient.max() - 1 > tolerance and len(path) <= max_iterations:
        first = q * gradient
        second = first * look(first)[1]
        second /= second.sum()
        r, v = first - q, second - 2 * first + q
        length = -np.sqrt((r @ r) / (v @ v)) if v @ v > 0 else -1.0
        q, (level, gradient) = second, look(second)
        if length < -1:
            # A proportion that a jump makes zero would stay zero, so it may fall to a tenth at most.
            jumped = np.maximum(first - r - 2 * length * r + length**2 * v, second / 10)
            jumped /= jumped.sum()
            there = look(jumped)
            if there[0] > level:
                q, (level, gradient) = jumped, there
        path.append(max(level, path[-1]))  # rounding alone makes EM fall
    return Proportions(q, np.array(path), float(max(gradient.max() - 1, 0)))
