"""Shifts of the labels: their shares (label shift) and their rule (concept shift)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from dakit.domains.domain import Domain
from dakit.domains.shifts import checks

IMBALANCE = 100.0
"""Largest over smallest class share at severity 1."""


def label_priors(
    domain: Domain,
    priors: Sequence[float] | None = None,
    *,
    severity: float | None = None,
    concentration: float | None = None,
    seed: int = 0,
) -> Domain:
    """Draw a subsample in which the classes have other shares.

    A label shift: p(y) changes and p(x | y) stays. As many examples are kept as the rarest class allows, so that
    the domain gets smaller; nothing is drawn twice. Give exactly one of ``priors``, ``severity``,
    ``concentration``.

    Parameters
    ----------
    domain : Domain
        With labels.
    priors : sequence of k floats, optional
        Share of each class. They are divided by their sum.
    severity : float in [0, 1], optional
        Mix the present shares p with a long tail q: (1 − severity) · p + severity · q, where q falls
        geometrically by a factor 100 from the first to the last class in a random order.
    concentration : float above 0, optional
        Draw the shares from a symmetric Dirichlet distribution; small values make few classes dominate.
    seed : int
        Which order or draw of shares, and which examples.

    Returns
    -------
    Domain
        A subsample, in the order of the rows. ``severity=0`` gives the whole domain unchanged.

    Raises
    ------
    ValueError
        If labels are missing, the shares are no shares, or a class with a share has no examples.

    Examples
    --------
    >>> d = Domain("toy", torch.zeros(8, 1), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), ("no", "yes"))
    >>> label_priors(d, [0.8, 0.2]).counts()
    {'no': 4, 'yes': 1}
    """
    y = checks.labels(domain, "label_priors").cpu().numpy()
    if sum(v is not None for v in (priors, severity, concentration)) != 1:
        raise ValueError("label_priors takes exactly one of priors, severity and concentration")
    rng = np.random.default_rng(seed)
    k = domain.num_classes
    counts = np.bincount(y, minlength=k)
    if severity is not None:
        severity = checks.between(severity, 0, 1, "severity")
        if severity == 0:
            return domain
        shares = (1 - severity) * counts / len(y) + severity * _long_tail(counts > 0, rng)
    elif concentration is not None:
        if not concentration > 0:
            raise ValueError(f"concentration must be above 0, got {concentration!r}")
        shares = np.zeros(k)
        shares[counts > 0] = rng.dirichlet(np.full(int((counts > 0).sum()), float(concentration)))
    else:
        shares = np.asarray(priors, dtype=np.float64)
        if shares.shape != (k,) or not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() == 0:
            raise ValueError(
                f"priors must be {k} shares of at least 0, one a class, with a positive sum, got {priors!r}"
            )
        shares = shares / shares.sum()
    wanted = [domain.classes[c] for c in range(k) if shares[c] > 0 and counts[c] == 0]
    if wanted:
        raise ValueError(
            f"domain {domain.name!r} has no examples of {', '.join(map(repr, wanted))} to draw from"
        )

    held = shares > 0
    total = np.min(counts[held] / shares[held])
    take = np.minimum(np.floor(total * shares + 0.5).astype(int), counts)
    if not take.sum():
        take[np.argmax(shares)] = 1
    rows = [rng.permutation(np.flatnonzero(y == c))[: take[c]] for c in range(k)]
    return domain.subset(np.sort(np.concatenate(rows)))


def concept_flip(domain: Domain, fraction: float, *, seed: int = 0) -> Domain:
    """Label a random fraction of the examples by another rule: y' = π(y), where π leaves no class in place.

    A concept shift: p(y | x) changes and p(x) stays, so that nothing in unlabelled inputs betrays it. The examples
    flipped at one fraction stay flipped at every larger one; at fraction 1 the whole rule is permuted.

    Parameters
    ----------
    domain : Domain
        With labels of at least two classes.
    fraction : float in [0, 1]
        Share of the examples, up to rounding.
    seed : int
        Which permutation (a random cycle through all classes) and which examples.

    Returns
    -------
    Domain
        Same inputs; ``fraction=0`` gives the same labels.

    Raises
    ------
    ValueError
        If labels are missing or there is one class.
    """
    y = checks.labels(domain, "concept_flip")
    fraction = checks.between(fraction, 0, 1, "fraction")
    k = domain.num_classes
    if k < 2:
        raise ValueError(f"concept_flip needs at least two classes; domain {domain.name!r} has {k}")
    chosen = checks.nested(len(y), fraction, seed, y.device)
    if not len(chosen):
        return domain
    cycle = np.random.default_rng(seed).permutation(k)
    rule = np.empty(k, dtype=np.int64)
    rule[cycle] = np.roll(cycle, -1)
    flipped = y.clone()
    flipped[chosen] = torch.from_numpy(rule).to(y.device)[y[chosen]]
    return replace(domain, y=flipped)


def _long_tail(present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shares that fall geometrically over the present classes, in a random order."""
    n = int(present.sum())
    tail = IMBALANCE ** -np.linspace(0, 1, n) if n > 1 else np.ones(1)
    shares = np.zeros(len(present))
    shares[rng.permutation(np.flatnonzero(present))] = tail / tail.sum()
    return shares
