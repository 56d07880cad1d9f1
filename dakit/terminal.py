"""What the ``dakit`` command says: errors in one sentence, JSON, tables."""

from __future__ import annotations

import json
import math
import sys
from typing import Any


def fail(sentence: str) -> int:
    print(f"dakit: {sentence}", file=sys.stderr)
    return 2


def usage(error: Exception) -> str:
    """A usage error in one sentence; what is missing is named as one types it."""
    text, param = " ".join(error.format_message().split()), getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and param is not None:
        return f"missing {' or '.join(o for o in param.opts if o.startswith('-')) or param.metavar or param.name}"
    return text


def sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(str(text).split()) or type(error).__name__


def print_json(value: dict[str, Any]) -> None:
    """Write JSON that every parser takes: NaN and infinity become null."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def console(stderr: bool = False):
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(message: str, quiet: bool = False) -> None:
    if not quiet:
        console(stderr=True).print(message)


def number(value: float | None, digits: int = 3) -> str:
    if value is None or math.isnan(value):
        return "–"
    if value != 0 and abs(value) < 10**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def print_rows(title: str, rows: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title=title)
    table.add_column("name", style="bold", no_wrap=True)
    columns = list(next(iter(rows.values()), {}))
    for column in columns:
        table.add_column(column, overflow="fold")
    for name, row in rows.items():
        table.add_row(name, *(str(row[c]) for c in columns))
    console().print(table)
