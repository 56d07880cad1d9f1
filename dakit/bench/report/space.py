"""The examples that a report compares, and the space in which it compares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dakit.domains import Domain

WIDE = 64  # classifiers see at most so many principal components


@dataclass(frozen=True)
class Space:
    """Two samples as vectors.

    Attributes
    ----------
    source, target : Domain
        The examples that are compared; row i of ``xs`` is example i of ``source``.
    xs, xt : array of shape (n, d) and (m, d), float32
    names : tuple of str
        Of the d features, where they have any.
    said : str
        What was done to get here, in a sentence or two.
    """

    source: Domain
    target: Domain
    xs: np.ndarray
    xt: np.ndarray
    names: tuple[str, ...]
    said: str

    def narrow(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The same points in at most ``WIDE`` dimensions: standardised principal components of the pooled points."""
        from sklearn.decomposition import PCA

        pooled = np.concatenate([self.xs, self.xt]).astype(np.float64)
        pooled -= pooled.mean(0)
        if pooled.shape[1] > WIDE:
            parts = min(WIDE, len(pooled) - 1)
            pooled = PCA(parts, svd_solver="randomized", random_state=seed).fit_transform(pooled)
        scale = pooled.std(0)
        pooled /= np.where(scale > 0, scale, 1.0)
        return pooled[: len(self.xs)], pooled[len(self.xs) :]


def space(
    source: Domain,
    target: Domain,
    *,
    features: Callable[[Domain], Any] | None,
    max_points: int,
    seed: int,
) -> Space:
    """The examples to compare, as vectors of comparable features.

    Raises
    ------
    ValueError
        If ``features`` gives something else than one vector for each example, or NaN or infinite values.
    """
    said = []
    source, target, words = _apart(source, target, seed)
    said += words
    sides = [_thinned(d, max_points, seed) for d in (source, target)]
    if any(len(small) < len(d) for small, d in zip(sides, (source, target))):
        counts = " and ".join(f"{len(small):,} of {len(d):,}" for small, d in zip(sides, (source, target)))
        said.append(f"A random sample of the examples is compared: {counts}.")
    source, target = sides
    if features is not None:
        xs, xt = (_vectors(features(d), d) for d in sides)
        if xs.shape[1] != xt.shape[1]:
            raise ValueError(
                f"features gives {xs.shape[1]} numbers for {source.name!r}, {xt.shape[1]} for {target.name!r}"
            )
        said.append("Compared in the space of the features that were given.")
        return Space(source, target, xs, xt, (), " ".join(said))
    xs, xt = (d.x.detach().cpu().flatten(1).numpy().astype(np.float32) for d in sides)
    names = _names(source, target)
    if source.kind != "image":
        xs, xt = _common_scale(xs, xt)
        said.append(
            "Every feature is divided by its pooled standard deviation, so that no unit outweighs the others."
        )
    else:
        said.append(
            "Pictures are compared pixel by pixel, as vectors; give features=… to compare what a network sees."
        )
    return Space(source, target, xs, xt, names, " ".join(said))


def _apart(source: Domain, target: Domain, seed: int) -> tuple[Domain, Domain, list[str]]:
    """Where both draw the same things, half of the things for each: examples are then independent."""
    if "concept" not in source.meta or "concept" not in target.meta:
        return source, target, []
    shared = np.intersect1d(source.meta["concept"], target.meta["concept"])
    if len(shared) < 4:
        return source, target, []
    mine = np.random.default_rng(seed).permutation(shared)[: len(shared) // 2]
    theirs = np.setdiff1d(shared, mine)
    source = source.subset(~np.isin(source.meta["concept"], theirs))
    target = target.subset(~np.isin(target.meta["concept"], mine))
    return (
        source,
        target,
        [
            f"Both domains show the same {len(shared):,} things; each keeps a random half, so that no thing is in both."
        ],
    )


def _thinned(domain: Domain, most: int, seed: int) -> Domain:
    if len(domain) <= most:
        return domain
    return domain.subset(np.sort(np.random.default_rng(seed).choice(len(domain), most, replace=False)))


def _vectors(given: Any, domain: Domain) -> np.ndarray:
    array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given, dtype=np.float32)
    if array.ndim < 2 or len(array) != len(domain):
        raise ValueError(
            f"features must give one vector for each example, ({len(domain)}, d) for {domain.name!r}, got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"features gives NaN or infinite values for {domain.name!r}")
    return array.reshape(len(array), -1)


def _names(source: Domain, target: Domain) -> tuple[str, ...]:
    known = source.features or target.features
    if source.kind == "flat":
        return known or tuple(f"feature {i}" for i in range(source.shape[0]))
    return ()


def _common_scale(xs: np.ndarray, xt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pooled = np.concatenate([xs, xt]).astype(np.float64)
    centre, scale = pooled.mean(0), pooled.std(0)
    scale[scale == 0] = 1.0
    return tuple(((x - centre) / scale).astype(np.float32) for x in (xs, xt))
