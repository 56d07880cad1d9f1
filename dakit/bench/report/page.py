"""A report as a page."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from dakit import views
from dakit.views import Page, View

if TYPE_CHECKING:
    from dakit.bench.report.shift_report import ShiftReport

MOST_ROWS = 20
ANSWERS = {True: "yes", False: "not found", None: "cannot be told"}
QUESTIONS = {
    "covariate": "the inputs",
    "label": "the class shares",
    "concept": "the rule from inputs to labels",
}


def report_page(report: ShiftReport) -> Page:
    """The page: the verdict first, then the evidence."""
    parts: list[Any] = [
        views.heading("What moved"),
        _answers(report),
        _tests(report),
        *_pictures(report),
        views.heading("How much"),
        _amounts(report),
        views.heading("Where"),
        *_where(report),
        views.heading("What it does to a model"),
        *_model(report),
        views.heading("What fits"),
        _repairs(report),
        _advice(report),
        views.heading("The two domains in one picture"),
        _embedding(report),
        views.heading("How this was made"),
        _method(report),
    ]
    return views.page(report.title, *parts, lead=report.verdict())


def notebook_html(report: ShiftReport) -> str:
    """A short form for a notebook's cell: verdict, answers, advice."""
    rows = "".join(
        f"<tr><th scope='row' style='text-align:left'>{html.escape(q)}</th><td style='text-align:left'>"
        f"{html.escape(ANSWERS[getattr(report.moved, key)])}</td><td style='text-align:left'>"
        f"{html.escape(report.moved.sentences[key])}</td></tr>"
        for key, q in QUESTIONS.items()
    )
    advice = "".join(
        f"<li><b>{html.escape(a.family)}</b>: {html.escape(a.reason)}</li>" for a in report.advice
    )
    model = f"<p>{html.escape(report.accuracy_words())}</p>" if report.follows is not None else ""
    return (
        f"<p><b>{html.escape(report.title)}</b></p><table><thead><tr><th scope='col' "
        "style='text-align:left'>did it move?</th>"
        f"<th scope='col'></th><th scope='col'></th></tr></thead><tbody>{rows}</tbody></table>{model}<ul>{advice}</ul>"
    )


# -- the parts --------------------------------------------------------------------------------------------------


def _answers(report: ShiftReport):
    rows = [
        {
            "did it move?": q,
            "answer": ANSWERS[getattr(report.moved, key)],
            "in words": report.moved.sentences[key],
        }
        for key, q in QUESTIONS.items()
    ]
    return views.table(rows, caption="Three kinds of shift")


def _tests(report: ShiftReport):
    rows = [
        {
            "test": t.name,
            "about": QUESTIONS[t.question],
            "statistic": t.statistic,
            "p": f"{t.pvalue:.2g}",
            "corrected p": f"{t.adjusted:.2g}",
        }
        for t in report.moved.tests
    ]
    note = (
        f"Corrected by Holm for {len(rows)} tests; a corrected p up to {report.settings['alpha']:g} counts "
        "as found. A permutation "
        f"test with {report.settings['permutations']} relabellings cannot give less than "
        f"{1 / (1 + report.settings['permutations']):.2g}."
    )
    return views.table(rows, caption="Is it more than chance?", note=note)


def _pictures(report: ShiftReport) -> list[View]:
    source, target = report.space.source, report.space.target
    out = []
    if _images(report):
        out.append(views.samples(source, target))
    shares, intervals, classes = {}, {}, source.classes
    if source.y is not None:
        shares[source.name] = np.array(list(source.counts().values()), dtype=float)
    if target.y is not None and target.classes == classes:
        shares[("target") if target.name in shares else target.name] = np.array(
            list(target.counts().values()), dtype=float
        )
    f = report.follows
    if f is not None and len(f.classes) == len(classes):
        name = f"{target.name}, estimated"
        shares[name] = f.priors.priors
        intervals[name] = f.priors.interval
    if len(shares) > 1:
        trust = (
            ""
            if f is None or f.priors.identifiable
            else " They cannot be told reliably from these predictions."
        )
        note = (
            "Estimated: from the predictions of the source classifier, without target labels, if the "
            "examples of a class "
            f"look the same in both domains (label shift); bars are 95 % bootstrap intervals.{trust}"
        )
        out.append(
            views.shares(
                shares, classes, intervals=intervals, title="Class shares", note=note if intervals else ""
            )
        )
    return out


def _amounts(report: ShiftReport):
    rows = [
        {
            "distance": a.name,
            "value": f"{a.value:.4g}",
            "95 % interval": "–" if a.interval is None else f"{a.interval[0]:.3g} to {a.interval[1]:.3g}",
            "reading": a.reading,
        }
        for a in report.amounts
    ]
    return views.table(
        rows,
        caption="Distances",
        note="No two of them share a scale. Few examples push all but the first two upwards.",
    )


def _where(report: ShiftReport) -> list[Any]:
    places, out = report.places, []
    if places.classes is not None:
        adds = dict(zip(places.contributions.classes, places.contributions.values))
        table = places.classes.table().head(MOST_ROWS)
        table.insert(2, "adds to MMD²", [adds[c] for c in table["class"]])
        table.columns = [str(c).replace("_", " ") for c in table.columns]
        note = (
            "Distance: MMD² between the source and the target examples of a class, whatever its share. What the "
            "classes add, by moving or by becoming more or less common, sums to the MMD² of the domains."
        )
        left_out = places.classes.left_out
        if left_out:
            note += (
                " Left out: "
                + "; ".join(f"{c} ({why})" for c, why in list(left_out.items())[:MOST_ROWS])
                + "."
            )
        out.append(views.table(table, caption="Classes, the one that moved most first", note=note))
    if places.features is not None:
        table = places.features.table().drop(columns="statistic").sort_values("effect", ascending=False)
        note = f"The {MOST_ROWS} largest effects of {len(table)} features. " if len(table) > MOST_ROWS else ""
        note += "Effect: Kolmogorov-Smirnov distance of numbers, Cramér's V of categories; p-values corrected by Holm."
        for column in ("pvalue", "adjusted"):
            table[column] = [f"{p:.2g}" for p in table[column]]
        out.append(
            views.table(table.head(MOST_ROWS), caption="Features, the largest effect first", note=note)
        )
    if _images(report):
        out.append(_extremes(report))
    elif not out:
        out.append(
            "The features have no names and there are no labels on both sides, so no place can be named."
        )
    return out


def _extremes(report: ShiftReport) -> View:
    source, target = report.space.source, report.space.target
    rows = {
        f"{target.name}: least like {source.name}": _chosen(target, report.places.unlike_source),
        f"{source.name}: least like {target.name}": _chosen(source, report.places.unlike_target),
    }
    return views.gallery(
        rows,
        title="The most telling examples",
        note=(
            "Where the witness function of the MMD peaks: examples at places where their own domain is "
            "dense and the other is not."
        ),
    )


def _chosen(domain, index) -> tuple[Any, list[str]]:
    names = [f"#{i}" if domain.y is None else domain.classes[int(domain.y[int(i)])] for i in index]
    return domain.x[np.asarray(index)], names


def _model(report: ShiftReport) -> list[Any]:
    f = report.follows
    if f is None:
        return ["The source has no labels of two classes, so there is no classifier to ask about."]
    rows = [
        {
            "accuracy": f"on new examples of {report.space.source.name}",
            "value": f"{f.source_accuracy:.1%}",
            "95 % interval": "–",
        }
    ]
    rows += [
        {
            "accuracy": f"expected on {report.space.target.name}, {name}",
            "value": f"{e.value:.1%}",
            "95 % interval": f"{e.interval[0]:.1%} to {e.interval[1]:.1%}",
        }
        for name, e in f.expected.items()
    ]
    if f.target_accuracy is not None:
        rows.append(
            {
                "accuracy": f"true, on {report.space.target.name}",
                "value": f"{f.target_accuracy:.1%}",
                "95 % interval": "–",
            }
        )
    note = (
        f"The classifier: {f.classifier}. ATC: average thresholded confidence; DoC: difference of "
        "confidences. Neither sees target "
        "labels, and both fail where confidence no longer means accuracy."
    )
    b = f.bound
    vacuous = b.value is not None and b.value >= 1
    terms = [
        ("source error", b.source_error),
        ("+ half of the divergence", b.divergence / 2),
        ("+ lambda*, the best that one classifier can do on both", b.lambda_),
        ("= bound on the target error", b.value),
        ("target error", b.target_error),
    ]
    of_bound = views.table(
        [
            {"term": name, "value": "unknown without target labels" if v is None else f"{v:.3f}"}
            for name, v in terms
        ],
        caption="The bound of Ben-David et al., term by term",
        note=(
            "For a linear classifier of the same space. Estimated from samples, so a reading of the bound and no "
            f"guarantee.{' A bound above 1 says nothing.' if vacuous else ''}"
        ),
    )
    return [report.accuracy_words(), views.table(rows, caption="Accuracy", note=note), of_bound]


def _repairs(report: ShiftReport):
    rows = [
        {
            "after": r.name,
            "MMD²": f"{r.mmd:.3g}",
            "share left": f"{r.left:.0%}",
            "p of what is left": f"{r.pvalue:.2g}",
            "A-distance, by a network": f"{r.a_distance:.2f}",
        }
        for r in report.repaired
    ]
    note = (
        "On standardised features, or their first principal components. Matching uses no labels; it is "
        "fitted on one half of the "
        "examples and judged by the other."
    )
    return views.table(rows, caption="What simple repairs leave", note=note)


def _advice(report: ShiftReport):
    rows = [
        {"family": a.family, "why": a.reason, "dakit adapt --method": ", ".join(a.methods) or "–"}
        for a in report.advice
    ]
    return views.table(
        rows,
        caption="Families of methods",
        note="Rules of thumb. Whether a method helps is measured, over seeds, against source_only.",
    )


def _embedding(report: ShiftReport) -> View:
    from dataclasses import replace

    import torch

    sides = [
        replace(d, x=torch.from_numpy(x), features=())
        for d, x in ((report.space.source, report.space.xs), (report.space.target, report.space.xt))
    ]
    if sides[1].classes != sides[0].classes:
        sides = [d.unlabeled() for d in sides]
    return views.embedding(*sides, title=f"{sides[0].name} and {sides[1].name}")


def _method(report: ShiftReport) -> str:
    s = report.settings
    return (
        f"{s['n']:,} and {s['m']:,} examples of shape {report.space.source.shape}; seed {s['seed']}. "
        f"{report.space.said}\n\n"
        "P-values take examples to be independent: repeated measurements of one person, or neighbouring "
        "windows of one recording, "
        "make them too small. A picture of an embedding shows neighbourhoods; distances between its "
        "clusters measure nothing."
    )


def _images(report: ShiftReport) -> bool:
    source = report.space.source
    return source.kind == "image" and source.shape[0] in (1, 3)
