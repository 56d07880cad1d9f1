"""A comparison as a table: for the terminal and for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dakit.bench.comparison import Comparison, spread

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = {
    "target_accuracy": "target accuracy",
    "source_accuracy": "source accuracy",
    "mmd": "MMD²",
    "mmd_pvalue": "p (MMD)",
    "a_distance": "A-distance",
    "icv_source": "ICV source",
    "icv_target": "ICV target",
    "idd": "IDD",
}


def comparison_rows(comparison: Comparison) -> list[dict[str, str]]:
    """One row a method, every cell as text: mean ± standard deviation over the seeds."""
    rows = []
    for method in comparison.methods:
        row = {"method": _named(method)}
        for key, title in COLUMNS.items():
            row[title] = _cell(comparison, method, key)
        rows.append(row)
    return rows


def _cell(comparison: Comparison, method: str, key: str) -> str:
    if key.endswith("_accuracy"):
        measured = comparison.accuracy(method, key.removesuffix("_accuracy"))
        return "–" if measured is None else plus_minus(measured, scale=100, digits=1)
    if key == "mmd_pvalue":
        p = comparison.shift(method)[key]
        return "–" if p is None else f"{p:.3f}"
    values = [r[key] for r in comparison.shift(method)["per_seed"]]
    return "–" if None in values else plus_minus(spread(values))


def plus_minus(measured: dict[str, Any], *, scale: float = 1, digits: int | None = None) -> str:
    """``mean ± sd``; small numbers keep two significant digits."""
    mean, sd = measured["mean"] * scale, measured["sd"]
    if digits is None and 0 < abs(mean) < 0.01:
        return f"{mean:.1e}" + ("" if sd is None else f" ± {sd * scale:.0e}")
    digits = 3 if digits is None else digits
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd * scale:.{digits}f}")


def comparison_tables(comparison: Comparison, *, title: str) -> list[Table]:
    """Two tables for a terminal of 80 columns: what was recognised, and how far apart the features are."""
    from rich import box
    from rich.table import Table

    n = len(comparison.seeds)
    seeds = f"mean ± sd over {n} seed{'s' if n > 1 else ''}"
    look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "title_justify": "left", "caption_justify": "left"}
    accuracy = Table(title=title, caption=f"Accuracy in % of held-out examples, {seeds}.", **look)
    shift = Table(
        caption=f"Shift between the features of source (S) and target (T), {seeds}; p: largest of the seeds.",
        **look,
    )
    for table, columns in (
        (accuracy, ("target", "gain", "source")),
        (shift, ("MMD²", "p", "A-distance", "ICV S", "ICV T", "IDD")),
    ):
        table.add_column("method", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
    for method in comparison.methods:
        accuracy.add_row(_named(method), *_accuracy_cells(comparison, method))
        shift.add_row(_named(method), *_shift_cells(comparison, method))
    return [accuracy, shift]


def _accuracy_cells(comparison: Comparison, method: str) -> tuple[str, str, str]:
    judged = "source_only" in comparison.methods and method != "source_only"
    gain = comparison.gain(method) if judged else None
    sign = "+" if gain and gain["mean"] >= 0 else ""
    return (
        _cell(comparison, method, "target_accuracy"),
        sign + plus_minus(gain, scale=100, digits=1) if gain else "",
        _cell(comparison, method, "source_accuracy"),
    )


def _shift_cells(comparison: Comparison, method: str) -> list[str]:
    means = comparison.shift(method)
    mmd, a_distance = (
        plus_minus(spread([row[key] for row in means["per_seed"]]), digits=digits)
        for key, digits in (("mmd", 3), ("a_distance", 2))
    )
    others = ("–" if means[k] is None else f"{means[k]:.4f}" for k in ("icv_source", "icv_target", "idd"))
    return [mmd, f"{means['mmd_pvalue']:.3f}", a_distance, *others]


def _named(method: str) -> str:
    return f"{method} (bound)" if method == "oracle" else method


def caption(comparison: Comparison) -> str:
    n = len(comparison.seeds)
    return (
        f"mean ± standard deviation over {n} seed{'s' if n > 1 else ''}; accuracy in %, all on held-out examples; "
        "shift between the features of source and target; p is the largest over the seeds"
    )
