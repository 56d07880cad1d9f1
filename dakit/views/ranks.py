"""``views.ranks``: mean ranks of methods, their intervals, and which of them cannot be told apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dakit.views.labels import counted, number, shortened
from dakit.views.palette import DOMAINS, EDGE, INK
from dakit.views.view import View


def ranks(
    mean: Mapping[str, float],
    *,
    low: Mapping[str, float] | None = None,
    high: Mapping[str, float] | None = None,
    critical_difference: float | None = None,
    marked: str | None = None,
    title: str | None = None,
    note: str = "",
) -> View:
    """Methods from best to worst mean rank, as a critical-difference diagram laid out in rows.

    The classic diagram hangs all names on one line, which nobody can read beyond ten methods. Here each has a row; the
    band holds all mean ranks that cannot be told from that of the marked method.

    Parameters
    ----------
    mean : mapping of str to float
        Mean rank of each method; 1 is best. For example ``rank_methods(scores).mean``.
    low, high : mapping of str to float, optional
        Ends of an interval of each mean rank.
    critical_difference : float, optional
        Mean ranks that differ by less cannot be told apart.
    marked : str, optional
        The method around which the band lies, the best one by default.
    title, note : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is no method, a rank is not finite, or ``marked`` is none of them.

    Examples
    --------
    >>> ranks({"a": 1.2, "b": 1.8}, critical_difference=1.0).alt.replace("\xa0", " ")
    'Mean ranks of 2 methods, 1 is best: a 1.2, b 1.8. Within 1 of a lies b.'
    """
    mean = {str(k): float(v) for k, v in mean.items()}
    if not mean or not np.isfinite(list(mean.values())).all():
        raise ValueError("ranks needs at least one method, and a finite mean rank of each")
    names = sorted(mean, key=mean.get)
    marked = names[0] if marked is None else marked
    if marked not in mean:
        raise ValueError(f"marked must be one of the methods {', '.join(names)}, got {marked!r}")
    said = ", ".join(f"{n} {number(mean[n])}" for n in names)
    alt = f"Mean ranks of {counted(len(names), 'method')}, 1 is best: {said}."
    if critical_difference is not None:
        near = [n for n in names if n != marked and abs(mean[n] - mean[marked]) < critical_difference]
        verb = "lies" if len(near) == 1 else "lie"
        alt += f" Within {number(critical_difference)} of {marked} {verb} {', '.join(near) or 'none'}."
    ends = None if low is None or high is None else [(float(low[n]), float(high[n])) for n in names]
    return View(
        title or "Mean ranks",
        alt,
        lambda narrow: _draw(names, mean, ends, critical_difference, marked, narrow),
        note=note,
    )


def _draw(names: list[str], mean: dict[str, float], ends: Any, cd: float | None, marked: str, narrow: bool):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.75 if narrow else 7.0, 0.21 * len(names) + 1.0), layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.06)
    ax = figure.subplots()
    rows, at = np.arange(len(names)), np.array([mean[n] for n in names])
    if cd is not None:
        ax.axvspan(mean[marked] - cd, mean[marked] + cd, color=INK, alpha=0.07, linewidth=0)
        for edge in (mean[marked] - cd, mean[marked] + cd):
            ax.axvline(edge, color=INK, alpha=0.4, linewidth=0.8, linestyle=(0, (4, 3)))
    if ends is not None:
        ax.hlines(rows, *np.transpose(ends), color=DOMAINS[0], linewidth=1.6)
    ax.plot(at, rows, "o", color=DOMAINS[0], markersize=5)
    ax.plot(mean[marked], names.index(marked), "D", color=DOMAINS[1], markersize=6.5, markeredgecolor="white")
    ax.set_yticks(rows, [shortened(n, 26) for n in names], color=INK)
    ax.set_ylim(len(names) - 0.4, -0.6)
    spread = [at.min(), at.max()] if ends is None else [np.min(ends), np.max(ends)]
    ax.set_xlim(max(0.5, spread[0] - 0.7), spread[1] + 0.7)
    ax.set_xlabel("mean rank over the tasks (1 is best)")
    ax.grid(axis="x", alpha=0.3)
    return figure
