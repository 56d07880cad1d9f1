"""``views.history``: what training did, step by step, with the spread over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dakit.views.labels import counted, enumerate_words, metric_name, number, plotly_text, shortened
from dakit.views.palette import EDGE, domain_colour, domain_marker, plotly_layout
from dakit.views.view import View

_CLOCKS = ("step", "progress", "seconds", "epoch", "seed", "lr", "phase")
DASHES = ("-", "--", "-.", ":")
PLOTLY_DASHES = ("solid", "dash", "dashdot", "dot")


def history(runs: Any, *, columns: Sequence[str] | None = None, title: str | None = None) -> View:
    """Loss terms and source accuracy over the steps of training.

    Every column has a panel and a scale of its own. Several seeds become their mean with a band from the lowest
    to the highest; several methods are told apart by colour and dash.

    Parameters
    ----------
    runs : run, sequence of runs (seeds), or mapping of names to either
        A run has ``history``, a DataFrame with the column ``step`` and one column for every number.
    columns : sequence of str, optional
        Which columns, in which order; by default accuracies first, then everything that is recorded.
    title : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is no run, or a column is not recorded.
    """
    arms = {name: _stack(name, seeds) for name, seeds in _arms(runs).items()}
    columns = _columns(arms, columns)
    title = title or "History of training"
    figures = _Figures(arms, columns, title)
    return View(
        title,
        _alt(arms, columns),
        figures.draw,
        note=figures.note,
        plotly=figures.plotly,
        panels=figures.panels,
        legend=[(f"r{i}", name, domain_colour(i), None) for i, name in enumerate(arms)]
        if len(arms) > 1
        else (),
    )


# -- data -----------------------------------------------------------------------------------------------------


def _arms(runs: Any) -> dict[str, list[Any]]:
    """Names and their lists of runs."""
    if isinstance(runs, Mapping):
        named = {str(name): list(r) if isinstance(r, list | tuple) else [r] for name, r in runs.items()}
    elif isinstance(runs, list | tuple):
        named = {"": list(runs)}
    else:
        named = {"": [runs]}
    if not named or not all(named.values()):
        raise ValueError("history needs at least one run")
    return named


def _stack(name: str, seeds: list[Any]) -> dict[str, np.ndarray]:
    """Columns of one arm: ``step`` of shape (t,), every other of shape (seeds, t)."""
    frames = [run.history for run in seeds]
    for frame in frames:
        if "step" not in frame or not len(frame):
            raise ValueError(
                f"{name or 'the run'} has no history to show: it needs a column 'step' and at least one row"
            )
    steps = np.unique(np.concatenate([np.asarray(f["step"]) for f in frames]))
    stacked = {"step": steps}
    for column in frames[0].columns:
        if column not in _CLOCKS and _is_number(frames[0][column]) and all(column in f for f in frames):
            rows = [_at_steps(f, column, steps) for f in frames]
            stacked[column] = np.array(rows)
    return stacked


def _at_steps(frame: Any, column: str, steps: np.ndarray) -> np.ndarray:
    """One seed's values at ``steps``, NaN where it recorded none."""
    values = np.full(len(steps), np.nan)
    values[np.searchsorted(steps, np.asarray(frame["step"]))] = np.asarray(frame[column], dtype=float)
    return values


def _is_number(column: Any) -> bool:
    return np.asarray(column).dtype.kind in "iuf"


def _columns(arms: dict[str, dict[str, np.ndarray]], wanted: Sequence[str] | None) -> list[str]:
    recorded = list(dict.fromkeys(c for arm in arms.values() for c in arm if c != "step"))
    if wanted is not None:
        for column in wanted:
            if column not in recorded:
                raise ValueError(
                    f"{column!r} is not recorded; there are {enumerate_words(recorded, limit=30)}"
                )
        return list(wanted)
    recorded = [c for c in recorded if any(np.isfinite(arm[c]).any() for arm in arms.values() if c in arm)]
    if not recorded:
        raise ValueError("the history holds no numbers besides the step")
    return sorted(recorded, key=lambda c: not c.endswith("accuracy"))


def _band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows where something is known, and mean, lowest and highest over seeds there."""
    known = np.isfinite(values).any(0)
    v = values[:, known]
    return known, np.nanmean(v, axis=0), np.nanmin(v, axis=0), np.nanmax(v, axis=0)


def _alt(arms, columns) -> str:
    most = max(int(arm["step"][-1]) for arm in arms.values())
    said = [f"{counted(len(columns), 'line plot')} over {counted(most, 'step')} of training."]
    for name, arm in arms.items():
        facts = []
        for column in columns:
            if column in arm:
                _, mean, _, _ = _band(arm[column])
                facts.append(
                    f"{metric_name(column)} from {number(mean[0], column)} to {number(mean[-1], column)}"
                )
        seeds = len(next(v for k, v in arm.items() if k != "step"))
        who = (
            f"{name}, mean of {seeds} seeds"
            if seeds > 1 and name
            else name or (f"Mean of {seeds} seeds" if seeds > 1 else "")
        )
        said.append((f"{who}: " if who else "") + "; ".join(facts) + ".")
    return " ".join(said)


# -- pictures -------------------------------------------------------------------------------------------------


class _Figures:
    def __init__(self, arms, columns, title) -> None:
        self.arms, self.columns, self.title = arms, columns, title
        self.last = max(int(arm["step"][-1]) for arm in arms.values())
        seeds = max(len(v) for arm in arms.values() for k, v in arm.items() if k != "step")
        self.note = "Line: mean over seeds; band: lowest to highest seed." if seeds > 1 else ""

    def _across(self) -> int:
        return 2 if len(self.columns) in (2, 4) else min(3, len(self.columns))

    def draw(self, narrow: bool):
        from matplotlib.figure import Figure

        across = 1 if narrow else self._across()
        down = -(-len(self.columns) // across)
        size = (3.75, 2.2 * down + 1.0) if narrow else (max(5.2, 3.4 * across), 2.45 * down + 1.0)
        figure = Figure(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.08, wspace=0.03)
        legend = 0.3 * (len(self.arms) if narrow else 1) if len(self.arms) > 1 else 0.01
        grid = figure.add_gridspec(down + 1, across, height_ratios=[2.2] * down + [legend])
        axes = [figure.add_subplot(grid[i // across, i % across]) for i in range(len(self.columns))]
        for ax, column in zip(axes, self.columns):
            self._panel(ax, column)
        below = figure.add_subplot(grid[down, :])
        below.set_axis_off()
        if len(self.arms) > 1:
            lines = axes[0].get_lines()[: len(self.arms)]
            names = [shortened(n) for n in self.arms]
            below.legend(
                lines, names, loc="upper left", ncols=1 if narrow else 4, handlelength=2.6, borderaxespad=0
            )
        return figure

    def _panel(self, ax, column: str) -> None:
        for i, (name, arm) in enumerate(self.arms.items()):
            look = {
                "color": domain_colour(i),
                "linestyle": DASHES[i % len(DASHES)],
                "linewidth": 1.8,
                "label": name,
            }
            if column not in arm:
                ax.plot([], [], **look)
                continue
            known, mean, low, high = _band(arm[column])
            steps = arm["step"][known]
            ax.plot(
                steps, mean, zorder=3, **look, **({"marker": "o", "markersize": 3} if len(steps) < 15 else {})
            )
            if len(arm[column]) > 1:
                ax.fill_between(steps, low, high, color=domain_colour(i), alpha=0.18, linewidth=0, zorder=2)
        ax.set_title(metric_name(column))
        ax.locator_params(axis="x", nbins=4)
        ax.locator_params(axis="y", nbins=4)
        ax.margins(x=0.02)
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
        if column.endswith("accuracy"):
            ax.set_ylim(-0.02, 1.02)
            ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f}\xa0%")
        ax.set_xlabel("step", loc="left")

    def _traces(self, column: str, listed: bool) -> list:
        import plotly.graph_objects as go

        traces = []
        for i, (name, arm) in enumerate(self.arms.items()):
            if column not in arm:
                continue
            known, mean, low, high = _band(arm[column])
            steps = arm["step"][known]
            belongs = {"legendgroup": f"r{i}", "meta": {"keys": [f"r{i}"]}, "name": plotly_text(name)}
            if len(arm[column]) > 1:
                around = np.concatenate([steps, steps[::-1]]), np.concatenate([high, low[::-1]])
                traces.append(
                    go.Scatter(
                        x=around[0],
                        y=around[1],
                        fill="toself",
                        mode="lines",
                        line={"width": 0, "color": domain_colour(i)},
                        opacity=0.35,
                        hoverinfo="skip",
                        showlegend=False,
                        **belongs,
                    )
                )
            form = ":.0%" if column.endswith("accuracy") else ":.3~g"
            who = f"{plotly_text(name).replace('%{', '&#37;{')}: " if name else ""
            traces.append(
                go.Scatter(
                    x=steps,
                    y=mean,
                    mode="lines+markers" if len(steps) < 15 else "lines",
                    line={
                        "color": domain_colour(i),
                        "width": 2,
                        "dash": PLOTLY_DASHES[i % len(PLOTLY_DASHES)],
                    },
                    marker={"symbol": domain_marker(i).plotly, "size": 5},
                    hovertemplate=f"{who}%{{y{form}}} at step %{{x:,}}<extra></extra>",
                    showlegend=listed and len(self.arms) > 1,
                    **belongs,
                )
            )
        return traces

    def _axis(self, column: str) -> dict:
        accuracy = (
            {"range": [-0.02, 1.02], "tickformat": ".0%"}
            if column.endswith("accuracy")
            else {"tickformat": "~g"}
        )
        return accuracy | {"nticks": 5}

    def plotly(self):
        from plotly.subplots import make_subplots

        across = self._across()
        down = -(-len(self.columns) // across)
        names = [plotly_text(metric_name(c)) for c in self.columns]
        figure = make_subplots(
            down, across, subplot_titles=names, vertical_spacing=0.22 / down, horizontal_spacing=0.08
        )
        figure.update_layout(**plotly_layout(height=250 * down + 90, hovermode="x"))
        axis = plotly_layout()["xaxis"]
        figure.update_xaxes(**axis, nticks=5)
        figure.update_yaxes(**axis)
        for i, column in enumerate(self.columns):
            row, col = i // across + 1, i % across + 1
            figure.add_traces(self._traces(column, listed=i == 0), rows=row, cols=col)
            figure.update_yaxes(**self._axis(column), row=row, col=col)
        figure.update_layout(
            title={"text": plotly_text(self.title), "x": 0.01, "font": {"size": 16}}, margin={"t": 84}
        )
        return figure

    def panels(self) -> list:
        import plotly.graph_objects as go

        faces = []
        for column in self.columns:
            meta = {"name": metric_name(column), "ratio": 1.6}
            look = plotly_layout(
                meta=meta, hovermode="x", showlegend=False, margin={"l": 48, "r": 12, "t": 8, "b": 36}
            )
            face = go.Figure(self._traces(column, listed=True), look)
            face.update_yaxes(**self._axis(column))
            face.update_xaxes(
                nticks=5, range=[-0.01 * self.last, 1.02 * self.last], title_text="step", title_standoff=4
            )
            faces.append(face)
        return faces
