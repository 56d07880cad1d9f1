"""Measure the shift between two domains as they are, before any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dakit import metrics
from dakit.domains import Domain

Measure = Callable[[Domain, Domain, int], dict[str, float | None]]


def _mmd(source: Domain, target: Domain, seed: int) -> dict[str, float | None]:
    test = metrics.mmd_test(source.x, target.x, seed=seed)
    return {"mmd": test.statistic, "mmd_pvalue": test.pvalue}


def _a_distance(source: Domain, target: Domain, seed: int) -> dict[str, float | None]:
    return {"a_distance": metrics.a_distance(source.x, target.x, seed=seed)}


def _coral(source: Domain, target: Domain, seed: int) -> dict[str, float | None]:
    return {"coral": metrics.coral_distance(source.x, target.x)}


def _frechet(source: Domain, target: Domain, seed: int) -> dict[str, float | None]:
    return {"frechet": metrics.frechet_distance(source.x, target.x)}


def _descriptor(domain: Domain) -> str:
    return "intensity" if domain.kind == "image" else "features"


def _idd(source: Domain, target: Domain, seed: int) -> dict[str, float | None]:
    return {"idd": metrics.idd(source.x, target.x, descriptor=_descriptor(source))}


def _icv(source: Domain, target: Domain, seed: int) -> dict[str, float | None]:
    return {
        f"icv_{side}": metrics.icv(d.x, d.y, descriptor=_descriptor(d)) if d.labeled else None
        for side, d in (("source", source), ("target", target))
    }


MEASURES: dict[str, Measure] = {
    "mmd": _mmd,
    "a_distance": _a_distance,
    "coral": _coral,
    "frechet": _frechet,
    "idd": _idd,
    "icv": _icv,
}


def measure_shift(
    source: Domain, target: Domain, names: Sequence[str] | None = None, *, seed: int = 0
) -> dict[str, float | None]:
    """Shift between the inputs of two domains.

    Parameters
    ----------
    source, target : Domain
        Examples of one shape.
    names : sequence of str, optional
        Keys of ``MEASURES``. Default: all of them for images; for flat features all but ``idd`` and ``icv``, whose
        histograms are made for pixels (name them to get the softmax descriptor).
    seed : int
        Of the permutations, the folds and the subsample of the median heuristic.

    Returns
    -------
    dict
        Measured values by name; ``icv_*`` is None for a domain without labels.

    Raises
    ------
    ValueError
        For an unknown name, examples of different shapes, or domains too small to compare.
    """
    if names is None:
        names = [n for n in MEASURES if source.kind == "image" or n not in ("idd", "icv")]
    unknown = [n for n in names if n not in MEASURES]
    if unknown:
        raise ValueError(f"unknown metric {unknown[0]!r}; choose from {', '.join(MEASURES)}")
    if source.shape != target.shape:
        raise ValueError(
            f"the two domains must have examples of one shape: {source.name!r} has {source.shape}, "
            f"{target.name!r} has {target.shape}"
        )
    out: dict[str, float | None] = {}
    for name in names:
        out |= MEASURES[name](source, target, seed)
    return out
