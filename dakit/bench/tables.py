"""A comparison as tables: for the terminal and for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dakit.bench.comparison import Comparison, spread

if TYPE_CHECKING:
    from rich.table import Table

SHIFT_COLUMNS = {
    "mmd": "MMD²",
    "mmd_pvalue": "p (MMD)",
    "a_distance": "A-distance",
    "icv_source": "ICV source",
    "icv_target": "ICV target",
    "idd": "IDD",
}


def accuracy_rows(comparison: Comparison) -> list[dict[str, str]]:
    """One row a method: held-out accuracy in % and the gain over ``source_only``, mean ± sd over the seeds."""
    return [
        {
            "method": _named(method),
            "target": _accuracy(comparison, method, "target"),
            "gain": _gain(comparison, method),
            "source": _accuracy(comparison, method, "source"),
        }
        for method in comparison.methods
    ]


def shift_rows(comparison: Comparison) -> list[dict[str, str]]:
    """One row a method: shift between the features, mean ± sd over the seeds; p is the largest."""
    rows = []
    for method in comparison.methods:
        shift = comparison.shift(method)
        row = {"method": _named(method)}
        for key, title in SHIFT_COLUMNS.items():
            values = [r[key] for r in shift["per_seed"]]
            if None in values:
                row[title] = "–"
            elif key == "mmd_pvalue":
                row[title] = f"{shift[key]:.3f}"
            else:
                row[title] = plus_minus(spread(values))
        rows.append(row)
    return rows


def accuracy_caption(comparison: Comparison) -> str:
    return f"Accuracy in % of held-out examples, {_seeds(comparison)}."


def shift_caption(comparison: Comparison) -> str:
    return f"Shift between the features of held-out examples, {_seeds(comparison)}; p is the largest of the seeds."


def comparison_tables(comparison: Comparison, *, title: str) -> list[Table]:
    """Two tables for a terminal of 80 columns: what was recognised, and how far apart the features are."""
    from rich import box
    from rich.table import Table

    look = {
        "box": box.SIMPLE_HEAD,
        "pad_edge": False,
        "collapse_padding": True,
        "title_justify": "left",
        "caption_justify": "left",
    }
    accuracy = Table(title=title, caption=accuracy_caption(comparison), **look)
    shift = Table(caption=f"{shift_caption(comparison)} S: source, T: target.", **look)
    for table, columns in (
        (accuracy, ("target", "gain", "source")),
        (shift, ("MMD²", "p", "A-dist.", "ICV S", "ICV T", "IDD")),
    ):
        table.add_column("method", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
    for row in accuracy_rows(comparison):
        accuracy.add_row(*row.values())
    for method in comparison.methods:
        shift.add_row(_named(method), *_short_shift(comparison, method))
    return [accuracy, shift]


def _short_shift(comparison: Comparison, method: str) -> list[str]:
    """The row of :func:`shift_rows` in fewer digits, without the spread of ICV and IDD."""
    means = comparison.shift(method)
    mmd, a_distance = (
        plus_minus(spread([row[key] for row in means["per_seed"]]), digits=digits)
        for key, digits in (("mmd", 3), ("a_distance", 2))
    )
    others = ("–" if means[k] is None else f"{means[k]:.4f}" for k in ("icv_source", "icv_target", "idd"))
    return [mmd, f"{means['mmd_pvalue']:.3f}", a_distance, *others]


def _accuracy(comparison: Comparison, method: str, domain: str) -> str:
    measured = comparison.accuracy(method, domain)
    return "–" if measured is None else plus_minus(measured, scale=100, digits=1)


def _gain(comparison: Comparison, method: str) -> str:
    if "source_only" not in comparison.methods or method == "source_only":
        return ""
    gain = comparison.gain(method)
    return "–" if gain is None else ("+" if gain["mean"] >= 0 else "") + plus_minus(gain, scale=100, digits=1)


def _named(method: str) -> str:
    return f"{method} (bound)" if method == "oracle" else method


def _seeds(comparison: Comparison) -> str:
    n = len(comparison.seeds)
    return f"mean ± sd over {n} seed{'s' if n > 1 else ''}"


def plus_minus(measured: dict[str, Any], *, scale: float = 1, digits: int | None = None) -> str:
    """``mean ± sd``; without ``digits``, three decimals, or four where the mean is below 0.1."""
    mean, sd = measured["mean"] * scale, measured["sd"]
    if digits is None:
        digits = 4 if abs(mean) < 0.1 else 3
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd * scale:.{digits}f}")
