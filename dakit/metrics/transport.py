"""Optimal transport between samples: the exact Wasserstein distance and the Sinkhorn divergence, through POT."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.samples import as_pair
from dakit.metrics.sliced import check_power, merged_quantiles, pooled_in_unit

# Largest cost over epsilon at which exp(-cost/epsilon) keeps its digits in float64; beyond, logarithms are needed.
# Float64 throughout: the small entries of a float32 kernel are denormal numbers, which make it slower, not faster.
KERNEL_REACH = 500.0


def wasserstein(
    xs: Any, xt: Any, *, p: float = 2.0, max_points: int = 3000, subsample: bool = False, seed: int = 0
) -> float:
    """Wasserstein distance, ``W_p = (min over couplings π of Σ π_ij |xs_i - xt_j|^p)^(1/p)``, exactly.

    The p-th root is taken, so the value is in the unit of the features.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features. Float64 on the CPU.
    p : float, at least 1
    max_points : int
        Largest number of examples of a sample: the linear program takes about cubic time and n x m memory. A single
        feature needs no program, and no limit holds there.
    subsample : bool
        Take ``max_points`` random examples of a larger sample instead of raising. That biases the distance upwards,
        by about ``max_points^(-1/d)`` for d > 2p.
    seed : int
        Which random examples.

    Returns
    -------
    float, at least 0

    Raises
    ------
    TypeError
        If a sample is not numeric.
    ValueError
        If a sample has more than ``max_points`` examples and ``subsample`` is False, fewer than 2 examples, NaN or
        infinite values, or other features than its partner; if ``p`` is less than 1.

    Notes
    -----
    Points drawn from equal distributions in d dimensions are about ``n^(-1/d)`` apart: the distance between samples
    falls that slowly, and values are to be compared at equal n only.

    References
    ----------
    Flamary et al. (2021). POT: Python optimal transport. JMLR 22.
    Peyré, Cuturi (2019). Computational optimal transport. Found. Trends Mach. Learn. 11.

    Examples
    --------
    >>> wasserstein([[0.0, 0.0], [1.0, 0.0]], [[1.0, 2.0], [0.0, 2.0]])
    2.0
    """
    xs, xt = as_pair(xs, xt)
    check_power(p)
    a, b, scale = _points(xs, xt)
    if a.shape[1] == 1:
        left, right, weight = merged_quantiles(len(a), len(b))
        power = abs(np.sort(a[:, 0])[left] - np.sort(b[:, 0])[right]) ** p @ weight
        return float(scale * power ** (1 / p))
    a, b = _limited(a, b, max_points, subsample, seed)
    return scale * transport_cost(cost_matrix(a, b, p)) ** (1 / p)


def sinkhorn_divergence(
    xs: Any,
    xt: Any,
    *,
    epsilon: float = 0.05,
    p: float = 2.0,
    tolerance: float = 1e-5,
    max_iterations: int = 10_000,
    max_points: int = 5000,
    subsample: bool = False,
    seed: int = 0,
) -> float:
    """Sinkhorn divergence ``S = OT_ε(xs, xt) - OT_ε(xs, xs)/2 - OT_ε(xt, xt)/2``, entropic transport without its bias.

    ``OT_ε = min over couplings π of Σ π_ij |x_i - y_j|^p + ε KL(π | uniform)``. No root is taken: the value is in the
    unit of ``|x - y|^p``. Between ``W_p^p`` for ε → 0 and, for p = 2, ``|mean_s - mean_t|²`` for ε → ∞.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened to d features. Float64 on the CPU.
    epsilon : float, greater than 0
        ε in units of the median cost between xs and xt.
    p : float, at least 1
    tolerance : float
        Largest error of the marginals of a coupling, in the 2-norm. The error of ``OT_ε`` is about ``ε n`` times its
        square.
    max_iterations : int
    max_points : int
        Largest number of examples of a sample: a few n x m matrices are in memory.
    subsample : bool
        Take ``max_points`` random examples of a larger sample instead of raising.
    seed : int
        Which random examples.

    Returns
    -------
    float, at least 0
        0 where the samples are the same points; what rounding or tolerance leaves below 0 is reported as 0.

    Raises
    ------
    TypeError, ValueError
        As for :func:`wasserstein`; if ``epsilon`` is not positive, or ``max_iterations`` do not reach ``tolerance``.

    References
    ----------
    Feydy et al. (2019). Interpolating between optimal transport and MMD using Sinkhorn divergences. AISTATS.
    Cuturi (2013). Sinkhorn distances. NIPS.

    Examples
    --------
    >>> x = [[0.0], [1.0], [5.0]]
    >>> round(sinkhorn_divergence(x, [[2.0], [3.0], [7.0]], epsilon=1.0), 3)  # W_2^2 of a shift by 2
    4.0
    """
    xs, xt = as_pair(xs, xt)
    check_power(p)
    if not 0 < epsilon < np.inf:
        raise ValueError(f"epsilon must be a positive number, in units of the median cost, got {epsilon}")
    if max_iterations < 1 or not tolerance > 0:
        raise ValueError(
            f"max_iterations must be at least 1 and tolerance positive, got {max_iterations} and {tolerance}"
        )
    a, b, scale = _points(xs, xt)
    a, b = _limited(a, b, max_points, subsample, seed)
    across = cost_matrix(a, b, p)
    strength = epsilon * float(np.median(across) or across.mean())
    if strength == 0:
        return 0.0
    across, of_a, of_b = (
        _entropic_cost(cost, strength, tolerance, max_iterations)
        for cost in (across, cost_matrix(a, a, p), cost_matrix(b, b, p))
    )
    return float(scale**p * max(0.0, across - (of_a + of_b) / 2))


def _entropic_cost(cost: np.ndarray, epsilon: float, tolerance: float, max_iterations: int) -> float:
    """``OT_ε`` by its dual: the mean of the two potentials, whose error is quadratic in that of the marginals."""
    import ot

    n, m = cost.shape
    method = "sinkhorn" if cost.max() / epsilon <= KERNEL_REACH else "sinkhorn_log"
    with np.errstate(all="ignore"):  # it also returns the exponentials of the potentials, which overflow
        _, log = ot.sinkhorn(
            np.full(n, 1 / n),
            np.full(m, 1 / m),
            cost,
            epsilon,
            method=method,
            numItermax=max_iterations,
            stopThr=tolerance,
            log=True,
            warn=False,
        )
    if not log["err"] or not log["err"][-1] <= tolerance:
        raise ValueError(
            f"Sinkhorn's iteration did not reach tolerance {tolerance:g} in {max_iterations} steps; "
            "raise epsilon, max_iterations or tolerance"
        )
    if method == "sinkhorn":
        u, v = np.log(log["u"]), np.log(log["v"])
    else:
        u, v = log["log_u"], log["log_v"]
    return float(epsilon * ((u + np.log(n)).mean() + (v + np.log(m)).mean()))


def transport_cost(cost: np.ndarray) -> float:
    """Smallest mean cost of moving n equal weights onto m, by the network simplex."""
    import ot

    n, m = cost.shape
    weights = np.full(n, 1 / n), np.full(m, 1 / m)
    value, log = ot.emd2(*weights, cost, numItermax=10_000_000, log=True, center_dual=False)
    if log["warning"]:
        raise ValueError(f"the linear program of optimal transport was not solved: {log['warning']}")
    return max(0.0, float(value))


def cost_matrix(a: np.ndarray, b: np.ndarray, p: float) -> np.ndarray:
    from scipy.spatial.distance import cdist

    if p == 2:
        return cdist(a, b, "sqeuclidean")
    return cdist(a, b) ** p


def _points(xs: Tensor, xt: Tensor) -> tuple[np.ndarray, np.ndarray, float]:
    points, scale = pooled_in_unit(xs.to(torch.float64), xt.to(torch.float64))
    points = points.cpu().numpy()
    return points[: len(xs)], points[len(xs) :], scale


def _limited(
    a: np.ndarray, b: np.ndarray, max_points: int, subsample: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    if max_points < 2:
        raise ValueError(f"max_points must be at least 2, got {max_points}")
    if max(len(a), len(b)) <= max_points:
        return a, b
    if not subsample:
        raise ValueError(
            f"samples of {len(a)} and {len(b)} examples exceed max_points={max_points}; raise it, "
            "pass subsample=True to use that many random examples, or take sliced_wasserstein"
        )
    rng = np.random.default_rng(seed)
    return tuple(
        x if len(x) <= max_points else x[rng.choice(len(x), max_points, replace=False)] for x in (a, b)
    )
