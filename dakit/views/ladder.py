"""``views.ladder``: what rises with the severity of a shift."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dakit.views.labels import counted, enumerate_words, metric_name, number, shortened, spread
from dakit.views.palette import DOMAINS, EDGE, INK, domain_marker
from dakit.views.view import View


def ladder(
    severities: Any,
    curves: Mapping[str, Any],
    *,
    x_label: str = "severity",
    y_label: str = "",
    together: bool = True,
    lines: Mapping[str, float] | None = None,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    note: str | None = None,
) -> View:
    """Curves over the severity of a shift, or over any other knob, with their spread over seeds.

    Parameters
    ----------
    severities : array of shape (steps,)
        Rising values of the knob.
    curves : mapping of str to array of shape (steps,) or (steps, seeds)
        With seeds the mean is drawn with a band of one standard deviation.
    x_label, y_label : str
    together : bool
        One panel for all curves; with False each has a panel and a scale of its own.
    lines : mapping of str to float, optional
        Level lines to compare with, by name, for example ``{"chance": 0.5}``; only with ``together``.
    limits : (float, float), optional
        Ends of the vertical axis.
    title, note : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is no curve, or one has another number of steps than ``severities``.

    Examples
    --------
    >>> ladder([0, 1], {"mmd": [0.0, 0.5]}).alt.replace("\xa0", " ")
    '1 curve over severity from 0 to 1. MMD²: from 0 to 0.5.'
    """
    severities = np.asarray(severities, dtype=float)
    if not curves:
        raise ValueError("ladder needs at least one curve")
    drawn = {}
    for name, values in curves.items():
        values = np.asarray(values, dtype=float)
        values = values[:, None] if values.ndim == 1 else values
        if severities.ndim != 1 or values.ndim != 2 or len(values) != len(severities):
            raise ValueError(
                f"curve {name!r} must have shape ({severities.size},) or ({severities.size}, seeds), one row for each "
                f"severity, got {np.shape(curves[name])}"
            )
        drawn[str(name)] = values
    seeds = max(v.shape[1] for v in drawn.values())
    if note is None:
        note = f"Line: mean over {seeds} seeds; band: one standard deviation." if seeds > 1 else ""
    said = [
        f"{metric_name(name)}: from {spread(v[0], name)} to {spread(v[-1], name)}."
        for name, v in drawn.items()
    ]
    ends = f"{x_label} from {number(severities[0])} to {number(severities[-1])}"
    return View(
        title or f"{enumerate_words([metric_name(n) for n in drawn], limit=4)} over {x_label}",
        " ".join([f"{counted(len(drawn), 'curve')} over {ends}.", *said]),
        lambda narrow: _draw(severities, drawn, x_label, y_label, together, lines or {}, limits, narrow),
        note=note,
    )


def _draw(severities, drawn, x_label, y_label, together, lines, limits, narrow):
    from matplotlib.figure import Figure

    panels = 1 if together else len(drawn)
    across = 1 if narrow else min(3, panels)
    down = -(-panels // across)
    size = (
        (3.75, 2.7 * down + 0.9) if narrow else (6.4 if across == 1 else 3.3 * across + 0.4, 2.9 * down + 0.8)
    )
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.06)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes[panels:]:
        ax.set_axis_off()
    for i, (name, values) in enumerate(drawn.items()):
        ax = axes[0 if together else i]
        colour, marker = DOMAINS[i % len(DOMAINS)], domain_marker(i)
        mean = values.mean(1)
        if values.shape[1] > 1:
            half = values.std(1, ddof=1)
            ax.fill_between(severities, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
        face = colour if marker.filled else "white"
        ax.plot(
            severities, mean, color=colour, marker=marker.matplotlib, markerfacecolor=face, markersize=5.5,
            linewidth=1.6, label=shortened(metric_name(name), 30),
        )  # fmt: skip
        ax.set_xlabel(x_label)
        ax.set_ylabel(y_label)
        if not together:
            ax.set_title(shortened(metric_name(name), 34))
        if limits:
            ax.set_ylim(*limits)
    if together:
        for name, level in lines.items():
            axes[0].axhline(level, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
            axes[0].annotate(
                name, (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 3),
                textcoords="offset points", ha="right", fontsize=8.5, color=INK,
            )  # fmt: skip
        if len(drawn) > 1:
            axes[0].legend(
                loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=1 if narrow else min(3, len(drawn))
            )
    return figure
