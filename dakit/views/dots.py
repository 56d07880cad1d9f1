"""``views.dots``: one row for each method (or any other thing), one mark for each world (or any other series)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dakit.views.labels import counted, number, shortened
from dakit.views.palette import DOMAINS, EDGE, INK, domain_marker
from dakit.views.view import View


def dots(
    values: Mapping[str, Mapping[str, float]],
    *,
    spread: Mapping[str, Mapping[str, float]] | None = None,
    x_label: str = "",
    line: float | None = None,
    title: str | None = None,
    note: str = "",
) -> View:
    """Numbers by row and series, as marks on one axis.

    Parameters
    ----------
    values : mapping of series to mapping of row to float
        For example ``{"emoji": {"dann": 3.1, "dan": 5.0}, "digits": {…}}``. A row that a series lacks, or NaN, stays
        empty. Rows stand in the order in which they first appear.
    spread : mapping of the same form, optional
        Half widths of bars around the marks, for example standard deviations over seeds.
    x_label : str
    line : float, optional
        A level to compare with, such as 0.
    title, note : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is nothing to draw.

    Examples
    --------
    >>> dots({"emoji": {"dann": 3.0, "dan": 5.0}}, x_label="gain").alt
    'Gain of 2 rows in 1 series. emoji: from 3 (dann) to 5 (dan).'
    """
    rows = list(dict.fromkeys(str(r) for column in values.values() for r in column))
    made = {
        str(s): np.array([float(column.get(r, np.nan)) for r in rows])
        for s, column in values.items()
        if column
    }
    made = {s: v for s, v in made.items() if np.isfinite(v).any()}
    if not made:
        raise ValueError("dots needs at least one series with a finite value")
    bars = {
        str(s): np.array([float(column.get(r, np.nan)) for r in rows]) for s, column in (spread or {}).items()
    }
    said = []
    for s, v in made.items():
        low, high = rows[int(np.nanargmin(v))], rows[int(np.nanargmax(v))]
        said.append(f"{s}: from {number(np.nanmin(v))} ({low}) to {number(np.nanmax(v))} ({high}).")
    name = x_label or "values"
    head = f"{name[0].upper()}{name[1:]} of {counted(len(rows), 'row')} in {len(made)} series."
    return View(
        title or x_label or "Values",
        " ".join([head, *said]),
        lambda narrow: _draw(rows, made, bars, x_label, line, narrow),
        note=note,
    )


def _draw(
    rows: list[str],
    made: dict[str, Any],
    bars: dict[str, Any],
    x_label: str,
    line: float | None,
    narrow: bool,
):
    from matplotlib.figure import Figure

    height = 0.16 + 0.055 * len(made)
    figure = Figure(figsize=(3.75 if narrow else 7.0, height * len(rows) + 1.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.06)
    ax = figure.subplots()
    at = np.arange(len(rows))
    offsets = np.linspace(-0.27, 0.27, len(made)) if len(made) > 1 else [0.0]
    for edge in at[:-1] + 0.5:
        ax.axhline(edge, color=INK, alpha=0.12, linewidth=0.6)
    if line is not None:
        ax.axvline(line, color=INK, linewidth=0.9)
    for i, (series, v) in enumerate(made.items()):
        colour, marker = DOMAINS[i % len(DOMAINS)], domain_marker(i)
        if series in bars:
            ax.hlines(
                at + offsets[i], v - bars[series], v + bars[series], color=colour, linewidth=1.2, alpha=0.7
            )
        ax.plot(
            v, at + offsets[i], marker.matplotlib, color=colour, markersize=4.8, markeredgewidth=1.3,
            markerfacecolor=colour if marker.filled else "white", label=shortened(series, 30),
        )  # fmt: skip
    ax.set_yticks(at, [shortened(r, 26) for r in rows], color=INK)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.set_xlabel(x_label)
    if len(made) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2 if narrow else min(4, len(made)))
    return figure
