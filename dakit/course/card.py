"""A card: a few words to the reader, as HTML in a notebook and as plain text everywhere else."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MARKS = {"passed": "✓", "wrong": "✗", "open": "○", "note": "▸"}
# Okabe-Ito colours, the mark beside them says the same: nothing hangs on colour alone.
EDGES = {"passed": "#009E73", "wrong": "#D55E00", "open": "#999999", "note": "#0072B2"}


@dataclass(frozen=True)
class Card:
    """Something said to the reader.

    Parameters
    ----------
    kind : {"passed", "wrong", "open", "note"}
    title : str
    lines : sequence of str
        Paragraphs in plain words; `` `code` `` in backticks is set as code. Everything is escaped.
    code : str
        A block of code below the paragraphs.
    facts : mapping
        What the machinery reads back from an executed notebook (kept in the output's metadata).
    """

    kind: str
    title: str
    lines: Sequence[str] = ()
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{MARKS[self.kind]} {self.title}", *(f"  {line}" for line in self.lines)]
        if self.code:
            parts += ["", self.code.rstrip()]
        return "\n".join(parts)

    __repr__ = __str__

    def html(self) -> str:
        """The card as an HTML fragment that needs nothing from outside and reads on light and dark pages."""
        body = "".join(f'<p style="margin:.3em 0">{inline(line)}</p>' for line in self.lines)
        if self.code:
            from dakit.course.source import highlight

            body += highlight(self.code)
        return (
            f'<div class="dakit-card" role="note" style="border-left:4px solid {EDGES[self.kind]};'
            f'padding:.2em .8em;margin:.4em 0;max-width:60em">'
            f'<p style="margin:.2em 0"><strong>{MARKS[self.kind]} {inline(self.title)}</strong></p>{body}</div>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return {"text/html": self.html(), "text/plain": str(self)}, {"dakit": dict(self.facts)}


def inline(text: str) -> str:
    """Escape ``text`` for HTML and set what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def in_ipython() -> bool:
    """True in a notebook or an IPython terminal."""
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def show(thing: Any) -> None:
    """Display ``thing`` in a notebook, print it elsewhere."""
    if in_ipython():
        from IPython.display import display

        display(thing)
    else:
        print(thing)
