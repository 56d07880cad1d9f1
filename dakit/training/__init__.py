"""``fit`` a method on two domains, and what comes of it: Run, Evaluation, Health."""

from dakit.training.evaluate import Evaluation, evaluate
from dakit.training.fit import fit
from dakit.training.health import Finding, Health
from dakit.training.loop import NonFiniteLoss
from dakit.training.run import Run, Runs, Snapshot
from dakit.training.stream import Stream, stream
from dakit.training.validation import Seen, Validation, select, validate

__all__ = [
    "Evaluation",
    "Finding",
    "Health",
    "NonFiniteLoss",
    "Run",
    "Runs",
    "Seen",
    "Snapshot",
    "Stream",
    "Validation",
    "evaluate",
    "fit",
    "select",
    "stream",
    "validate",
]
