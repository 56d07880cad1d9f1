"""A comparison as a table: for the terminal and for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dakit.bench.compare import Comparison, spread

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
        row = {"method": method + (" (bound)" if method == "oracle" else "")}
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


def comparison_table(comparison: Comparison, *, title: str) -> Table:
    """The rows as a rich table for the terminal."""
    from rich.table import Table

    table = Table(title=title, caption=caption(comparison))
    table.add_column("method", no_wrap=True)
    for name in COLUMNS.values():
        table.add_column(name, justify="right")
    for row in comparison_rows(comparison):
        table.add_row(*row.values())
    return table


def caption(comparison: Comparison) -> str:
    n = len(comparison.seeds)
    return (
        f"mean ± standard deviation over {n} seed{'s' if n > 1 else ''}; accuracy in %, all on held-out examples; "
        "shift between the features of source and target; p is the largest over the seeds"
    )
