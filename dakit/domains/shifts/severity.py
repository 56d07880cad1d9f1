"""One knob for every shift: a severity from 0 (unchanged) to 1 (strong, and still recognisable to a person)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dakit.domains.domain import Domain, DomainSet
from dakit.domains.shifts import checks
from dakit.domains.shifts.colour import colour_cast, contrast, inversion
from dakit.domains.shifts.geometry import rotation, scaling, stroke_width, translation
from dakit.domains.shifts.labels import concept_flip, label_priors
from dakit.domains.shifts.texture import background, blur, noise


@dataclass(frozen=True)
class Kind:
    """A shift as a function of severity; ``inputs`` says which kinds of domain it can change."""

    moves: str
    inputs: tuple[str, ...]
    text: str
    at: Callable[[Domain, float, int], Domain]


ANY = ("flat", "series", "image")
SHIFTS: dict[str, Kind] = {
    "rotation": Kind(
        "covariate",
        ("flat", "image"),
        "images turned by up to 60°, the first two of flat coordinates by up to 90°",
        lambda d, s, seed: rotation(d, s * (90 if d.kind == "flat" else 60)),
    ),
    "colour_cast": Kind(
        "covariate",
        ("image",),
        "colour images seen in the light of a bulb",
        lambda d, s, seed: colour_cast(d, s),
    ),
    "contrast": Kind(
        "covariate",
        ("image",),
        "images pulled towards their mean grey, up to a tenth of the contrast",
        lambda d, s, seed: contrast(d, 0.9 * s),
    ),
    "inversion": Kind(
        "covariate",
        ("image",),
        "a growing share of the images turned into negatives",
        lambda d, s, seed: inversion(d, s, seed=seed),
    ),
    "blur": Kind(
        "covariate",
        ("image",),
        "Gaussian blur of up to 8% of the height",
        lambda d, s, seed: blur(d, 0.08 * s * d.shape[1]),
    ),
    "noise": Kind(
        "covariate",
        ANY,
        "Gaussian noise of up to 0.4 for images, up to one standard deviation for other inputs",
        lambda d, s, seed: noise(d, s * (0.4 if d.kind == "image" else 1.0), seed=seed),
    ),
    "background": Kind(
        "covariate",
        ("image",),
        "images blended with photographs, up to the recipe of MNIST-M",
        lambda d, s, seed: background(d, s, seed=seed),
    ),
    "stroke_width": Kind(
        "covariate",
        ("image",),
        "strokes thickened by up to a sixteenth of the height on each side",
        lambda d, s, seed: stroke_width(d, s * max(1.0, d.shape[1] / 16)),
    ),
    "translation": Kind(
        "covariate",
        ("flat",),
        "flat features moved by up to 2 standard deviations along a random direction",
        lambda d, s, seed: translation(d, 2 * s, seed=seed),
    ),
    "scaling": Kind(
        "covariate",
        ("flat",),
        "each flat feature stretched or shrunk by a random factor of up to 4",
        lambda d, s, seed: scaling(d, s * math.log(4), seed=seed),
    ),
    "label_priors": Kind(
        "label",
        ANY,
        "class shares mixed with a long tail, up to a hundred to one (a subsample)",
        lambda d, s, seed: label_priors(d, severity=s, seed=seed),
    ),
    "concept_flip": Kind(
        "concept",
        ANY,
        "a growing share of the examples labelled by a permuted rule",
        lambda d, s, seed: concept_flip(d, s, seed=seed),
    ),
}

KINDS: dict[str, str] = {name: f"{kind.moves} shift: {kind.text}" for name, kind in SHIFTS.items()}
"""Name of each shift, and what it changes in words; the first word is ``covariate``, ``label`` or ``concept``."""


def kinds_for(domain: Domain) -> list[str]:
    """Names of the shifts that can change this domain.

    Parameters
    ----------
    domain : Domain

    Returns
    -------
    list of str

    Examples
    --------
    >>> import torch
    >>> kinds_for(Domain("toy", torch.zeros(2, 3)))
    ['rotation', 'noise', 'translation', 'scaling']
    """
    return [name for name, kind in SHIFTS.items() if _why_not(domain, name, kind) is None]


def apply(domain: Domain, kind: str, severity: float, seed: int = 0) -> Domain:
    """The domain under one of the shifts in ``KINDS``.

    Parameters
    ----------
    domain : Domain
    kind : str
        A name in ``KINDS``.
    severity : float in [0, 1]
        0 leaves the domain unchanged bit for bit; the shift grows with it.
    seed : int
        Fixes everything that is random, and the same way at each severity.

    Returns
    -------
    Domain
        Named after the shift and its severity, for example ``"noto, blur 0.5"``.

    Raises
    ------
    ValueError
        If the kind is unknown, does not fit the domain, or the severity lies outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> apply(Domain("toy", torch.eye(2)), "rotation", 0.5).name
    'toy, rotation 0.5'
    """
    if kind not in SHIFTS:
        raise ValueError(f"there is no shift {kind!r}; the kinds are {', '.join(SHIFTS)}")
    severity = checks.between(severity, 0, 1, "severity")
    reason = _why_not(domain, kind, SHIFTS[kind])
    if reason is not None:
        raise ValueError(reason)
    shifted = domain if severity == 0 else SHIFTS[kind].at(domain, severity, seed)
    return replace(shifted, name=f"{domain.name}, {kind} {severity:g}")


def ladder(domain: Domain, kind: str, steps: int = 5, seed: int = 0) -> DomainSet:
    """A domain at evenly spaced severities, from unchanged to strong.

    Parameters
    ----------
    domain : Domain
    kind : str
        A name in ``KINDS``.
    steps : int, at least 2
        Number of rungs, both ends counted.
    seed : int
        As for :func:`apply`; the same for all rungs.

    Returns
    -------
    DomainSet
        One domain a rung, named for example ``"noto, blur 0.25"``.

    Raises
    ------
    ValueError
        If there are fewer than 2 steps; and as for :func:`apply`.
    """
    if not isinstance(steps, (int, np.integer)) or steps < 2:
        raise ValueError(f"a ladder needs at least 2 steps, got {steps!r}")
    severities = np.linspace(0, 1, int(steps)).round(4).tolist()
    return DomainSet(f"{domain.name}, {kind}", [apply(domain, kind, s, seed) for s in severities])


def _why_not(domain: Domain, name: str, kind: Kind) -> str | None:
    """Why a domain cannot take a shift, or None."""
    if domain.kind not in kind.inputs:
        wanted = " or ".join(kind.inputs)
        return (
            f"{name} changes {wanted} inputs; domain {domain.name!r} is {domain.kind} of shape {domain.shape}"
        )
    if kind.moves != "covariate" and domain.y is None:
        return f"{name} changes labels or their shares, but domain {domain.name!r} has none"
    if name == "concept_flip" and domain.num_classes < 2:
        return f"concept_flip needs at least two classes; domain {domain.name!r} has {domain.num_classes}"
    channels = {"colour_cast": (3,), "background": (1, 3)}.get(name)
    if channels and domain.shape[0] not in channels:
        allowed = " or ".join(map(str, channels))
        return f"{name} needs images with {allowed} channels; those of {domain.name!r} have {domain.shape[0]}"
    if name == "rotation" and domain.kind == "flat" and domain.shape[0] < 2:
        return f"rotation needs two coordinates; domain {domain.name!r} has one"
    return None
