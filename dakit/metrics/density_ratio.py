"""Direct fits of the ratio of two densities by kernels around target points: uLSIF, RuLSIF and KLIEP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dakit.metrics.covariate_weights import Weights, checked_pair
from dakit.metrics.kernels import median_heuristic
from dakit.metrics.mixture_em import mixture_proportions

# Bandwidths to choose from, in units of the median squared distance; in high dimensions distances are alike, and
# narrow kernels see nothing.
RATIOS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
PENALTIES = tuple(float(10**e) for e in np.linspace(-3, 1, 9))
FOLDS = 5


def ulsif_weights(
    xs: Any,
    xt: Any,
    *,
    alpha: float = 0.0,
    bandwidth: float | None = None,
    lambda_: float | None = None,
    centres: int = 100,
    seed: int = 0,
) -> Weights:
    """Least-squares fit of the density ratio: uLSIF, and RuLSIF for ``alpha > 0``.

    The ratio is modelled as ``w(x) = Σ_l a_l exp(-|x - c_l|² / bandwidth)`` with centres among the target points;
    ``a = (H + lambda_ I)⁻¹ h`` minimises the squared error under ``q = alpha p_t + (1 - alpha) p_s``, with
    ``H = E_q φφ'`` and ``h = E_t φ``. Negative coefficients are set to 0.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    alpha : float in [0, 1)
        With 0 the ratio ``p_t / p_s``. Otherwise ``p_t / (alpha p_t + (1 - alpha) p_s)``, which never exceeds
        ``1 / alpha`` and is easier to estimate, but weights the source to something between source and target.
    bandwidth, lambda_ : float, optional
        Chosen by cross-validation of the squared error where not given: leaving out one example of each sample at a
        time, in closed form, for ``alpha = 0``; in 5 parts otherwise. The candidates are 8 bandwidths around the median
        squared distance, and 9 penalties from 1e-3 to 10.
    centres : int
        Number of kernels, at random target points.
    seed : int
        Which target points.

    Returns
    -------
    Weights
        ``chosen`` holds ``bandwidth``, ``lambda_`` and ``alpha``.

    Raises
    ------
    TypeError, ValueError
        As for :func:`covariate_weights`, and if an option is out of range.

    References
    ----------
    Kanamori, Hido, Sugiyama (2009). A least-squares approach to direct importance estimation. JMLR 10.
    Yamada, Suzuki, Kanamori, Hachiya, Sugiyama (2013). Relative density-ratio estimation for robust distribution
    comparison. Neural Computation 25.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 1))
    >>> xs, xt = x[:200], x[200:] + 1
    >>> w = ulsif_weights(xs, xt)
    >>> bool(abs(xs[:, 0] @ w.values / 200 - xt.mean()) < abs(xs.mean() - xt.mean()) / 2)
    True
    """
    xs, xt, constant = checked_pair(xs, xt)
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha must lie in [0, 1), got {alpha}")
    _check_positive(bandwidth=bandwidth, lambda_=lambda_, centres=centres)
    name = "uLSIF" if alpha == 0 else "RuLSIF"
    if constant:
        return Weights.of(np.ones(len(xs)), name)
    unit, distances_s, distances_t, _ = _distances(xs, xt, centres, seed)
    penalties = PENALTIES if lambda_ is None else (lambda_,)
    ratios = RATIOS if bandwidth is None else (bandwidth / unit,)
    order = np.random.default_rng([seed, 1])
    rows_s, rows_t = order.permutation(len(xs)), order.permutation(len(xt))
    best = (np.inf, 0.0, 0.0)
    if len(ratios) * len(penalties) == 1:
        best = (0.0, ratios[0], penalties[0])
    else:
        for ratio in ratios:
            phi_s, phi_t = (np.exp(-d / ratio) for d in (distances_s, distances_t))
            if alpha == 0:
                risks = leave_one_out_risks(phi_s[rows_s], phi_t[rows_t], penalties)
            else:
                risks = _cross_validated_risks(phi_s[rows_s], phi_t[rows_t], penalties, alpha)
            best = min([best, *((risk, ratio, penalty) for risk, penalty in zip(risks, penalties))])
    _, ratio, penalty = best
    phi_s, phi_t = (np.exp(-d / ratio) for d in (distances_s, distances_t))
    values = phi_s @ _coefficients(*_moments(phi_s, phi_t, alpha), penalty)
    return Weights.of(values, name, bandwidth=ratio * unit, lambda_=penalty, alpha=alpha)


def kliep_weights(
    xs: Any, xt: Any, *, bandwidth: float | None = None, centres: int = 100, seed: int = 0
) -> Weights:
    """Kullback-Leibler importance estimation: the ratio under which the target is most likely.

    Maximises ``mean_j log w(xt_j)`` for ``w(x) = Σ_l a_l exp(-|x - c_l|² / bandwidth)`` with ``a >= 0`` and
    ``mean_i w(xs_i) = 1``, the centres being target points.

    Parameters
    ----------
    xs, xt : array or tensor of shape (n, ...) and (m, ...)
        Source and target; examples are flattened.
    bandwidth : float, optional
        Chosen by the likelihood of left-out fifths of the target where not given, among 8 around the median squared
        distance.
    centres : int
        Number of kernels, at random target points.
    seed : int
        Which target points, and the fifths.

    Returns
    -------
    Weights
        ``chosen`` holds ``bandwidth``, the mean ``log_likelihood`` of the target, an estimate of KL(target, source),
        and ``gap``, by which that falls short of the largest possible.

    Raises
    ------
    TypeError, ValueError
        As for :func:`covariate_weights`, and if an option is out of range, or target points are so far from the source
        that every kernel vanishes there.

    Notes
    -----
    With ``b_l = mean_i k(xs_i, c_l)``, the numbers ``a_l b_l`` are proportions of a mixture with components
    ``k(x, c_l) / b_l``, so that EM solves the problem without a step size.

    References
    ----------
    Sugiyama, Suzuki, Nakajima, Kashima, von Bünau, Kawanabe (2008). Direct importance estimation for covariate shift
    adaptation. Annals of the Institute of Statistical Mathematics 60.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(400, 1))
    >>> xs, xt = x[:200], x[200:] + 1
    >>> w = kliep_weights(xs, xt)
    >>> bool(abs(xs[:, 0] @ w.values / 200 - xt.mean()) < abs(xs.mean() - xt.mean()) / 2)
    True
    """
    xs, xt, constant = checked_pair(xs, xt)
    _check_positive(bandwidth=bandwidth, centres=centres)
    if constant:
        return Weights.of(np.ones(len(xs)), "KLIEP")
    unit, distances_s, distances_t, chosen = _distances(xs, xt, centres, seed)
    ratio = None if bandwidth is None else bandwidth / unit
    if ratio is None:
        part = np.random.default_rng([seed, 1]).permutation(len(xt)) % min(FOLDS, len(xt))
        scores = [_left_out_likelihood(distances_s, distances_t, part, chosen, r) for r in RATIOS]
        ratio = RATIOS[int(np.argmax(scores))]
    phi_s, phi_t = (np.exp(-d / ratio) for d in (distances_s, distances_t))
    seen = phi_s.mean(0) > 1e-100
    if not seen.any() or not (phi_t[:, seen].max(1) > 0).all():
        raise ValueError(
            "target points lie so far from the source that all kernels vanish there; give a larger bandwidth, or "
            "standardise the features"
        )
    mass = phi_s[:, seen].mean(0)
    found = mixture_proportions(phi_t[:, seen] / mass, tolerance=1e-5, max_iterations=1000)
    return Weights.of(
        phi_s[:, seen] @ (found.values / mass),
        "KLIEP",
        bandwidth=ratio * unit,
        log_likelihood=float(found.log_likelihood[-1]),
        gap=found.gap,
    )


def leave_one_out_risks(phi_s: np.ndarray, phi_t: np.ndarray, penalties: Sequence[float]) -> list[float]:
    """Leave-one-out squared errors of uLSIF, ``mean_i w_i(xs_i)²/2 - w_i(xt_i)``, in closed form.

    ``w_i`` is fitted without source example i and target example i, for i up to the smaller sample's size. The matrix
    to invert changes by a term of rank one then.
    """
    (n, k), m = phi_s.shape, len(phi_t)
    pairs = min(n, m)
    x, z = phi_s[:pairs], phi_t[:pairs]
    moments = phi_s.T @ phi_s / n
    h = (phi_t.sum(0) - z) / (m - 1)  # without each target example in turn
    risks = []
    for penalty in penalties:
        inverse = np.linalg.inv(moments + penalty * (n - 1) / n * np.eye(k))
        solved, turned = h @ inverse, x @ inverse
        # (B - xx'/n)⁻¹ = B⁻¹ + B⁻¹xx'B⁻¹ / (n - x'B⁻¹x)
        along = (turned * h).sum(1) / (n - (turned * x).sum(1))
        a = np.maximum((n - 1) / n * (solved + along[:, None] * turned), 0)
        risks.append(float(np.mean(np.square((a * x).sum(1)) / 2 - (a * z).sum(1))))
    return risks


def _cross_validated_risks(
    phi_s: np.ndarray, phi_t: np.ndarray, penalties: Sequence[float], alpha: float
) -> list[float]:
    folds = min(FOLDS, len(phi_s), len(phi_t))
    part_s, part_t = (np.arange(len(phi)) % folds for phi in (phi_s, phi_t))
    risks = np.zeros(len(penalties))
    for fold in range(folds):
        moments, mean = _moments(phi_s[part_s != fold], phi_t[part_t != fold], alpha)
        for i, penalty in enumerate(penalties):
            a = _coefficients(moments, mean, penalty)
            ws, wt = phi_s[part_s == fold] @ a, phi_t[part_t == fold] @ a
            risks[i] += (alpha * np.mean(wt**2) + (1 - alpha) * np.mean(ws**2)) / 2 - wt.mean()
    return (risks / folds).tolist()


def _moments(phi_s: np.ndarray, phi_t: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    moments = (1 - alpha) * (phi_s.T @ phi_s) / len(phi_s)
    if alpha > 0:
        moments += alpha * (phi_t.T @ phi_t) / len(phi_t)
    return moments, phi_t.mean(0)


def _coefficients(moments: np.ndarray, mean: np.ndarray, penalty: float) -> np.ndarray:
    return np.maximum(np.linalg.solve(moments + penalty * np.eye(len(moments)), mean), 0)


def _left_out_likelihood(
    distances_s: np.ndarray, distances_t: np.ndarray, part: np.ndarray, chosen: np.ndarray, ratio: float
) -> float:
    """Mean log-likelihood of each part of the target under the fit to the rest.

    Kernels whose centre is among the left-out points take no part: a narrow one would flatter its own centre.
    """
    phi_t, mass = np.exp(-distances_t / ratio), np.exp(-distances_s / ratio).mean(0)
    total = 0.0
    for fold in range(part.max() + 1):
        kernels = (mass > 1e-100) & (part[chosen] != fold)
        if not kernels.any():
            return -np.inf
        components = phi_t[:, kernels] / mass[kernels]
        train = components[part != fold]
        train = train[train.max(1) > 0]
        if len(train) == 0:
            return -np.inf
        q = mixture_proportions(train, tolerance=1e-3, max_iterations=100).values
        # Not -inf where a point is far from all kernels: such a point is as bad for every bandwidth, nearly.
        total += float(np.log(np.maximum(components[part == fold] @ q, 1e-100)).sum())
    return total / len(part)


def _distances(
    xs: Tensor, xt: Tensor, centres: int, seed: int
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The median squared distance, in its units those from every point to the centres, and which these are."""
    unit = median_heuristic(xs, xt)
    chosen = np.sort(np.random.default_rng(seed).choice(len(xt), min(centres, len(xt)), replace=False))
    middle = xt.mean(0)
    xs, xt = ((x - middle) / unit**0.5 for x in (xs, xt))
    at = xt[torch.from_numpy(chosen).to(xt.device)]
    to_s, to_t = (torch.cdist(x, at).square_().cpu().numpy() for x in (xs, xt))
    return unit, to_s, to_t, chosen


def _check_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number, got {value}")
