"""Where: the classes, the features and the examples that moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dakit import metrics
from dakit.bench.report.space import Space

EXTREMES = 8
MOST_FEATURES = 200  # beyond, single features (pixels) are not tested one by one


@dataclass(frozen=True)
class Places:
    """Where the shift sits.

    Attributes
    ----------
    classes : ClassDistances or None
        Of the classes that both domains have; None without labels on both sides.
    contributions : ClassContributions or None
        What each class adds to MMD².
    features : FeatureTests or None
        None for pictures, series, and more than ``MOST_FEATURES`` features.
    unlike_source, unlike_target : arrays of int
        Target examples where the source is thinnest, and source examples where the target is, most extreme first:
        row numbers of the compared examples.
    """

    classes: metrics.ClassDistances | None
    contributions: metrics.ClassContributions | None
    features: metrics.FeatureTests | None
    unlike_source: np.ndarray
    unlike_target: np.ndarray


def where(space: Space, *, seed: int) -> Places:
    """Find the classes, features and examples that moved most."""
    peaks = metrics.witness(space.xs, space.xt)
    return Places(
        *_classes(space),
        _features(space, seed),
        peaks.target_peaks(EXTREMES),
        peaks.source_peaks(EXTREMES),
    )


def _classes(space: Space) -> tuple[metrics.ClassDistances | None, metrics.ClassContributions | None]:
    source, target = space.source, space.target
    if source.y is None or target.y is None:
        return None, None
    labels = [np.array(d.classes)[d.y.cpu().numpy()] for d in (source, target)]
    try:
        labelled = (space.xs, labels[0], space.xt, labels[1])
        return metrics.class_distances(*labelled), metrics.class_contributions(*labelled)
    except ValueError:  # no class with examples enough on both sides
        return None, None


def _features(space: Space, seed: int) -> metrics.FeatureTests | None:
    if not space.names or len(space.names) > MOST_FEATURES:
        return None
    # The values as they came, so that whole numbers are seen to be whole.
    raw = (d.x.detach().cpu().numpy() for d in (space.source, space.target))
    return metrics.feature_tests(*raw, names=space.names, seed=seed)
