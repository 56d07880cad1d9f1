"""``views.plane``: domains as points of two measures, for example ICV and IDD."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dakit.views.labels import counted, number, shortened
from dakit.views.palette import DOMAINS, EDGE, INK, QUIET, UNKNOWN, domain_marker
from dakit.views.view import View


def plane(
    points: Mapping[str, Any],
    *,
    reference: Mapping[str, tuple[float, float]] | None = None,
    x_label: str = "ICV",
    y_label: str = "IDD",
    log_x: bool = False,
    reference_label: str = "reference",
    title: str | None = None,
    note: str | None = None,
) -> View:
    """Named points in a plane of two measures, with their spread over seeds, beside values from elsewhere.

    Parameters
    ----------
    points : mapping of str to (x, y) or array of shape (seeds, 2)
        With seeds the mean is drawn with bars of one standard deviation.
    reference : mapping of str to (x, y), optional
        Values to compare with, such as a paper's: grey, and named where there is room.
    x_label, y_label : str
    log_x : bool
        Logarithmic horizontal axis; all x must be positive.
    reference_label : str
        What the grey points are called in the legend.
    title, note : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is no point, a point is not a pair, or ``log_x`` meets an x that is not positive.

    Examples
    --------
    >>> plane({"noto": (0.02, 0.1)}).alt
    '1 point. noto: ICV 0.02, IDD 0.1.'
    """
    if not points:
        raise ValueError("plane needs at least one point")
    made = {str(name): np.atleast_2d(np.asarray(p, dtype=float)) for name, p in points.items()}
    grey = {str(name): np.asarray(p, dtype=float) for name, p in (reference or {}).items()}
    for name, p in [*made.items(), *((n, g[None]) for n, g in grey.items())]:
        if p.ndim != 2 or p.shape[1] != 2:
            raise ValueError(f"point {name!r} must be (x, y) or have shape (seeds, 2), got {p.shape}")
        if log_x and not (p[:, 0] > 0).all():
            raise ValueError(f"log_x needs positive {x_label}, but point {name!r} has {p[:, 0].min():.3g}")
    said = [
        f"{n}: {x_label} {number(p[:, 0].mean())}, {y_label} {number(p[:, 1].mean())}."
        for n, p in made.items()
    ]
    counts = counted(len(made), "point") + (f" beside {len(grey)} of {reference_label}" if grey else "")
    seeds = max(len(p) for p in made.values())
    if note is None:
        note = f"Bars: one standard deviation over {seeds} seeds." if seeds > 1 else ""
    return View(
        title or f"{x_label} and {y_label}",
        " ".join([f"{counts}.", *said]),
        lambda narrow: _draw(made, grey, x_label, y_label, log_x, reference_label, narrow),
        note=note,
    )


def _draw(made, grey, x_label, y_label, log_x, reference_label, narrow):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.75, 5.6) if narrow else (8.4, 4.8), layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.06)
    ax = figure.subplots()
    if log_x:
        ax.set_xscale("log")
        # The usual labels are powers of ten as formulas, and formulas are switched off.
        ax.xaxis.set_major_formatter(lambda x, _: number(x))
        ax.xaxis.set_minor_formatter(lambda x, _: "")
    if grey:
        at = np.array(list(grey.values()))
        ax.plot(*at.T, "x", color=UNKNOWN, markersize=6, label=reference_label)
        for name, (x, y) in _apart(grey, log_x):
            ax.annotate(
                shortened(name, 24),
                (x, y),
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=7,
                color=QUIET,
            )
    for i, (name, p) in enumerate(made.items()):
        colour, marker = DOMAINS[i % len(DOMAINS)], domain_marker(i)
        x, y = p.mean(0)
        if len(p) > 1:
            dx, dy = p.std(0, ddof=1)
            ax.errorbar(x, y, xerr=dx, yerr=dy, color=INK, linewidth=0.9, zorder=3)
        ax.plot(
            x, y, marker.matplotlib, color=colour, markerfacecolor=colour if marker.filled else "white",
            markersize=9, markeredgewidth=1.6, linestyle="none", label=shortened(name, 28), zorder=4,
        )  # fmt: skip
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if narrow:
        ax.legend(loc="upper left", bbox_to_anchor=(-0.05, -0.13))
    else:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))
    return figure


def _apart(grey: dict[str, np.ndarray], log_x: bool) -> list[tuple[str, np.ndarray]]:
    """The points that can be named without their names lying on each other, the outermost first."""
    at = np.array(list(grey.values()))
    flat = np.column_stack([np.log(at[:, 0]) if log_x else at[:, 0], at[:, 1]])
    span = np.ptp(flat, axis=0)
    flat = flat / np.where(span > 0, span, 1)
    chosen: list[int] = []
    for i in np.argsort(-flat[:, 1], kind="stable"):
        if all(abs(flat[i, 0] - flat[j, 0]) > 0.16 or abs(flat[i, 1] - flat[j, 1]) > 0.05 for j in chosen):
            chosen.append(i)
    names = list(grey)
    return [(names[i], at[i]) for i in chosen]
