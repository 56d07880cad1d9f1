"""One self-contained HTML page of prose, tables and views.

The page opens from disk: plotly.js, styles and pictures are inside, and a content security policy forbids the
browser to fetch anything else. Without scripts it still reads: every view then shows its still picture.
"""

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from numbers import Real
from pathlib import Path
from typing import Any

from dakit.views.labels import number
from dakit.views.palette import PLOTLY_CONFIG, Marker
from dakit.views.view import View

LONG = 48  # letters, beyond which a cell's text goes over several lines
POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class Heading:
    """A section heading."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column names the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str
    note: str = ""


def heading(text: str) -> Heading:
    """A section heading for :func:`page`."""
    return Heading(text)


def table(rows: Any, *, caption: str, columns: Sequence[str] | None = None, note: str = "") -> Table:
    """A table for :func:`page`.

    Parameters
    ----------
    rows : DataFrame, or sequence of mappings, or sequence of sequences
        Of a DataFrame, a named index becomes the first column. Strings are printed as they are, numbers with three
        significant digits, None and NaN as "–".
    caption : str
        What the table shows; read first by screen readers.
    columns : sequence of str, optional
        Which columns in which order; needed for sequences of sequences.
    note : str
        Printed below.

    Raises
    ------
    ValueError
        If the columns are not known, or a row has another length.
    """
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        frame = rows.reset_index() if any(n is not None for n in rows.index.names) else rows
        rows = frame.to_dict("records")
        columns = columns or [str(c) for c in frame.columns]
        rows = [{str(k): v for k, v in row.items()} for row in rows]
    rows = list(rows)
    if columns is None:
        if not rows or not isinstance(rows[0], Mapping):
            raise ValueError("a table of plain rows needs columns=[...]")
        columns = list(rows[0])
    listed = [tuple(row.get(c) for c in columns) if isinstance(row, Mapping) else tuple(row) for row in rows]
    for row in listed:
        if len(row) != len(columns):
            raise ValueError(f"every row of a table must have {len(columns)} cells, got one with {len(row)}")
    return Table(tuple(str(c) for c in columns), tuple(listed), caption, note)


class Page:
    """A page made by :func:`page`."""

    def __init__(self, title: str, parts: Iterable[Any], *, lead: str = "", lang: str = "en") -> None:
        self.title, self.parts, self.lead, self.lang = title, tuple(parts), lead, lang

    def html(self) -> str:
        """The whole document."""
        alone = len(self.parts) == 1 and isinstance(self.parts[0], View)
        # Views stand below the page's own headings where it has some.
        level = 0 if alone else 3 if any(isinstance(p, Heading) for p in self.parts) else 2
        body = [_part(part, f"part-{i}", level) for i, part in enumerate(self.parts)]
        live = any(isinstance(p, View) and p.interactive for p in self.parts)
        scripts = f"<script>{_plotly_js()}</script>\n<script>{_static('page.js')}</script>\n" if live else ""
        lead = _prose(self.lead, "lead") if self.lead else ""
        return (
            f'<!DOCTYPE html>\n<html lang="{html.escape(self.lang)}">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>{_static('page.css')}</style>\n</head>\n"
            f"<body>\n<main>\n<h1>{html.escape(self.title)}</h1>\n{lead}{''.join(body)}</main>\n{scripts}</body>\n</html>\n"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to ``path``, which ends in .html."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a page is saved as .html, got {path.name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html(), encoding="utf-8")
        return path


def page(title: str, *parts: str | View | Table | Heading, lead: str = "", lang: str = "en") -> Page:
    """Put prose, tables and views on one page.

    Parameters
    ----------
    title : str
    *parts
        A string is prose, with an empty line between paragraphs; :func:`heading`, :func:`table`, and any View.
    lead : str
        A first paragraph, set larger.
    lang : str
        Language of the prose, for screen readers.

    Returns
    -------
    Page
        With ``.html()`` and ``.save(path)``.

    Examples
    --------
    >>> made = page(
    ...     "Digits", "Two domains.", table([{"method": "dann", "accuracy": "71 %"}], caption="Results")
    ... )
    >>> '<th scope="row">dann</th><td class="number">71 %</td>' in made.html()
    True
    """
    for part in parts:
        if not isinstance(part, str | View | Table | Heading):
            raise TypeError(f"a page holds text, headings, tables and views, not {type(part).__name__}")
    return Page(title, parts, lead=lead, lang=lang)


# -- parts ----------------------------------------------------------------------------------------------------


def _part(part: Any, key: str, level: int) -> str:
    if isinstance(part, View):
        return _view(part, key, level)
    if isinstance(part, Table):
        return _table(part, key)
    if isinstance(part, Heading):
        return f"<h2>{html.escape(part.text)}</h2>\n"
    return _prose(part)


def _prose(text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    paragraphs = [p.strip() for p in text.split("\n\n") if p.strip()]
    return "".join(f"<p{attribute}>{html.escape(p)}</p>\n" for p in paragraphs)


def _table(part: Table, key: str) -> str:
    head = "".join(
        f'<th scope="col"{_numeric(part, i)}>{html.escape(c)}</th>' for i, c in enumerate(part.columns)
    )
    rows = []
    for row in part.rows:
        first, *rest = [html.escape(_cell(value)) for value in row]
        cells = "".join(f"<td{_numeric(part, i)}>{cell}</td>" for i, cell in enumerate(rest, 1))
        rows.append(f'<tr><th scope="row"{_numeric(part, 0)}>{first}</th>{cells}</tr>')
    note = f'<p class="note">{html.escape(part.note)}</p>' if part.note else ""
    # A wide table scrolls inside its own region, which the keyboard can reach; the page never does.
    return (
        f'<div class="table" role="region" tabindex="0" aria-labelledby="{key}"><table>'
        f'<caption id="{key}">{html.escape(part.caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n{note}\n"
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, Real | type(None)):
        return str(value)
    return str(value) if isinstance(value, int) else number(value)


def _numeric(part: Table, column: int) -> str:
    """Columns of numbers are set flush right; a number may carry a sign, a spread or a unit. Long texts wrap."""
    cells = [_cell(row[column]) for row in part.rows]
    if column and cells and all(_looks_numeric(c) for c in cells):
        return ' class="number"'
    return ' class="words"' if any(len(c) > LONG for c in cells) else ""


def _looks_numeric(cell: str) -> bool:
    return (cell[:1].isdigit() or cell[:1] in "–−-+") and sum(c.isalpha() for c in cell) <= 10


def _view(view: View, key: str, level: int) -> str:
    """A figure with a heading of ``level``; 0 where the page's own title says it."""
    title = f'<h{level} id="{key}-title">{html.escape(view.title)}</h{level}>' if level else ""
    named = f'aria-labelledby="{key}-title"' if level else f'aria-label="{html.escape(view.title)}"'
    words = f'<p id="{key}-alt">{html.escape(view.alt)}</p>'
    words += f'<p class="note">{html.escape(view.note)}</p>' if view.note else ""
    if not view.interactive:
        return f"<figure {named}>{title}{_picture(view)}<figcaption>{words}</figcaption></figure>\n"
    panels = view.panels()
    spec = {
        "panels": [json.loads(p.to_json()) for p in panels],
        "config": PLOTLY_CONFIG,
        "moments": list(view.moments),
        "linked": view.linked,
    }
    plots = "".join(_plot(p, key) for p in spec["panels"])
    return (
        f'<figure {named} data-view>{title}{_legend(view)}<div class="panels">{plots}</div>{_slider(view)}'
        f"<noscript>{_picture(view)}</noscript><figcaption>{words}</figcaption>"
        f'<script type="application/json">{_json(spec)}</script></figure>\n'
    )


def _plot(panel: dict, key: str) -> str:
    facts = panel["layout"].get("meta") or {}
    name = facts.get("name", "")
    label = f' aria-label="{html.escape(name)}"' if name else ""
    caption = f'<p class="panel-title">{html.escape(name)}</p>' if name else ""
    below = f'<p class="panel-note">{html.escape(facts["note"])}</p>' if facts.get("note") else ""
    ratio = float(facts.get("ratio", 1.0))
    described = f'role="group" aria-describedby="{key}-alt"{label}'
    return f'<div class="panel">{caption}<div class="plot" {described} style="--ratio:{ratio:g}"></div>{below}</div>'


def _picture(view: View) -> str:
    wide, small = (base64.b64encode(view.png(narrow=n, titled=False)).decode() for n in (False, True))
    width = int(96 * view.figure().get_size_inches()[0])
    return (
        f'<picture><source media="(max-width: 640px)" srcset="data:image/png;base64,{small}"><img alt="'
        f'{html.escape(view.alt)}" style="max-width:min(100%, {width}px)" src="data:image/png;base64,{wide}"></picture>'
    )


def _slider(view: View) -> str:
    if len(view.moments) < 2:
        return ""
    last = len(view.moments) - 1
    return (
        f'<div class="time" hidden><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" step="1" value="0" aria-label="Training snapshot" '
        f'aria-valuetext="{html.escape(view.moments[0])}"><output>{html.escape(view.moments[0])}</output></div>'
    )


def _legend(view: View) -> str:
    """Buttons that hide and show what they name; without scripts a plain legend."""
    if not view.legend:
        return ""
    groups: dict[str, list[str]] = {}
    for entry, label, colour, marker in view.legend:
        face = _symbol(colour, marker) + html.escape(str(label))
        button = f'<button type="button" aria-pressed="true" data-key="{html.escape(entry)}">{face}</button>'
        groups.setdefault(entry[0], []).append(f"<li>{button}</li>")
    lists = "".join(f"<ul>{''.join(items)}</ul>" for items in groups.values())
    return f'<div class="legend" role="group" aria-label="Legend; press an entry to hide or show it">{lists}</div>'


def _symbol(colour: str, marker: Marker | None) -> str:
    shapes = {
        None: '<rect x="2" y="2" width="10" height="10"/>',
        "circle": '<circle cx="7" cy="7" r="5"/>',
        "triangle-up-open": '<path d="M7 2 12.2 11.5H1.8Z"/>',
        "square": '<rect x="2" y="2" width="10" height="10"/>',
        "diamond-open": '<path d="M7 1 13 7 7 13 1 7Z"/>',
        "cross": '<path d="M5 1H9V5H13V9H9V13H5V9H1V5H5Z"/>',
        "triangle-down-open": '<path d="M7 12 1.8 2.5H12.2Z"/>',
        "star": '<path d="M7 1 8.8 5.2 13 5.5 9.8 8.4 10.8 13 7 10.5 3.2 13 4.2 8.4 1 5.5 5.2 5.2Z"/>',
        "pentagon-open": '<path d="M7 1 13 5.5 10.7 12.5H3.3L1 5.5Z"/>',
    }
    filled = marker is None or marker.filled
    paint = f'fill="{colour}"' if filled else f'fill="none" stroke="{colour}" stroke-width="1.6"'
    shape = shapes[None if marker is None else marker.plotly]
    return f'<svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" {paint}>{shape}</svg>'


# -- what is put inside ---------------------------------------------------------------------------------------


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for sign, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, code)
    return text


@cache
def _static(name: str) -> str:
    return files("dakit.views").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
