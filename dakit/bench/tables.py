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

    seeds = f"over {len(comparison.seeds)} seed{'s' if len(comparison.seeds) > 1 else ''}"
    accuracy = Table(
        title=f"{title}: accuracy in %, held-out examples, mean ± sd {seeds}", box=box.SIMPLE_HEAD
    )
    shift = Table(title=f"{title}: shift between the features, mean ± sd {seeds}", box=box.SIMPLE_HEAD)
    for table, columns in (
        (accuracy, ("target", "gain", "source")),
        (shift, ("MMD²", "p", "A-distance", "ICV source, target", "IDD")),
    ):
        table.add_column("method", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right")
    for method in comparison.methods:
        gain = (
            comparison.gain(method)
            if "source_only" in comparison.methods and method != "source_only"
            else None
        )
        accuracy.add_row(
            _named(method),
            _cell(comparison, method, "target_accuracy"),
            ""
            if gain is None
            else f"{'+' if gain['mean'] >= 0 else ''}{plus_minus(gain, scale=100, digits=1)}",
            _cell(comparison, method, "source_accuracy"),
        )
        means = comparison.shift(method)
        icv, icv_target, idd = (
            "–" if means[k] is None else f"{means[k]:.4f}" for k in ("icv_source", "icv_target", "idd")
        )
        measured = (spread([r[k] for r in means["per_seed"]]) for k in ("mmd", "a_distance"))
        mmd, a_distance = (plus_minus(m, digits=3) for m in measured)
        shift.add_row(
            _named(method), mmd, f"{means['mmd_pvalue']:.3f}", a_distance, f"{icv}, {icv_target}", idd
        )
    return [accuracy, shift]


def _named(method: str) -> str:
    return f"{method} (bound)" if method == "oracle" else method


def caption(comparison: Comparison) -> str:
    n = len(comparison.seeds)
    return (
        f"mean ± standard deviation over {n} seed{'s' if n > 1 else ''}; accuracy in %, all on held-out examples; "
        "shift between the features of source and target; p is the largest over the seeds"
    )
