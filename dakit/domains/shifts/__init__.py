"""Controlled shifts: functions from a domain to a domain with one knob and a known truth.

Each says what it moves. A **covariate** shift changes p(x) and keeps the rule from input to label; a **label** shift
changes p(y) and keeps p(x | y); a **concept** shift changes p(y | x). ``apply`` gives every one the same knob, a
severity in [0, 1]; ``ladder`` climbs it; ``KINDS`` lists them.
"""

from dakit.domains.shifts.colour import colour_cast, contrast, inversion
from dakit.domains.shifts.geometry import rotation, scaling, stroke_width, translation
from dakit.domains.shifts.labels import concept_flip, label_priors
from dakit.domains.shifts.severity import KINDS, apply, kinds_for, ladder
from dakit.domains.shifts.texture import background, blur, noise

__all__ = [
    "KINDS",
    "apply",
    "background",
    "blur",
    "colour_cast",
    "concept_flip",
    "contrast",
    "inversion",
    "kinds_for",
    "label_priors",
    "ladder",
    "noise",
    "rotation",
    "scaling",
    "stroke_width",
    "translation",
]
