"""``views.shift_bars``: shift numbers before and after, each on its own scale."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dakit.views.labels import counted, enumerate_words, metric_name, number, shortened, spread
from dakit.views.palette import DOMAINS, EDGE, INK, UNKNOWN
from dakit.views.view import View

HINTS = {"mmd": "0: no difference", "a_distance": "0: cannot be told apart, 2: always"}
"""What the ends of a scale mean, where that can be said in general."""


def shift_bars(
    table: Any,
    after: Any = None,
    *,
    metrics: Sequence[str] | None = None,
    by: str | None = None,
    title: str | None = None,
) -> View:
    """Bars of shift numbers, one panel for each metric, since no two share a scale.

    Parameters
    ----------
    table : DataFrame or mapping
        A DataFrame has one row for each arm ("before", "dann" …), named by its index or by the column ``by``, and a
        column for each metric; several rows of one name are seeds. A mapping goes from names of arms to
        ``metrics.shift_numbers`` dicts, or lists of them, or dicts of lists, for several seeds.
    after : dict or list of dict, optional
        With it ``table`` and ``after`` are the numbers of two arms called "before" and "after".
    metrics : sequence of str, optional
        Which, in which order; by default all that hold a number. ``mmd_pvalue`` is printed beside ``mmd``.
    by : str, optional
    title : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is nothing to draw, or a metric is not in the table.

    Examples
    --------
    >>> shift_bars({"mmd": 0.21, "a_distance": 1.9}, {"mmd": 0.01, "a_distance": 0.3}).alt
    'Bars for 2 metrics. MMD²: before 0.21, after 0.01. A-distance: before 1.9, after 0.3.'
    """
    arms = _arms({"before": table, "after": after} if after is not None else table, by)
    recorded = [m for m in dict.fromkeys(m for arm in arms.values() for m in arm) if _known(arms, m)]
    chosen = [m for m in recorded if not m.endswith("_pvalue")] if metrics is None else list(metrics)
    for metric in chosen:
        if metric not in recorded:
            raise ValueError(
                f"the table has no numbers for {metric!r}; it has {enumerate_words(recorded, limit=30)}"
            )
    if not chosen:
        raise ValueError("shift_bars needs at least one metric with a number")
    title = title or "Shift " + ("before and after" if after is not None else "numbers")
    seeds = max(len(values) for arm in arms.values() for values in arm.values())
    note = "Bar: mean over seeds; line: one standard deviation; dots: seeds." if seeds > 1 else ""
    said = [
        f"{metric_name(m)}: {', '.join(f'{name} {_text(arm, m)}' for name, arm in arms.items())}."
        for m in chosen
    ]
    return View(
        title,
        " ".join([f"Bars for {counted(len(chosen), 'metric')}.", *said]),
        lambda narrow: _draw(arms, chosen, narrow),
        note=note,
    )


def _arms(table: Any, by: str | None) -> dict[str, dict[str, np.ndarray]]:
    """Names of arms, each with the values of every metric over its seeds."""
    if hasattr(table, "groupby"):
        names = table[by] if by is not None else table.index
        numeric = (
            table.drop(columns=[by] if by is not None else [])
            .select_dtypes("number")
            .drop(columns="seed", errors="ignore")
        )
        return {
            str(name): {str(c): np.asarray(rows[c], dtype=float) for c in rows.columns}
            for name, rows in ((n, numeric[np.asarray(names) == n]) for n in dict.fromkeys(names))
        }
    if not isinstance(table, Mapping) or not table:
        raise ValueError(
            "shift_bars takes a DataFrame, a mapping of names to shift numbers, or two sets of shift numbers"
        )
    return {str(name): _values(str(name), numbers) for name, numbers in table.items()}


def _values(name: str, numbers: Any) -> dict[str, np.ndarray]:
    seeds = numbers if isinstance(numbers, list | tuple) else [numbers]
    if not seeds or not all(isinstance(s, Mapping) for s in seeds):
        raise ValueError(f"{name}: expected a dict of metrics, or a list of such dicts, one for each seed")
    gathered: dict[str, list[float]] = {}
    for seed in seeds:
        for metric, value in seed.items():
            many = value if isinstance(value, list | tuple | np.ndarray) else [value]
            gathered.setdefault(str(metric), []).extend(np.nan if v is None else float(v) for v in many)
    return {metric: np.array(values) for metric, values in gathered.items()}


def _known(arms: dict[str, dict[str, np.ndarray]], metric: str) -> bool:
    return any(np.isfinite(arm.get(metric, np.array([]))).any() for arm in arms.values())


def _finite(arm: dict[str, np.ndarray], metric: str) -> np.ndarray:
    values = arm.get(metric, np.array([]))
    return values[np.isfinite(values)]


def _text(arm: dict[str, np.ndarray], metric: str) -> str:
    """Mean, spread over seeds, and the largest p-value."""
    values, pvalues = _finite(arm, metric), _finite(arm, f"{metric}_pvalue")
    if not len(values):
        return "–"
    said = spread(values, metric)
    if len(pvalues):
        said += f" (p {'≤ ' if len(pvalues) > 1 else ''}{number(pvalues.max(), 'pvalue')})"
    return said.replace(" ", "\xa0") if len(said) < 12 else said


def _draw(arms, chosen, narrow: bool):
    from matplotlib.figure import Figure

    across = 1 if narrow else min(3, len(chosen))
    down = -(-len(chosen) // across)
    bars = 0.36 * len(arms)
    size = (
        (3.75, (bars + 0.75) * down + 0.9)
        if narrow
        else (max(5.2, 3.5 * across + 0.6), (bars + 0.85) * down + 0.95)
    )
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.06, hspace=0.05, wspace=0.04)
    axes = figure.subplots(down, across, squeeze=False)
    names = [shortened(n, 18) for n in arms]
    for i, ax in enumerate(axes.ravel()):
        if i >= len(chosen):
            ax.set_axis_off()
            continue
        _panel(ax, arms, chosen[i], room=1.5 if narrow else 0.9)
        ax.set_yticks(
            range(len(names)), names if i % across == 0 else [""] * len(names), color=INK, fontsize=9.5
        )
    return figure


def _panel(ax, arms, metric: str, room: float) -> None:
    values = [_finite(arm, metric) for arm in arms.values()]
    every = np.concatenate([*values, [0.0]])
    low, high = every.min(), every.max()
    span = high - low or 1.0
    for row, (arm, v) in enumerate(zip(arms.values(), values)):
        colour = UNKNOWN if row == 0 and len(arms) > 1 else DOMAINS[(row - (len(arms) > 1)) % len(DOMAINS)]
        end = 0.0
        if len(v):
            mean = v.mean()
            ax.barh(row, mean, height=0.62, color=colour, zorder=2)
            end = max(mean, 0.0)
        if len(v) > 1:
            ax.errorbar(mean, row, xerr=v.std(ddof=1), color=INK, linewidth=1.1, zorder=4)
            ax.plot(
                v,
                np.full(len(v), row),
                "o",
                color="white",
                markeredgecolor=INK,
                markersize=3.6,
                markeredgewidth=0.8,
                zorder=5,
            )
            end = max(end, v.max(), mean + v.std(ddof=1))
        ax.text(end + 0.06 * span, row, _text(arm, metric), va="center", fontsize=9, color=INK, zorder=6)
    # Room on the right for the longest number, which is written where its bar ends.
    ax.set_xlim(low - (0.04 * span if low < 0 else 0), high + room * span)
    ax.set_ylim(len(arms) - 0.4, -0.6)
    ax.axvline(0, color="#BDBDBD", linewidth=0.8, zorder=3)
    ax.grid(False)
    ax.tick_params(labelbottom=False)
    ax.spines[["bottom", "left"]].set_visible(False)
    ax.set_title(metric_name(metric))
    if metric in HINTS:
        ax.set_xlabel(HINTS[metric], loc="left", fontsize=8.5)
