"""Points of a scene on paper and in plotly: one panel, its legend, its labels."""

import textwrap
from collections.abc import Sequence

import numpy as np

from dakit.views.labels import plotly_text, shortened
from dakit.views.neighbours import squared_distances
from dakit.views.palette import (
    EDGE,
    GRID,
    INK,
    Marker,
    class_colour,
    domain_colour,
    domain_marker,
    plotly_layout,
)
from dakit.views.scene import Scene

MOST_LISTED = 20  # classes in a legend; the rest is counted


def chosen_colour(scene: Scene, colour: str) -> str:
    """``"auto"`` resolved: by class where there are labels, else by domain."""
    if colour not in ("auto", "class", "domain"):
        raise ValueError(f'colour must be "auto", "class" or "domain", got {colour!r}')
    if colour == "auto":
        return "class" if scene.labeled else "domain"
    if colour == "class" and not scene.labeled:
        raise ValueError("colour='class' needs labels: pass ys and yt, or domains that have them")
    return colour


def legend_entries(scene: Scene, colour: str) -> list[tuple[str, str, str, Marker | None]]:
    """``(key, label, colour, marker)``: the domains with their shapes, then the classes with their colours."""
    by_class = colour == "class"
    entries: list[tuple[str, str, str, Marker | None]] = [
        (f"d{d}", name, INK if by_class else domain_colour(d), domain_marker(d))
        for d, name in enumerate(scene.domains)
    ]
    if by_class:
        entries += [
            (f"c{c}", scene.class_name(c), class_colour(c), None)
            for c in np.unique(scene.labels).tolist()
            if c >= 0
        ]
        if (scene.labels < 0).any():
            entries.append(("c-1", scene.class_name(-1), class_colour(-1), None))
    return entries


# -- on paper -------------------------------------------------------------------------------------------------


def draw_panel(ax, scene: Scene, points: np.ndarray, limits, colour: str) -> None:
    """One panel of points on equal axes; classes that stand apart are named."""
    colours = np.array(
        [class_colour(c) for c in scene.labels]
        if colour == "class"
        else [domain_colour(d) for d in scene.domain]
    )
    size = float(np.clip(24_000 / max(1, len(scene)), 7, 36))
    for d in range(len(scene.domains)):
        at = scene.domain == d
        marker = domain_marker(d)
        look = (
            {"c": colours[at], "linewidths": 0}
            if marker.filled
            else {"facecolors": "none", "edgecolors": colours[at], "linewidths": 0.8}
        )
        ax.scatter(
            *points[at].T,
            s=size,
            marker=marker.matplotlib,
            alpha=0.8 if marker.filled else 0.95,
            zorder=2 + d,
            **look,
        )
    left, right, bottom, top = limits
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", anchor="NW")
    ax.tick_params(labelbottom=False, labelleft=False)
    ax.locator_params(nbins=6)
    for side in ("top", "right", "bottom", "left"):
        ax.spines[side].set(visible=True, color=GRID)
    if colour == "class" and len(scene.classes) <= MOST_LISTED:
        _write_names(ax, scene, points, limits)


def _write_names(ax, scene: Scene, points: np.ndarray, limits) -> None:
    from matplotlib.patheffects import withStroke

    # Of the first labelled domain: a class whose domains lie apart has no middle.
    first = min(scene.domain[scene.labels >= 0])
    known = (scene.domain == first) & (scene.labels >= 0)
    present, middle = gathered_classes(scene.labels[known], points[known])
    if not present:
        return
    text = [shortened(scene.class_name(c), 18) for c in present]
    side = limits[1] - limits[0]
    width = ax.get_figure().get_size_inches()[0] * ax.get_position().width
    # Points are 1/72 inch; half the width of a bold 8.5-point letter is about 0.3 of its size.
    half = np.array([[0.32 * 8.5 * len(t), 6.5] for t in text]) / 72 / max(width, 1.0) * side
    inside = np.array([[limits[0], limits[2]], [limits[1], limits[3]]])
    for (x, y), t in zip(np.clip(spread_out(middle, half), inside[0] + half, inside[1] - half), text):
        halo = [withStroke(linewidth=2.6, foreground="white")]
        ax.text(
            x,
            y,
            t,
            ha="center",
            va="center",
            fontsize=8.5,
            fontweight="bold",
            color=INK,
            path_effects=halo,
            zorder=9,
            clip_on=True,
        )


def gathered_classes(labels: np.ndarray, points: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Classes that stand apart, and their medians (k, 2): a name on a class strewn over the picture would mislead.

    A class stands apart if most of its points are nearer to its own median than to that of any other class.
    """
    classes = [int(c) for c in np.unique(labels) if c >= 0]
    if not classes:
        return [], np.empty((0, 2))
    middle = np.array([np.median(points[labels == c], axis=0) for c in classes])
    closest = squared_distances(points.astype(float), middle).argmin(1)
    kept = [i for i, c in enumerate(classes) if (closest[labels == c] == i).mean() > 0.5]
    return [classes[i] for i in kept], middle[kept]


def spread_out(middle: np.ndarray, half: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Move boxes apart until none overlaps: centres (k, 2) and half sizes (k, 2) to new centres (k, 2)."""
    at = middle.astype(float).copy()
    for _ in range(rounds):
        moved = False
        for i in range(len(at)):
            for j in range(i + 1, len(at)):
                gap = at[j] - at[i]
                need = half[i] + half[j] - np.abs(gap)
                if (need <= 0).any():
                    continue
                axis = int(np.argmin(need / (half[i] + half[j])))
                push = (need[axis] / 2 + 1e-9) * (1.0 if gap[axis] >= 0 else -1.0)
                at[i, axis] -= push
                at[j, axis] += push
                moved = True
        if not moved:
            break
    return at


def panel_axes(figure, panels: int, entries, *, narrow: bool):
    """Axes for the panels, side by side with the legend at the right, or below each other with it at the end."""
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.07, hspace=0.06 if narrow else 0)
    if not narrow:
        axes = figure.subplots(1, panels, squeeze=False).ravel()
        figure.legend(
            handles=_handles(entries, 24), loc="outside right center", labelspacing=0.65, handletextpad=0.3
        )
        return axes
    rows = -(-min(len(entries) + 1, MOST_LISTED + 8) // 3)
    *axes, below = figure.subplots(panels + 1, height_ratios=[3.75] * panels + [0.21 * rows])
    below.set_axis_off()
    below.legend(
        handles=_handles(entries, 16),
        loc="upper left",
        ncols=3,
        borderaxespad=0,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    return axes


def _handles(entries, length: int) -> list:
    from matplotlib.lines import Line2D

    handles = []
    for key, label, colour, marker in entries[: MOST_LISTED + 8]:
        if handles and marker is None and handles[-1].get_marker() != "s":
            handles.append(Line2D([], [], linestyle="none", label=" "))  # a gap between domains and classes
        look = (
            {"marker": "s", "markeredgewidth": 0}
            if marker is None or key[0] == "c"
            else {"marker": marker.matplotlib}
        )
        face = colour if marker is None or marker.filled else "none"
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                markersize=7,
                markerfacecolor=face,
                markeredgecolor=colour,
                label=shortened(label, length),
                **look,
            )
        )
    if len(entries) > MOST_LISTED + 8:
        handles.append(Line2D([], [], linestyle="none", label=f"and {len(entries) - MOST_LISTED - 8} more"))
    return handles


def caption_panel(ax, title: str, facts: Sequence[str]) -> None:
    """What a panel shows above it, its numbers below it, a line for each."""
    width = ax.get_figure().get_size_inches()[0] / ax.get_subplotspec().get_geometry()[1]
    ax.set_title(shortened(title, 60))
    lines = [line for fact in facts for line in textwrap.wrap(fact, int(width * 11))]
    ax.set_xlabel("\n".join(lines), loc="left", labelpad=6)


# -- in plotly ------------------------------------------------------------------------------------------------


def plotly_traces(
    scene: Scene, points: np.ndarray, snapshot: int, colour: str, *, listed: bool = True
) -> list:
    """One trace for each class of each domain, so that legends can switch both; empty ones are left out."""
    import plotly.graph_objects as go

    traces, seen = [], set()
    for d, c, at in trace_rows(scene):
        by = c if colour == "class" else d
        marker = domain_marker(d)
        first = by not in seen
        seen.add(by)
        tint = class_colour(c) if colour == "class" else domain_colour(d)
        lines = [f"<b>{_template_text(scene.class_name(c))}</b>"] if scene.labeled else []
        lines.append(_template_text(scene.domains[d]))
        predicted = trace_text(scene, snapshot, at)
        if predicted is not None:
            lines.append("predicted %{text}")
        traces.append(
            go.Scatter(
                x=points[at, 0],
                y=points[at, 1],
                mode="markers",
                marker={
                    "color": tint,
                    "symbol": marker.plotly,
                    "size": 6 if marker.filled else 7,
                    "opacity": 0.85,
                    "line": {"width": 0 if marker.filled else 1},
                },
                text=predicted,
                hovertemplate="<br>".join(lines) + "<extra></extra>",
                name=plotly_text(scene.class_name(c) if colour == "class" else scene.domains[d]),
                legendgroup=f"{'c' if colour == 'class' else 'd'}{by}",
                showlegend=first and listed,
                meta={"keys": [f"d{d}", f"c{c}"]},
                unselected={"marker": {"opacity": 0.12}},
            )
        )
    return traces


def trace_rows(scene: Scene) -> list[tuple[int, int, np.ndarray]]:
    """``(domain, class, rows)`` of every trace, in the order in which they are drawn."""
    pairs = [(d, c) for d in range(len(scene.domains)) for c in np.unique(scene.labels).tolist()]
    rows = [(d, c, np.flatnonzero((scene.domain == d) & (scene.labels == c))) for d, c in pairs]
    return [(d, c, at) for d, c, at in rows if len(at)]


def trace_text(scene: Scene, snapshot: int, at: np.ndarray) -> list[str] | None:
    """The predicted class of each point of a trace."""
    predicted = scene.predictions[snapshot]
    return None if predicted is None else [plotly_text(scene.class_name(c)) for c in predicted[at].tolist()]


def _template_text(text: str) -> str:
    """A label inside a hover template, where ``%{x}`` would be filled in."""
    return plotly_text(shortened(text, 60)).replace("%{", "&#37;{")


def points_layout(scene: Scene, limits, **extra) -> dict:
    """Layout of one plotly panel: equal fixed axes without numbers, since a layout's units mean nothing."""
    left, right, bottom, top = limits
    bare = {
        "showticklabels": False,
        "gridcolor": GRID,
        "zeroline": False,
        "ticks": "",
        "nticks": 7,
        "constrain": "domain",
    }
    return plotly_layout(
        xaxis=bare | {"range": [left, right]},
        yaxis=bare | {"range": [bottom, top], "scaleanchor": "x"},
        hovermode="closest",
        dragmode="pan",
        **extra,
    )
