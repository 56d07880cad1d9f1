"""What moved: the inputs, the class shares, the rule from inputs to labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dakit import metrics
from dakit.bench.report.space import Space
from dakit.metrics.per_feature import adjust

LITTLE_OVERLAP = 0.1


@dataclass(frozen=True)
class Answer:
    """One test of one question.

    Attributes
    ----------
    question : {"covariate", "label", "concept"}
    name : str
    statistic : float
    pvalue : float
    adjusted : float
        Corrected by Holm for all tests of the report.
    """

    question: str
    name: str
    statistic: float
    pvalue: float
    adjusted: float


@dataclass(frozen=True)
class Moved:
    """Answers, one for each question: True, False, or None where the data cannot tell.

    Attributes
    ----------
    covariate, label, concept : bool or None
    tests : tuple of Answer
    sentences : dict of str to str
        An answer in words for each question.
    overlap : float in (0, 1]
        How often one domain claims the other's examples (:func:`~dakit.metrics.concept_shift`), or None.
    """

    covariate: bool
    label: bool | None
    concept: bool | None
    tests: tuple[Answer, ...]
    sentences: dict[str, str]
    overlap: float | None


def what_moved(space: Space, *, permutations: int, alpha: float, seed: int, probs: Any = None) -> Moved:
    """Test the three kinds of shift.

    Parameters
    ----------
    space : Space
    permutations : int
    alpha : float
        Level of the answers, for all tests together.
    seed : int
    probs : (array of shape (n, k), array of shape (m, k)), optional
        Predictions for source and target, which stand in for target labels that are missing.
    """
    xs, xt = space.xs, space.xt
    narrow = space.narrow(seed)
    mmd = metrics.mmd_test(xs, xt, permutations=permutations, seed=seed)
    energy = metrics.energy_test(xs, xt, permutations=permutations, seed=seed)
    told = metrics.c2st(*narrow, seed=seed)
    found = [
        ("covariate", "MMD², permutations", mmd.statistic, mmd.pvalue),
        ("covariate", "energy distance, permutations", energy.statistic, energy.pvalue),
        ("covariate", "classifier that tells the domains apart", told.statistic, told.pvalue),
    ]
    ys, yt = _labels(space.source), _labels(space.target)
    if ys is not None and yt is not None:
        found.append(("label", "class counts, χ²", *_counts_test(ys, yt, seed)))
    elif probs is not None:
        shares = metrics.label_shift_test(*probs, seed=seed)
        found.append(("label", "predicted classes, permutations", shares.statistic, shares.pvalue))
    concept, reason = _concept(narrow, ys, yt, seed)
    if concept is not None:
        found.append(("concept", "a rule of its own for each domain, nats", concept.gain, concept.pvalue))
    adjusted = adjust(np.array([f[3] for f in found]), "holm")
    tests = tuple(Answer(q, n, float(s), float(p), float(a)) for (q, n, s, p), a in zip(found, adjusted))

    def rejected(question: str) -> bool | None:
        asked = [t.adjusted <= alpha for t in tests if t.question == question]
        return any(asked) if asked else None

    overlap = None if concept is None else concept.overlap
    of_concept = rejected("concept")
    if overlap is not None and overlap < LITTLE_OVERLAP:
        of_concept = None
        reason = (
            "Whether the rule from inputs to labels changed cannot be told: the domains hardly overlap "
            f"({overlap:.2f} on a "
            "scale from 0 to 1), so nowhere are both rules seen side by side."
        )
    of_label = rejected("label")
    sentences = {
        "covariate": _covariate_words(rejected("covariate"), tests),
        "label": _label_words(of_label, ys, yt, space),
        "concept": reason or _concept_words(of_concept, concept),
    }
    return Moved(bool(rejected("covariate")), of_label, of_concept, tests, sentences, overlap)


def _labels(domain) -> np.ndarray | None:
    return None if domain.y is None else np.array(domain.classes)[domain.y.cpu().numpy()]


def _counts_test(ys: np.ndarray, yt: np.ndarray, seed: int) -> tuple[float, float]:
    classes, codes = np.unique(np.concatenate([ys, yt]), return_inverse=True)
    if len(classes) < 2:
        return 0.0, 1.0
    codes = codes.astype(float)[:, None]
    tested = metrics.feature_tests(codes[: len(ys)], codes[len(ys) :], categorical=[0], seed=seed)
    return float(tested.statistics[0]), float(tested.pvalues[0])


def _concept(narrow, ys, yt, seed):
    if ys is None or yt is None:
        return None, "Whether the rule from inputs to labels changed needs labels on both sides."
    try:
        return metrics.concept_shift(narrow[0], ys, narrow[1], yt, seed=seed), None
    except ValueError as error:
        return None, f"Whether the rule from inputs to labels changed cannot be tested: {error}."


def _covariate_words(moved: bool, tests: tuple[Answer, ...]) -> str:
    smallest = min(t.adjusted for t in tests if t.question == "covariate")
    if moved:
        return f"The inputs differ (smallest corrected p {_p(smallest)})."
    return (
        f"No difference between the inputs was found (smallest corrected p {_p(smallest)}). That is no "
        "proof of equality."
    )


def _label_words(moved: bool | None, ys, yt, space: Space) -> str:
    if moved is None:
        return "Class shares cannot be compared: the source has no labels."
    if yt is not None:
        distance = _total_variation(ys, yt)
        if moved:
            return (
                f"The class shares differ: {distance:.0%} of the examples would have to change class to "
                "make them equal."
            )
        return f"No difference between the class shares was found (they differ by {distance:.0%} in the samples)."
    if moved:
        return (
            "A source classifier predicts other class shares on the target. That is label shift if "
            "examples of a class still "
            "look the same; if the inputs of the classes changed too, it can be its effect."
        )
    return "A source classifier predicts the same class shares on the target."


def _concept_words(moved: bool | None, concept) -> str:
    if moved:
        return (
            "The rule from inputs to labels differs where the domains overlap: with a rule of its own the "
            "target's labels are "
            f"predicted with {concept.own_accuracy:.0%} instead of {concept.shared_accuracy:.0%} accuracy."
        )
    return "No change of the rule from inputs to labels was found where the domains overlap."


def _total_variation(ys: np.ndarray, yt: np.ndarray) -> float:
    classes = np.union1d(ys, yt)
    shares = [np.array([(y == c).mean() for c in classes]) for y in (ys, yt)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _p(value: float) -> str:
    return f"{value:.2g}"
