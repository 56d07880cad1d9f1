"""Which family of methods fits, by rules that are written down here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from dakit import methods
from dakit.bench.report.amounts import Repair
from dakit.bench.report.consequences import Consequences
from dakit.bench.report.moved import LITTLE_OVERLAP, Moved

MOSTLY = 0.25  # a repair that leaves less than this share of MMD² and A-distance has done most of the work
APART = 1.5  # A-distance from which weights would rest on a few examples


@dataclass(frozen=True)
class Advice:
    """A family of methods and why it fits.

    Attributes
    ----------
    family, reason : str
    methods : tuple of str
        Names of dakit's methods of this family; empty for functions of :mod:`dakit.metrics` and for things to do.
    """

    family: str
    reason: str
    methods: tuple[str, ...] = ()


def what_fits(
    moved: Moved, repaired: tuple[Repair, ...], a_distance: float, follows: Consequences | None
) -> tuple[Advice, ...]:
    """Rules of thumb, the most specific first."""
    out = []
    if not any((moved.covariate, moved.label, moved.concept)):
        out.append(
            Advice(
                "Nothing, but keep watching",
                "No shift was found. With more examples a smaller one would be; a drift monitor says when it comes.",
            )
        )
    if moved.concept:
        out.append(
            Advice(
                "Labels from the target",
                "The rule itself changed. No alignment of features can learn a new rule; a few target labels can.",
            )
        )
    if moved.label and not moved.covariate:
        out.append(
            Advice(
                "Reweighting by class",
                "Only class shares moved: estimate them (mlls, bbse) and adjust the classifier's "
                "probabilities. Aligning the "
                "features of both domains would mix the classes.",
            )
        )
    if moved.covariate:
        out += _for_covariates(moved, repaired, a_distance)
    if moved.label and moved.covariate:
        out.append(
            Advice(
                "Weights inside any alignment",
                "Class shares moved as well. A method that makes whole domains look alike then pulls "
                "examples of one class "
                "onto another: estimate the shares first, and weight source examples by class.",
            )
        )
    if follows is not None and not follows.priors.identifiable:
        out.append(
            Advice(
                "A better classifier before label-shift estimates",
                "The confusion matrix of the probe is close to singular: class shares cannot be told from "
                "its predictions.",
            )
        )
    return tuple(out)


def _for_covariates(moved: Moved, repaired: tuple[Repair, ...], a_distance: float) -> list[Advice]:
    out = []
    by_name = {r.name: r for r in repaired}
    enough = MOSTLY * max(by_name["nothing"].a_distance, 1e-9)
    simple = next(
        (r for n, r in by_name.items() if n != "nothing" and r.left < MOSTLY and r.a_distance < enough), None
    )
    if simple is not None:
        out.append(
            Advice(
                "Matching moments",
                f"After “{simple.name}” {simple.left:.0%} of MMD² and an A-distance of {simple.a_distance:.2f} are "
                "left: try this first, it trains nothing. deep_coral does the like inside a network.",
                _known("deep_coral"),
            )
        )
    overlapping = a_distance < APART and (moved.overlap is None or moved.overlap >= LITTLE_OVERLAP)
    if overlapping:
        out.append(
            Advice(
                "Importance weights",
                f"The domains overlap (A-distance {a_distance:.2f} of 2): source examples can be weighted by how "
                "likely they are in the target. Look at the effective sample size before trusting the weights.",
            )
        )
    if simple is None:
        out.append(
            Advice(
                "Learning features that do not tell the domains apart",
                f"A-distance {a_distance:.2f} of 2, and moments alone do not explain it. Compare with source_only "
                "over seeds, and watch run.health().",
                _known("dann", "cdan", "dan", "deep_coral", "mcc"),
            )
        )
    return out


def _known(*names: str) -> tuple[str, ...]:
    have = methods.names()
    return tuple(n for n in names if n in have)
