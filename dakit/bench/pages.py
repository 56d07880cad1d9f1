"""Comparisons and shifts as self-contained pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dakit import views
from dakit.bench.comparison import Comparison
from dakit.bench.tables import accuracy_caption, accuracy_rows, plus_minus, shift_caption, shift_rows
from dakit.domains import Domain

if TYPE_CHECKING:
    from dakit.views import View

REFERENCE, BOUND = "source_only", "oracle"


def comparison_page(
    comparisons: Sequence[Comparison],
    *,
    title: str,
    lead: str = "",
    shown: str | None = None,
    pictures: Mapping[str, View] | None = None,
    notes: Mapping[str, str] | None = None,
) -> str:
    """HTML of one or more comparisons: what was gained, the table, and the features before and after.

    Parameters
    ----------
    comparisons : sequence of Comparison
    title, lead : str
    shown : str, optional
        Method whose features are drawn beside those of ``source_only``. Default: the last one that is neither the
        reference nor the bound. It is named in advance and never picked by its target accuracy.
    pictures : mapping of a comparison's name to a View, optional
        Shown first in its section, for example samples of the domains.
    notes : mapping of a comparison's name to prose, optional
    """
    parts: list[Any] = []
    for c in comparisons:
        parts.append(views.heading(c.name))
        if notes and c.name in notes:
            parts.append(notes[c.name])
        if pictures and c.name in pictures:
            parts.append(pictures[c.name])
        parts += [
            verdict(c),
            views.table(accuracy_rows(c), caption=f"{c.name}: accuracy", note=accuracy_caption(c)),
            views.table(shift_rows(c), caption=f"{c.name}: shift", note=shift_caption(c)),
        ]
        adapted = shown if shown in c.methods else _last_adapted(c)
        if adapted is not None:
            parts += [_bars(c, adapted), alignment(c, adapted)]
        followed = adapted or REFERENCE
        if c.runs[followed, c.seeds[0]].snapshots:  # a shallow method has no training to watch
            parts.append(_through_training(c, followed))
    return views.page(title, *parts, lead=lead).html()


def verdict(c: Comparison) -> str:
    """What the numbers say, in words: every method's gain over the reference with its spread, and the room above."""
    base = c.accuracy(REFERENCE)
    if base is None:
        return "The target has no labels, so accuracy on it is not known; the shift between the features is."
    words = [f"Without adaptation {percent(base)} of the held-out target examples are recognised."]
    for method in c.methods:
        if method in (REFERENCE, BOUND):
            continue
        gain = c.gain(method, REFERENCE)
        word = "gains" if gain["mean"] >= 0 else "loses"
        size = plus_minus({**gain, "mean": abs(gain["mean"])}, scale=100, digits=1)
        words.append(f"{method} {word} {size} points.")
    if BOUND in c.methods:
        words.append(f"The bound, trained on target labels, reaches {percent(c.accuracy(BOUND))}.")
    return " ".join(words)


def percent(measured: dict[str, Any]) -> str:
    """``52.1 ± 1.3 %``"""
    return plus_minus(measured, scale=100, digits=1) + " %"


def _last_adapted(c: Comparison) -> str | None:
    adapted = [m for m in c.methods if m not in (REFERENCE, BOUND)]
    return adapted[-1] if adapted else None


def _bars(c: Comparison, adapted: str) -> View:
    arms = {m: c.shift(m)["per_seed"] for m in (REFERENCE, adapted)}
    return views.shift_bars(arms, title=f"Shift between the features of {c.name}")


def _held_out(c: Comparison, method: str) -> tuple[Domain, Domain]:
    """The held-out parts as domains whose inputs are the features of the first seed's run."""
    run, task = c.runs[method, c.seeds[0]], c.tasks[c.seeds[0]]
    source, target = task.source_test, task.target_test
    return tuple(
        Domain(name, _tensor(run.features(part)), part.y, part.classes)
        for name, part in ((source.name, source), (target.name, target))
    )


def _tensor(array: Any):
    import torch

    return torch.as_tensor(array)


def alignment(c: Comparison, adapted: str) -> View:
    """Held-out features of the reference beside those of ``adapted``, first seed, with their shift numbers."""
    first = c.seeds[0]
    numbers = [next(r.shift for r in c.of(m) if r.seed == first) for m in (REFERENCE, adapted)]
    return views.alignment(
        _held_out(c, REFERENCE),
        _held_out(c, adapted),
        titles=(REFERENCE, adapted),
        numbers=tuple(numbers),
        title=f"{c.name}: held-out features, seed {first}",
    )


def _through_training(c: Comparison, method: str) -> View:
    run, task = c.runs[method, c.seeds[0]], c.tasks[c.seeds[0]]
    return views.embedding(run, task.source, task.target, title=f"{c.name}: features while {method} trains")


__all__ = ["alignment", "comparison_page", "percent", "verdict"]
