"""``views.embedding``: two domains in feature space, through training time."""

from collections.abc import Mapping, Sequence
from typing import Any

from dakit.views.labels import counted, enumerate_words, number, numbers_line, percent, plotly_text
from dakit.views.layout import Layout, layout
from dakit.views.palette import QUIET, domain_marker
from dakit.views.points import (
    caption_panel,
    chosen_colour,
    draw_panel,
    legend_entries,
    panel_axes,
    plotly_traces,
    points_layout,
    trace_rows,
    trace_text,
)
from dakit.views.scene import Scene, scene
from dakit.views.view import View

LAYOUT_NAMES = {"umap": "UMAP", "pca": "PCA", "features": "The two features"}


def embedding(
    *data: Any,
    ys=None,
    yt=None,
    classes: Sequence[str] | None = None,
    names: tuple[str, str] | None = None,
    layout: str = "umap",
    colour: str = "auto",
    numbers: Sequence[Mapping[str, Any] | str | None] | None = None,
    seed: int = 0,
    max_points: int = 2000,
    title: str | None = None,
) -> View:
    """Show domains in feature space; for a run, through training on fixed axes.

    Colour tells the class, the marker's shape the domain. The layout is fitted once on all snapshots together, so
    a point moves in the picture only if it moves in feature space. The still shows the first and the last
    snapshot; in Jupyter and on a page a slider goes through all of them.

    Parameters
    ----------
    *data
        ``(run)``, ``(run, source, target)`` with the Domains it was trained on, ``(snapshots)``,
        ``(source, target)`` as Domains or arrays of shape (n, ...), or a mapping of names to them.
    ys, yt : array of shape (n,), optional
        Class indices of the examples shown, -1 for unknown; for a run those of its snapshot rows,
        ``source.y[run.source_index]`` and ``target.y[run.target_index]``. Runs never hold target labels.
    classes : sequence of str, optional
        Class names in index order.
    names : (str, str), optional
        Names of source and target.
    layout : {"umap", "pca"}
        PCA is instant; UMAP takes about a second, and 7 more the first time in a process.
    colour : {"auto", "class", "domain"}
    numbers : sequence of dict, optional
        Shift numbers of each snapshot, as ``metrics.shift_numbers`` gives them; printed with the snapshot.
    seed : int
        For the layout and the choice of points.
    max_points : int
        Larger sets are thinned at random, domain by domain.
    title : str, optional

    Returns
    -------
    View

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> xs, xt = rng.normal(size=(60, 5)), rng.normal(size=(40, 5)) + 2
    >>> embedding(xs, xt, layout="pca").alt[:59]
    'PCA of 100 examples: source (60, circles) and target (40, o'
    """
    everything = scene(*data, ys=ys, yt=yt, classes=classes, names=names)
    shown = everything.thin(max_points, seed)
    flat = _layout(shown, layout, seed)
    colour = chosen_colour(shown, colour)
    said = captions([shown.at(s) for s in range(len(shown.steps))], numbers)
    title = title or _title(shown)
    picked = list(dict.fromkeys([0, len(shown.steps) - 1]))
    return View(
        title,
        describe(shown, flat, picked),
        lambda narrow: _draw(shown, flat, picked, colour, said, narrow),
        note=flat.note + thinned_note(everything, shown),
        plotly=lambda: plotly_face(shown, flat, colour, said, title),
        panels=lambda: [plotly_face(shown, flat, colour, said, "")],
        legend=legend_entries(shown, colour),
        moments=[_moment(shown, s, said[s]) for s in range(len(shown.steps))] if len(shown.steps) > 1 else (),
    )


def _layout(shown: Scene, method: str, seed: int) -> Layout:
    return layout(shown.features, method=method, seed=seed)


# -- words ----------------------------------------------------------------------------------------------------


def describe(shown: Scene, flat: Layout, picked: Sequence[int]) -> str:
    """Alt text: who is shown, and what the original space says at each moment picked."""
    moments = [(step_name(shown, s), s) for s in picked]
    said = [
        f"{when.capitalize()}: {facts}" if when else facts
        for when, facts in ((w, facts_at(shown, s)) for w, s in moments)
        if facts
    ]
    return " ".join([who_is_shown(shown, flat), *said])


def who_is_shown(shown: Scene, flat: Layout) -> str:
    """The first sentence of an alt text."""
    who = [
        f"{name} ({n:,}, {domain_marker(d).word})"
        for d, (name, n) in enumerate(zip(shown.domains, shown.counts()))
    ]
    said = f"{LAYOUT_NAMES[flat.method]} of {counted(len(shown), 'example')}: {enumerate_words(who)}"
    if shown.labeled:
        present = sorted(set(shown.labels[shown.labels >= 0].tolist()))
        said += (
            f", in {counted(len(present), 'class')} ({enumerate_words([shown.classes[c] for c in present])})"
        )
    return said + "."


def facts_at(shown: Scene, snapshot: int) -> str:
    """What is true in the original space at one moment, as a sentence; empty if nothing is known."""
    mixing, accuracy = shown.mixing(snapshot), _accuracy(shown, snapshot)
    facts = (
        [f"{percent(mixing)} of nearest neighbours come from another domain"] if mixing is not None else []
    )
    facts += [accuracy] if accuracy else []
    return f"{', '.join(facts)}." if facts else ""


def step_name(shown: Scene, snapshot: int) -> str:
    step = shown.steps[snapshot]
    return "" if step is None else f"step {step:,}"


def _accuracy(shown: Scene, snapshot: int) -> str:
    known = [(name, shown.accuracy(snapshot, d)) for d, name in enumerate(shown.domains)]
    known = [f"{name} {number(a, 'accuracy')}" for name, a in known if a is not None]
    return f"accuracy {', '.join(known)}" if known else ""


def captions(moments: Sequence[Scene], numbers) -> list[list[str]]:
    """What is known about each moment (a scene with one snapshot), a list of facts."""
    numbers = list(numbers) if numbers is not None else [None] * len(moments)
    if len(numbers) != len(moments):
        raise ValueError(
            f"numbers must have one entry for each of the {len(moments)} moments, got {len(numbers)}"
        )
    lines = []
    for shown, given in zip(moments, numbers):
        mixing = shown.mixing(0)
        crossing = f"{percent(mixing)} of neighbours cross domains" if mixing is not None else ""
        lines.append([fact for fact in (_accuracy(shown, 0), crossing, numbers_line(given)) if fact])
    return lines


def _moment(shown: Scene, snapshot: int, facts: Sequence[str]) -> str:
    return " · ".join([step_name(shown, snapshot) or f"snapshot {snapshot + 1}", *facts])


def _title(shown: Scene) -> str:
    return f"{enumerate_words(shown.domains, limit=4)} in feature space"


def thinned_note(everything: Scene, shown: Scene) -> str:
    """How many of the examples are drawn, where it is not all."""
    return (
        f" Drawn: {len(shown):,} of {len(everything):,} examples, chosen at random."
        if len(shown) < len(everything)
        else ""
    )


# -- pictures -------------------------------------------------------------------------------------------------


def _draw(shown: Scene, flat: Layout, picked, colour: str, said, narrow: bool):
    from matplotlib.figure import Figure

    entries = legend_entries(shown, colour)
    size = (3.75, 4.4 * len(picked) + 2.0) if narrow else (4.3 * len(picked) + 1.75, 5.5)
    figure = Figure(figsize=size, layout="constrained")
    for ax, s in zip(panel_axes(figure, len(picked), entries, narrow=narrow), picked):
        caption_panel(ax, step_name(shown, s), said[s])
        draw_panel(ax, shown, flat.points[s], flat.limits, colour)
    return figure


def plotly_face(shown: Scene, flat: Layout, colour: str, said, title: str):
    """The interactive figure: a trace for each class of each domain, a frame for each snapshot."""
    import plotly.graph_objects as go

    frames = []
    if len(shown.steps) > 1:
        for s, points in enumerate(flat.points):
            moved = [
                go.Scatter(x=points[at, 0], y=points[at, 1], text=trace_text(shown, s, at))
                for _, _, at in trace_rows(shown)
            ]
            frames.append(go.Frame(name=str(s), data=moved, traces=list(range(len(moved)))))
    controls = _controls(shown, said) if frames else {}
    return go.Figure(
        plotly_traces(shown, flat.points[0], 0, colour),
        points_layout(
            shown,
            flat.limits,
            title={"text": plotly_text(title), "x": 0.01, "xanchor": "left", "font": {"size": 16}},
            legend={"itemsizing": "constant", "tracegroupgap": 2},
            margin={"l": 12, "r": 12, "t": 48 if title else 12, "b": 12},
            height=620 if frames else 540,
            annotations=[shapes_note(shown)],
            **controls,
        ),
        frames=frames,
    )


def shapes_note(shown: Scene) -> dict:
    """Which shape is which domain: the legend of a plotly figure has one entry a class."""
    marks = {
        "circle": "●",
        "triangle-up-open": "△",
        "square": "■",
        "diamond-open": "◇",
        "cross": "✚",
        "triangle-down-open": "▽",
        "star": "★",
    }
    said = "   ".join(
        f"{marks.get(domain_marker(d).plotly, '⬠')} {plotly_text(name)}"
        for d, name in enumerate(shown.domains)
    )
    look = {
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
    }
    return look | {"text": said, "font": {"color": QUIET, "size": 13}}


def _controls(shown: Scene, said) -> dict:
    move = {
        "frame": {"duration": 500, "redraw": False},
        "transition": {"duration": 400, "easing": "cubic-in-out"},
        "fromcurrent": True,
    }
    jump = {"frame": {"duration": 0, "redraw": False}, "transition": {"duration": 250}, "mode": "immediate"}
    stop = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    steps = [
        {
            "label": step_name(shown, s).removeprefix("step ") or str(s + 1),
            "method": "animate",
            "args": [[str(s)], jump],
        }
        for s in range(len(shown.steps))
    ]
    return {
        # 150 pixels on the left belong to the buttons.
        "sliders": [
            {
                "steps": steps,
                "x": 0,
                "len": 1,
                "pad": {"l": 150, "t": 30, "b": 8},
                "currentvalue": {"prefix": "step "},
            }
        ],
        "updatemenus": [
            {
                "type": "buttons",
                "direction": "left",
                "showactive": False,
                "x": 0,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 42},
                "buttons": [
                    {"label": "Play", "method": "animate", "args": [None, move]},
                    {"label": "Stop", "method": "animate", "args": [[None], stop]},
                ],
            }
        ],
    }
