"""``views.matrix``: a number for every pair of domains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dakit.views.labels import counted, number, shortened
from dakit.views.palette import INK
from dakit.views.view import View


def matrix(
    tables: Any,
    names: Sequence[str],
    *,
    digits: int | Mapping[str, int] = 3,
    rows: str = "",
    columns: str = "",
    order: bool = False,
    title: str | None = None,
    note: str = "",
) -> View:
    """Shaded tables with a number in each cell, one panel for each metric.

    Parameters
    ----------
    tables : array of shape (k, k), or mapping of str to such arrays
        Entry (i, j) belongs to the pair ``names[i]``, ``names[j]``; NaN cells stay empty.
    names : sequence of k str
        Names of the domains.
    digits : int, or mapping of the names of tables to int
        Decimals printed in the cells.
    rows, columns : str
        What the rows and the columns stand for, for example "source" and "target", where order matters.
    order : bool
        Bring similar domains together, by average linkage on the first table, which must be symmetric.
    title, note : str

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If a table is not of shape (k, k), or ``order`` is asked for a first table that is not symmetric.

    Examples
    --------
    >>> matrix([[0.0, 0.5], [0.5, 0.0]], ["noto", "twemoji"]).alt
    'A table of 2 domains. Smallest off the diagonal: noto and twemoji, 0.5; largest: noto and twemoji, 0.5.'
    """
    tables = tables if isinstance(tables, Mapping) else {"": tables}
    made = {str(n): np.asarray(t, dtype=float) for n, t in tables.items()}
    names = [str(n) for n in names]
    k = len(names)
    for name, table in made.items():
        if table.shape != (k, k):
            raise ValueError(f"table {name!r} must have shape ({k}, {k}) for {k} names, got {table.shape}")
    if order:
        at = _ordering(next(iter(made.values())))
        names = [names[i] for i in at]
        made = {n: t[np.ix_(at, at)] for n, t in made.items()}
    said = [f"{counted(len(made), 'table')} of {k} domains." if len(made) > 1 else f"A table of {k} domains."]
    said += [
        f"{name + ': ' if name else ''}{_extremes(table, names, bool(name))}" for name, table in made.items()
    ]
    decimals = digits if isinstance(digits, Mapping) else dict.fromkeys(made, digits)
    return View(
        title or f"Between {k} domains",
        " ".join(said),
        lambda narrow: _draw(made, names, decimals, rows, columns, narrow),
        note=note,
    )


def _ordering(table: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import average, leaves_list, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if not np.allclose(table, table.T):
        raise ValueError("order=True needs a symmetric first table; give the names in the order you want")
    distances = squareform(table - np.diag(np.diag(table)), checks=False)
    distances = distances - min(0.0, distances.min())  # unbiased estimates may be a little below zero
    return leaves_list(optimal_leaf_ordering(average(distances), distances))


def _extremes(table: np.ndarray, names: list[str], lower: bool) -> str:
    off = np.where(np.eye(len(names), dtype=bool), np.nan, table)
    if np.isnan(off).all():
        return "no pairs."
    low, high = (np.unravel_index(f(off), off.shape) for f in (np.nanargmin, np.nanargmax))
    word = "smallest" if lower else "Smallest"
    ends = [f"{names[i]} and {names[j]}, {number(off[i, j])}" for i, j in (low, high)]
    return f"{word} off the diagonal: {ends[0]}; largest: {ends[1]}."


def _draw(made, names, decimals, rows, columns, narrow):
    from matplotlib.figure import Figure

    k, panels = len(names), len(made)
    letters = 16 if narrow else 26
    longest = max(len(shortened(n, letters)) for n in names)
    cell = 0.46 if narrow else 0.5
    side = max(1.8, cell * k)
    label = 0.08 * longest + 0.4
    if narrow:
        figure = Figure(figsize=(3.75, panels * (3.75 - label + 0.75) + 0.4), layout="constrained")
        axes = figure.subplots(panels, 1, squeeze=False).ravel()
    else:
        figure = Figure(figsize=(panels * (side + 0.2) + label, side + 1.0), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False).ravel()
    for i, (ax, (name, table)) in enumerate(zip(axes, made.items())):
        top = np.nanmax(table) if np.isfinite(table).any() else 1.0
        low = min(0.0, np.nanmin(table)) if np.isfinite(table).any() else 0.0
        ax.imshow(table, cmap="Blues", vmin=low, vmax=top if top > low else low + 1)
        for r, c in np.argwhere(np.isfinite(table)):
            dark = table[r, c] - low > 0.55 * (top - low)
            ax.text(
                c, r, _cell(table[r, c], decimals.get(name, 3)), ha="center", va="center", fontsize=7.5,
                color="white" if dark else INK,
            )  # fmt: skip
        ax.set_title(name)
        ax.grid(False)
        ax.spines[["left", "bottom"]].set_visible(False)
        named = narrow or i == 0
        ax.set_xticks(range(k), range(1, k + 1))
        ax.set_yticks(
            range(k), [f"{shortened(n, letters)} {j + 1}" if named else j + 1 for j, n in enumerate(names)]
        )
        ax.set_xlabel(columns)
        ax.set_ylabel(rows if named else "")
    return figure


def _cell(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".replace("-", "−")
    return text.replace("0.", ".", 1) if decimals > 2 and text.lstrip("−").startswith("0.") else text
