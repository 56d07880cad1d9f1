"""How much: distances with their uncertainty, and how much of them simple repairs remove."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dakit import metrics
from dakit.bench.report.space import Space
from dakit.domains import Domain


@dataclass(frozen=True)
class Amount:
    """A distance.

    Attributes
    ----------
    key, name : str
    value : float
    interval : (float, float) or None
        At 95 %.
    reading : str
        What its ends mean.
    """

    key: str
    name: str
    value: float
    interval: tuple[float, float] | None
    reading: str


@dataclass(frozen=True)
class Repair:
    """What is left of the shift after something simple that needs no target labels.

    Attributes
    ----------
    name : str
    mmd : float
    left : float
        Share of the MMD² before, at least 0.
    a_distance : float
        After it, by a small network: MMD² sees means first of all, a network more.
    pvalue : float
        Of a permutation test of the MMD² that is left.
    """

    name: str
    mmd: float
    left: float
    a_distance: float
    pvalue: float


def how_much(space: Space, *, seed: int) -> tuple[Amount, ...]:
    """The distances of the report."""
    xs, xt = space.xs, space.xt
    mmd = metrics.mmd_estimate(xs, xt, seed=seed)
    told = metrics.a_distance_estimate(*space.narrow(seed), seed=seed)
    found = [
        Amount("mmd", "MMD²", mmd.value, mmd.interval, "0: no difference; at most 2"),
        Amount("a_distance", "A-distance", told.value, told.interval, "0: cannot be told apart; 2: always"),
        Amount(
            "energy",
            "energy distance",
            metrics.energy_distance(xs, xt),
            None,
            "0: equal; unit of the features",
        ),
        Amount(
            "sliced_wasserstein",
            "sliced Wasserstein distance",
            metrics.sliced_wasserstein(xs, xt, seed=seed),
            None,
            "0: equal; mean shift along a random direction, unit of the features",
        ),
        Amount("coral", "CORAL distance", metrics.coral_distance(xs, xt), None, "0: equal covariances"),
        Amount(
            "frechet",
            "Fréchet distance",
            metrics.frechet_distance(xs, xt),
            None,
            "0: equal means and covariances",
        ),
        Amount(
            "jensen_shannon",
            "Jensen-Shannon divergence, mean over features",
            float(metrics.jensen_shannon(xs, xt)),
            None,
            "0: equal histograms; at most ln 2 = 0.693",
        ),
    ]
    if space.source.kind == "image" and space.source.shape[0] in (1, 3):
        found += _of_pictures(space.source, space.target)
    return tuple(found)


def _of_pictures(source: Domain, target: Domain) -> list[Amount]:
    found = [
        Amount(
            "idd",
            "IDD of brightness",
            metrics.idd(source.x, target.x),
            None,
            "0: equal shades; at most 0.693",
        )
    ]
    for side, domain in (("source", source), ("target", target)):
        if domain.y is not None and max(domain.counts().values()) > 1:
            value = metrics.icv(domain.x, domain.y)
            found.append(
                Amount(
                    f"icv_{side}",
                    f"ICV of the {side}",
                    value,
                    None,
                    "0: every picture of a class has the same shades",
                )
            )
    return found


def repairs(space: Space, *, permutations: int, seed: int) -> tuple[Repair, ...]:
    """MMD² and A-distance as they are, and after matching means, scales, and covariances.

    What is matched is fitted on one half of the examples and judged by the other: a covariance of 64 features has
    numbers enough to hide a shift from the examples that it was fitted to.
    """
    halves = [_halves(x, seed) for x in space.narrow(seed)]
    (fit_s, xs), (fit_t, xt) = halves
    scale_s, scale_t = _scale(fit_s), _scale(fit_t)
    mean_s, mean_t = fit_s.mean(0), fit_t.mean(0)
    made = {
        "nothing": (xs, xt),
        "equal means": (xs - mean_s, xt - mean_t),
        "each domain standardised by itself": ((xs - mean_s) / scale_s, (xt - mean_t) / scale_t),
        "equal means and covariances (CORAL)": ((xs - mean_s) @ _colouring(fit_s, fit_t) + mean_t, xt),
    }
    out, before = [], None
    for name, (a, b) in made.items():
        test = metrics.mmd_test(a, b, permutations=permutations, seed=seed)
        before = test.statistic if before is None else before
        left = max(0.0, test.statistic) / before if before > 0 else 1.0
        told = metrics.a_distance(a, b, probe="mlp", folds=3, seed=seed)
        out.append(Repair(name, test.statistic, left, told, test.pvalue))
    return tuple(out)


def _halves(x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(x))
    cut = len(x) // 2
    return x[order[:cut]], x[order[cut:]]


def _scale(x: np.ndarray) -> np.ndarray:
    scale = x.std(0)
    return np.where(scale > 0, scale, 1.0)


def _colouring(xs: np.ndarray, xt: np.ndarray) -> np.ndarray:
    """What gives centred source points the target's covariance; shrunk covariances, for samples may be small."""
    from sklearn.covariance import ledoit_wolf

    (cs, _), (ct, _) = ledoit_wolf(xs), ledoit_wolf(xt)
    return _power(cs, -0.5) @ _power(ct, 0.5)


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-12 * values.max())
    return (vectors * values**exponent) @ vectors.T
