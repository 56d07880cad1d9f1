"""``views.alignment``: before | after, side by side and linked."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dakit.views.embedding import (
    LAYOUT_NAMES,
    captions,
    facts_at,
    plotly_face,
    shapes_note,
    step_name,
    thinned_note,
    who_is_shown,
)
from dakit.views.labels import enumerate_words, percent, plotly_text
from dakit.views.layout import WARNING, Layout, layout
from dakit.views.points import (
    caption_panel,
    chosen_colour,
    draw_panel,
    legend_entries,
    panel_axes,
    plotly_traces,
    points_layout,
)
from dakit.views.scene import Scene, scene
from dakit.views.view import View


def alignment(
    before: Any,
    after: Any = None,
    *,
    ys=None,
    yt=None,
    classes: Sequence[str] | None = None,
    names: tuple[str, str] | None = None,
    titles: tuple[str, str] = ("before", "after"),
    layout: str = "umap",
    colour: str = "auto",
    numbers: tuple[Mapping[str, Any] | str | None, Mapping[str, Any] | str | None] = (None, None),
    seed: int = 0,
    max_points: int = 2000,
    title: str | None = None,
) -> View:
    """Two domains before and after adaptation.

    On a page the panels are linked: pointing at an example, or selecting some, shows them on both sides, and the
    legend switches both.

    Parameters
    ----------
    before, after
        Each a run (its last snapshot is taken), a snapshot, or a pair ``(source, target)`` of arrays or Domains.
        With ``after`` left out, ``before`` is a run, and its first and last snapshots are compared on common axes;
        otherwise each side has a layout of its own, since two networks do not share a feature space.
    ys, yt : array of shape (n,), optional
        Class indices of the examples, the same on both sides.
    classes : sequence of str, optional
    names : (str, str), optional
        Names of source and target.
    titles : (str, str)
        What the two sides are called.
    layout : {"umap", "pca"}
    colour : {"auto", "class", "domain"}
    numbers : pair of dict, optional
        Shift numbers of each side, as ``metrics.shift_numbers`` gives them.
    seed : int
    max_points : int
    title : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If labels do not fit, or ``after`` is missing and ``before`` holds one moment only.
    """
    made = {"ys": ys, "yt": yt, "classes": classes, "names": names}
    common = after is None
    if common:
        whole = scene(before, **made)
        if len(whole.steps) < 2:
            raise ValueError(
                "alignment needs two moments: pass before and after, or a run with at least two snapshots"
            )
        full = [whole.at(0), whole.at(-1)]
        if titles == ("before", "after"):
            titles = tuple(f"{word}, {step_name(side, 0)}" for word, side in zip(titles, full))
    else:
        full = [
            scene(*(side if isinstance(side, tuple) else (side,)), **made).at(-1) for side in (before, after)
        ]
    # Thinning draws the same rows on both sides, so that they stay linked.
    sides = [side.thin(max_points, seed) for side in full]
    flats = _layouts(sides, layout, seed, common)
    colour = chosen_colour(sides[0], colour)
    said = captions(sides, numbers)
    title = title or f"{enumerate_words(sides[0].domains)}: {titles[0]} and {titles[1]}"
    figures = _Figures(sides, flats, colour, said, titles, title)
    return View(
        title,
        " ".join(
            [who_is_shown(sides[0], flats[0]), *(f"{t}: {facts_at(s, 0)}" for t, s in zip(titles, sides))]
        ),
        figures.draw,
        note=_note(flats, common) + thinned_note(full[0], sides[0]),
        plotly=figures.plotly,
        panels=figures.panels,
        legend=legend_entries(sides[0], colour),
        linked=_same_rows(*sides),
    )


def _layouts(sides: list[Scene], method: str, seed: int, common: bool) -> list[Layout]:
    if not common:
        return [layout(side.features, method=method, seed=seed) for side in sides]
    both = layout([s.features[0] for s in sides], method=method, seed=seed)
    return [Layout((p,), both.method, both.note, both.overlap, both.limits) for p in both.points]


def _same_rows(before: Scene, after: Scene) -> bool:
    """Whether row i is the same example on both sides, as far as can be told."""
    return np.array_equal(before.domain, after.domain) and np.array_equal(before.labels, after.labels)


def _note(flats: list[Layout], common: bool) -> str:
    if common or "features" in (flats[0].method, flats[1].method):
        return flats[0].note
    if flats[0].method != flats[1].method:
        return f"Each side has its own axes. {flats[0].note} {flats[1].note}"
    kept = " and ".join(percent(f.overlap) for f in flats)
    name = LAYOUT_NAMES[flats[0].method]
    return f"Each side has a {name} of its own, keeping {kept} of each point's nearest neighbours. {WARNING}"


class _Figures:
    """The faces of one alignment."""

    def __init__(self, sides, flats, colour, said, titles, title) -> None:
        self.sides, self.flats, self.colour = sides, flats, colour
        self.said, self.titles, self.title = said, titles, title

    def draw(self, narrow: bool):
        from matplotlib.figure import Figure

        entries = legend_entries(self.sides[0], self.colour)
        figure = Figure(figsize=(3.75, 11.0) if narrow else (10.35, 5.6), layout="constrained")
        axes = panel_axes(figure, 2, entries, narrow=narrow)
        for i, (ax, side, flat) in enumerate(zip(axes, self.sides, self.flats)):
            caption_panel(ax, self.titles[i], self.said[i])
            draw_panel(ax, side, flat.points[0], flat.limits, self.colour)
        return figure

    def plotly(self):
        """One figure with two panels and one legend."""
        from plotly.subplots import make_subplots

        heads = [
            "<br>".join(
                [f"<b>{plotly_text(t)}</b>", *(plotly_text(w) for f in facts for w in textwrap.wrap(f, 44))]
            )
            for t, facts in zip(self.titles, self.said)
        ]
        room = 64 + 20 * max(head.count("<br>") + 1 for head in heads)
        figure = make_subplots(1, 2, horizontal_spacing=0.03)
        for i, (side, flat) in enumerate(zip(self.sides, self.flats)):
            traces = plotly_traces(side, flat.points[0], 0, self.colour, listed=i == 0)
            figure.add_traces(traces, rows=1, cols=i + 1)
        first, second = (points_layout(s, f.limits) for s, f in zip(self.sides, self.flats))
        figure.update_layout(
            **first | {"height": 400 + room, "margin": {"l": 12, "r": 12, "t": room, "b": 36}}
        )
        figure.update_layout(
            xaxis2=second["xaxis"] | {"domain": [0.515, 1]},
            yaxis2=second["yaxis"] | {"scaleanchor": "x2", "anchor": "x2"},
            title={"text": plotly_text(self.title), "x": 0.01, "xanchor": "left", "font": {"size": 16}},
            legend={"itemsizing": "constant", "tracegroupgap": 2},
        )
        for i, text in enumerate(heads):
            where = {
                "x": 0.515 * i,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "xref": "paper",
                "yref": "paper",
            }
            figure.add_annotation(text=text, showarrow=False, align="left", **where)
        figure.add_annotation(shapes_note(self.sides[0]) | {"y": 0, "yanchor": "top", "yshift": -8})
        return figure

    def panels(self) -> list:
        faces = []
        for i, (side, flat) in enumerate(zip(self.sides, self.flats)):
            face = plotly_face(side, flat, self.colour, self.said[i : i + 1], "")
            face.update_layout(
                dragmode="lasso", meta={"name": self.titles[i], "note": " · ".join(self.said[i])}
            )
            faces.append(face)
        return faces
