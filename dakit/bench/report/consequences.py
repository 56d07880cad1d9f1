"""What the shift does to a model: expected accuracy, the bound, and the class shares behind it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dakit import metrics
from dakit.bench.report.space import Space
from dakit.domains import Domain
from dakit.metrics import Bound, Estimate, LabelShift

FOLDS = 5


@dataclass(frozen=True)
class Consequences:
    """What happens to a classifier of the source.

    Attributes
    ----------
    classifier : str
        Which, in words.
    classes : tuple of str
        Columns of its predictions.
    source_accuracy : float in [0, 1]
        On source examples that it was not trained on.
    expected : dict of str to Estimate
        Expected target accuracy by method, from unlabelled target examples.
    target_accuracy : float or None
        The true one, where the target has labels; used for nothing else.
    bound : Bound
        Of Ben-David et al., term by term, for a linear classifier of the same space.
    priors : LabelShift
        Class shares of the target as the predictions tell them, if only the shares moved.
    probs : (array of shape (n, k), array of shape (m, k))
    """

    classifier: str
    classes: tuple[str, ...]
    source_accuracy: float
    expected: dict[str, Estimate]
    target_accuracy: float | None
    bound: Bound
    priors: LabelShift
    probs: tuple[np.ndarray, np.ndarray]


def what_follows(space: Space, *, model: Callable[[Domain], Any] | None, seed: int) -> Consequences | None:
    """Train a probe on the source, or take the model that is given, and see what becomes of it on the target.

    None where the source has no labels of two classes.
    """
    if space.source.y is None:
        return None
    ys = space.source.y.cpu().numpy()
    present = np.unique(ys)
    if len(present) < 2 or np.bincount(ys)[present].min() < 2:
        return None
    xs, xt = space.narrow(seed)
    if model is None:
        said = "a logistic regression on the compared features, cross-fitted on the source"
        columns = present
        probs_s, probs_t = _probe(xs, ys, xt, seed)
    else:
        said = "the model that was given; its source examples should be ones that it was not trained on"
        columns = np.arange(space.source.num_classes)
        probs_s, probs_t = (_predictions(model, d) for d in (space.source, space.target))
    classes = tuple(space.source.classes[c] for c in columns)
    known = list(columns)
    accuracy = float((columns[probs_s.argmax(1)] == ys).mean())
    options = {"classes": known, "seed": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.UnidentifiableWarning)  # the report says it in its own words
        expected = {
            "ATC": metrics.average_thresholded_confidence(probs_s, ys, probs_t, **options),
            "DoC": metrics.difference_of_confidences(probs_s, ys, probs_t, **options),
        }
        priors = metrics.mlls(ys, probs_s, probs_t, **options)
    yt = _target_labels(space)
    truth = None if yt is None else float((np.array(classes)[probs_t.argmax(1)] == yt).mean())
    names = np.array(space.source.classes)
    bound = metrics.ben_david_bound(xs, names[ys], xt, _bound_labels(yt, names[ys]), seed=seed)
    return Consequences(said, classes, accuracy, expected, truth, bound, priors, (probs_s, probs_t))


def _probe(xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    folds = StratifiedKFold(
        min(FOLDS, int(np.bincount(ys)[np.unique(ys)].min())), shuffle=True, random_state=seed
    )
    with threadpool_limits(1, user_api="blas"):
        held_out = cross_val_predict(
            LogisticRegression(max_iter=500), xs, ys, cv=folds, method="predict_proba"
        )
        fitted = LogisticRegression(max_iter=500).fit(xs, ys)
    return held_out, fitted.predict_proba(xt)


def _predictions(model: Callable[[Domain], Any], domain: Domain) -> np.ndarray:
    probs = model(domain.unlabeled())
    probs = np.asarray(probs.detach().cpu() if hasattr(probs, "detach") else probs, dtype=np.float64)
    if probs.shape != (len(domain), domain.num_classes):
        raise ValueError(
            f"model must give probabilities of shape ({len(domain)}, {domain.num_classes}) for "
            f"{domain.name!r}, one column "
            f"a class, got {probs.shape}"
        )
    return probs


def _target_labels(space: Space) -> np.ndarray | None:
    """Names of the target's labels, if they speak of the source's classes."""
    if space.target.y is None:
        return None
    names = np.array(space.target.classes)[space.target.y.cpu().numpy()]
    return names if np.isin(names, space.source.classes).any() else None


def _bound_labels(yt: np.ndarray | None, ys: np.ndarray) -> np.ndarray | None:
    return yt if yt is not None and np.isin(yt, ys).all() else None
