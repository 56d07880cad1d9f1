"""What many trainings of all methods add up to: tables, ranks and a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dakit import views
from dakit.bench.ranks import Ranks, rank_methods

if TYPE_CHECKING:
    import pandas as pd

REFERENCE, BOUND, VALIDATOR = "source_only", "oracle", "information_maximisation"

RULES = {"last": "last step", "validator": "validator's moment", "labels": "target labels' moment"}
"""Rules by which a moment of a training is kept: columns of :func:`frame`, and their headings."""


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Trainings as a table: one row each, with the target accuracy that each rule of selection gives.

    Parameters
    ----------
    rows : iterable of mappings
        With ``world``, ``task``, ``method``, ``seed``, ``target``, ``source``, and ``moments``, a list of mappings with
        ``target`` and the validator's score; empty for estimators, which have one moment only. Rows with ``error``
        are left out.

    Returns
    -------
    DataFrame
        Columns ``world``, ``task``, ``method``, ``seed``, ``source``, and those of ``RULES``.
    """
    import pandas as pd

    out = []
    for row in rows:
        if "error" in row:
            continue
        moments = row["moments"]
        kept = max(moments, key=lambda m: m[VALIDATOR])["target"] if moments else row["target"]
        best = max(m["target"] for m in moments) if moments else row["target"]
        keys = {k: row[k] for k in ("world", "task", "method", "seed", "source")}
        out.append({**keys, "last": row["target"], "validator": kept, "labels": best})
    return pd.DataFrame(out)


def summary(trainings: pd.DataFrame, rule: str = "last") -> pd.DataFrame:
    """Mean target accuracy of each method in each world, and its standard deviation over seeds.

    The mean over the tasks of a world is formed for each seed; then mean and standard deviation over the seeds.

    Returns
    -------
    DataFrame
        Index ``method``, columns (world, "mean" or "sd"), in %.
    """
    by_seed = trainings.groupby(["method", "world", "seed"])[rule].mean()
    grouped = 100 * by_seed.groupby(["method", "world"]).agg(["mean", "std"]).rename(columns={"std": "sd"})
    return grouped.unstack("world").swaplevel(axis=1)


def complete(trainings: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Scores of tasks × methods for ranks, and the methods left out because they miss a task."""
    scores = trainings.pivot_table(index=["world", "task"], columns="method", values="last", aggfunc="mean")
    missing = scores.columns[scores.isna().any()].tolist()
    return scores.drop(columns=missing), missing


def methods_page(
    rows: Iterable[Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, float]],
    *,
    settings: Mapping[str, Any],
) -> tuple[str, str]:
    """The comparison as Markdown and as a self-contained page.

    Parameters
    ----------
    rows : iterable of mappings
        As for :func:`frame`.
    costs : mapping of method to mapping
        ``ratio``: time of a step relative to ``source_only``.
    settings : mapping of world to what all its trainings share

    Returns
    -------
    text, html : str
    """
    rows = list(rows)
    everything = frame(rows)
    counts = everything.groupby("method")["task"].nunique()
    one, several = _sections(everything)
    sections = [
        ("One source domain, or several as one", one),
        ("One domain left out: methods that tell the sources apart", several),
    ]
    parts: list[Any] = [_how(settings, everything)]
    text = [_how(settings, everything)]
    for title, trainings in sections:
        if trainings["method"].nunique() < 3:
            continue
        parts += [views.heading(title), *_section(trainings, costs, title)]
        text += [f"### {title}", _markdown(trainings, costs)]
    failed = [r for r in rows if "error" in r]
    if failed:
        said = sorted({f"{r['method']}: {r['error']}" for r in failed})
        parts += [views.heading("What could not be trained"), "\n\n".join(said)]
        text.append("Not trained: " + "; ".join(said))
    lead = (
        f"{len(counts)} methods, {everything.groupby('world')['task'].nunique().sum()} tasks, "
        f"{everything['seed'].nunique()} seeds, {len(everything)} trainings. No target label chose anything."
    )
    return "\n\n".join(text), views.page("Every method, every task", *parts, lead=lead).html()


def _sections(trainings: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trainings of methods that see one source, and of those that tell several apart; two references are in both."""
    from dakit import methods

    apart = {n for n, where in methods._METHODS.items() if where.startswith("generalize.")}
    apart |= {
        n for n in methods._METHODS if getattr(methods, methods._METHODS[n].partition(".")[2]).min_sources > 1
    }
    of_apart = trainings["method"].isin(apart)
    keys = trainings["world"] + "/" + trainings["task"]
    left_out = keys.isin(keys[of_apart])
    # Worlds whose every task has several sources: there the methods of the first section see them as one.
    pooled = trainings["world"].isin(set(trainings["world"]) - set(trainings.loc[~left_out, "world"]))
    reference = trainings["method"].isin({REFERENCE, "dann"})
    return trainings[~of_apart & (~left_out | pooled)], trainings[left_out & (of_apart | reference)]


def _how(settings: Mapping[str, Any], trainings: pd.DataFrame) -> str:
    tasks = trainings.groupby("world")["task"].nunique()
    worlds = "; ".join(
        f"{w}: {tasks.get(w, 0)} tasks, " + ", ".join(f"{k} {v}" for k, v in s.items())
        for w, s in settings.items()
    )
    return (
        f"Settings, the same for every method ({worlds}), were fixed by the held-out source accuracy of {REFERENCE} "
        "alone; hyper-parameters are the defaults. Accuracies are on a half of the target that no training saw. "
        "Rule of the tables: the last step. Beside it what a validator without target labels would have kept "
        "(information maximisation, of six moments), and what choosing by target labels would have shown."
    )


def _table(
    trainings: pd.DataFrame, costs: Mapping[str, Mapping[str, float]]
) -> tuple[list[dict[str, str]], Ranks | None]:
    worlds = list(dict.fromkeys(trainings["world"]))
    cells = summary(trainings)
    means = trainings.groupby("method")[list(RULES)].mean() * 100
    scores, _ = complete(trainings[trainings["method"] != BOUND])
    ranks = rank_methods(scores) if scores.shape[1] > 2 and len(scores) > 1 else None
    place = {} if ranks is None else ranks.mean.to_dict()
    order = sorted(means.index, key=lambda m: (m == BOUND, place.get(m, np.inf), -means.loc[m, "last"]))
    out = []
    for m in order:
        row = {"method": f"{m} (bound)" if m == BOUND else m}
        for w in worlds:
            mean, sd = cells.loc[m, (w, "mean")], cells.loc[m, (w, "sd")]
            row[w] = "–" if np.isnan(mean) else f"{mean:.1f}" + ("" if np.isnan(sd) else f" ± {sd:.1f}")
        low_high = "" if m not in place else f" [{ranks.low[m]:.1f}, {ranks.high[m]:.1f}]"
        row["mean rank"] = f"{place[m]:.1f}{low_high}" if m in place else "–"
        row |= {heading: f"{means.loc[m, k]:.1f}" for k, heading in RULES.items()}
        row["step cost"] = f"{costs[m]['ratio']:.1f}" if m in costs else "–"
        out.append(row)
    return out, ranks


def _markdown(trainings: pd.DataFrame, costs: Mapping[str, Mapping[str, float]]) -> str:
    rows, ranks = _table(trainings, costs)
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join([*lines, "", _ranking_words(ranks, trainings)])


def _ranking_words(ranks: Ranks | None, trainings: pd.DataFrame) -> str:
    if ranks is None:
        return ""
    _, missing = complete(trainings[trainings["method"] != BOUND])
    base = (
        f" From {REFERENCE}: {', '.join(m for m in ranks.alike(REFERENCE) if m != REFERENCE) or 'none'}."
        * (REFERENCE in ranks.mean)
    )
    left = f" Not ranked, for a task is missing: {', '.join(missing)}." if missing else ""
    best = ranks.mean.index[0]
    alike = ", ".join(m for m in ranks.alike(best) if m != best)
    return (
        f"Friedman: chi² {ranks.statistic:.0f} over {ranks.n_tasks} tasks, p {ranks.pvalue:.1g}. Critical difference "
        f"of mean ranks (Nemenyi, 5 %): {ranks.critical_difference:.1f}. Not told apart from {best}: {alike or 'none'}."
        f"{base}{left} Tasks that share a domain are not independent, so the p-value flatters."
    )


def _section(trainings: pd.DataFrame, costs: Mapping[str, Mapping[str, float]], title: str) -> list[Any]:
    rows, ranks = _table(trainings, costs)
    note = "Accuracy in %, mean ± sd over seeds of the mean over a world's tasks; step cost relative to source_only."
    parts: list[Any] = [views.table(rows, caption=f"{title}: accuracy", note=note)]
    if ranks is not None:
        words = _ranking_words(ranks, trainings)
        near = {"critical_difference": ranks.critical_difference}
        parts.append(
            views.ranks(ranks.mean, low=ranks.low, high=ranks.high, **near, title="Mean ranks", note=words)
        )
    gains, sds = _gains(trainings)
    if gains:
        parts.append(
            views.dots(
                gains, spread=sds, line=0.0, x_label=f"gain over {REFERENCE}, points", title="Gain in each world",
                note="Mean and standard deviation over seeds of the mean over a world's tasks.",
            )
        )  # fmt: skip
    means = trainings.groupby("method")[list(RULES)].mean() * 100
    moved = means.drop(columns="last").sub(means["last"], axis=0)
    moved = moved[(moved.abs() > 1e-9).any(axis=1)]
    if len(moved):
        shown = {RULES[k]: moved[k].to_dict() for k in moved}
        note = (
            "What the rule of selection alone changes. The validator is information maximisation and needs no target "
            "label; the other is what a paper gains that picks the best moment by target labels."
        )
        parts.append(
            views.dots(
                shown, line=0.0, x_label="points above the last step", title="Choosing the moment", note=note
            )
        )
    return parts


def _gains(trainings: pd.DataFrame) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    by_seed = 100 * trainings.groupby(["method", "world", "seed"])["last"].mean()
    if REFERENCE not in by_seed.index.get_level_values("method"):
        return {}, {}
    over = by_seed.unstack("method")
    over = over.sub(over[REFERENCE], axis=0).drop(columns=REFERENCE)
    order = over.mean().sort_values(ascending=False).index
    mean, sd = over.groupby("world").mean()[order], over.groupby("world").std()[order]
    return {w: mean.loc[w].to_dict() for w in mean.index}, {w: sd.loc[w].to_dict() for w in sd.index}
