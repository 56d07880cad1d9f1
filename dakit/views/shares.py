"""``views.shares``: how common each class is, in several domains or by several estimates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dakit.views.labels import counted, enumerate_words, percent, shortened
from dakit.views.palette import DOMAINS, EDGE, INK, domain_marker
from dakit.views.view import View

MOST_CLASSES = 20


def shares(
    priors: Mapping[str, Any],
    classes: Sequence[str],
    *,
    intervals: Mapping[str, Any] | None = None,
    title: str | None = None,
    note: str = "",
) -> View:
    """Class shares as dots on one line for each class, with intervals where they are estimates.

    Parameters
    ----------
    priors : mapping of str to array of shape (k,)
        Shares or counts of the classes, for each domain or estimate; counts are divided by their sum.
    classes : sequence of k str
    intervals : mapping of str to array of shape (k, 2), optional
        Lower and upper ends of the shares of the entries that have them.
    title, note : str

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is nothing to draw, an entry has another length, or negative shares.

    Examples
    --------
    >>> shares({"noto": [3, 1]}, ["cat", "dog"]).alt.replace("\xa0", " ")
    'Shares of 2 classes. noto: cat 75 %, dog 25 %.'
    """
    classes = [str(c) for c in classes]
    if not priors or not classes:
        raise ValueError("shares needs at least one entry and one class")
    made = {}
    for name, values in priors.items():
        values = np.asarray(values, dtype=float)
        if values.shape != (len(classes),):
            raise ValueError(
                f"entry {name!r} must have shape ({len(classes)},), one share a class, got {values.shape}"
            )
        if not (values >= 0).all() or values.sum() == 0:
            raise ValueError(f"entry {name!r} must hold shares of at least 0, not all of them 0")
        made[str(name)] = values / values.sum()
    bars = {str(n): np.asarray(v, dtype=float) for n, v in (intervals or {}).items()}
    for name, ends in bars.items():
        if name not in made or ends.shape != (len(classes), 2):
            raise ValueError(
                f"intervals of {name!r} must have shape ({len(classes)}, 2) and belong to an entry"
            )
    said = [
        f"{name}: {enumerate_words([f'{c} {percent(v)}' for c, v in zip(classes, values)]).replace(' and ', ', ')}."
        for name, values in made.items()
    ]
    most = np.sort(np.argsort(-np.max(list(made.values()), axis=0), kind="stable")[:MOST_CLASSES])
    if len(most) < len(classes):
        note = f"The {MOST_CLASSES} most common of {len(classes)} classes. {note}".strip()
    return View(
        title or "Class shares",
        " ".join([f"Shares of {counted(len(classes), 'class')}.", *said]),
        lambda narrow: _draw(made, bars, classes, most, narrow),
        note=note,
    )


def _draw(made, bars, classes, most, narrow):
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    height = 0.3 + 0.09 * len(made)
    figure = Figure(figsize=(3.75 if narrow else 7.0, height * len(most) + 1.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE, h_pad=0.06)
    ax = figure.subplots()
    offsets = np.linspace(-0.24, 0.24, len(made)) if len(made) > 1 else [0.0]
    rows = np.arange(len(most))
    for i, (name, values) in enumerate(made.items()):
        colour, marker = DOMAINS[i % len(DOMAINS)], domain_marker(i)
        if name in bars:
            low, high = bars[name][most].T
            ax.hlines(rows + offsets[i], low, high, color=colour, linewidth=1.6)
        ax.plot(
            values[most], rows + offsets[i], marker.matplotlib, color=colour, linestyle="none", markersize=6.5,
            markerfacecolor=colour if marker.filled else "white", markeredgewidth=1.5, label=shortened(name, 30),
        )  # fmt: skip
    ax.set_yticks(rows, [shortened(classes[c], 22) for c in most], color=INK)
    ax.set_ylim(len(most) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel("share of the examples")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=1 if narrow else min(4, len(made)))
    return figure
