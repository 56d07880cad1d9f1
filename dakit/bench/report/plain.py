"""A report as plain numbers and text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dakit.bench.report.shift_report import ShiftReport


def plain(report: ShiftReport) -> dict[str, Any]:
    """Everything of the report that JSON can hold."""
    return {
        "verdict": report.verdict(),
        "moved": {
            "covariate": report.moved.covariate,
            "label": report.moved.label,
            "concept": report.moved.concept,
            "overlap": report.moved.overlap,
            "sentences": report.moved.sentences,
            "tests": [asdict(t) for t in report.moved.tests],
        },
        "amounts": {a.key: {"value": a.value, "interval": a.interval} for a in report.amounts},
        "where": _where(report),
        "model": _model(report),
        "repairs": [asdict(r) for r in report.repaired],
        "advice": [asdict(a) for a in report.advice],
        "settings": report.settings,
    }


def _where(report: ShiftReport) -> dict[str, Any]:
    places = report.places
    out: dict[str, Any] = {
        "unlike_source": places.unlike_source.tolist(),
        "unlike_target": places.unlike_target.tolist(),
        "classes": None,
        "features": None,
    }
    if places.classes is not None:
        c = places.classes
        adds = dict(zip(places.contributions.classes, places.contributions.values))
        out["classes"] = {
            str(name): {"distance": float(value), "adds": float(adds[name])}
            for name, value in zip(c.classes, c.values)
        }
    if places.features is not None:
        f = places.features
        out["features"] = {
            n: {"effect": float(e), "pvalue": float(p), "adjusted": float(a)}
            for n, e, p, a in zip(f.names, f.effects, f.pvalues, f.adjusted)
        }
    return out


def _model(report: ShiftReport) -> dict[str, Any] | None:
    f = report.follows
    if f is None:
        return None
    return {
        "classifier": f.classifier,
        "source_accuracy": f.source_accuracy,
        "expected_target_accuracy": {
            k: {"value": e.value, "interval": e.interval} for k, e in f.expected.items()
        },
        "target_accuracy": f.target_accuracy,
        "bound": {
            "source_error": f.bound.source_error,
            "divergence": f.bound.divergence,
            "lambda": f.bound.lambda_,
            "value": f.bound.value,
            "target_error": f.bound.target_error,
        },
        "class_shares": {
            "classes": list(f.classes),
            "source": f.priors.source_priors.tolist(),
            "target_estimate": f.priors.priors.tolist(),
            "interval": f.priors.interval.tolist(),
            "identifiable": f.priors.identifiable,
        },
    }


def rich_parts(report: ShiftReport) -> list[Any]:
    """Verdict, answers, distances and advice, for a terminal."""
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    from dakit.bench.report.page import ANSWERS, QUESTIONS

    moved = Table("did it move?", "answer", "test", "corrected p", title=escape(report.title))
    for key, question in QUESTIONS.items():
        tests = [t for t in report.moved.tests if t.question == key]
        names, values = "\n".join(t.name for t in tests) or "–", "\n".join(f"{t.adjusted:.2g}" for t in tests)
        moved.add_row(question, f"[bold]{ANSWERS[getattr(report.moved, key)]}[/bold]", names, values or "–")
    amounts = Table("distance", "value", "95 % interval", title="How much")
    for a in report.amounts:
        ends = "–" if a.interval is None else f"{a.interval[0]:.3g} to {a.interval[1]:.3g}"
        amounts.add_row(a.name, f"{a.value:.4g}", ends)
    advice = Table("what fits", "why", title="Families of methods")
    for a in report.advice:
        named = f"\n[dim]dakit adapt --method {a.methods[0]}[/dim]" if a.methods else ""
        advice.add_row(f"[bold]{escape(a.family)}[/bold]{named}", escape(a.reason))
    return [moved, Padding(escape(report.verdict()), (0, 0, 1, 0)), amounts, advice]
