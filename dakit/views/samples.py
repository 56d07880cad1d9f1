"""``views.samples``: what the domains look like, class by class."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from dakit.views.labels import counted, enumerate_words, shortened
from dakit.views.palette import EDGE, INK
from dakit.views.view import View

MOST_COLUMNS = 12


def samples(*domains: Any, per_class: int = 3, seed: int = 0, title: str | None = None) -> View:
    """A grid of example images: a column for each class, a band of rows for each domain.

    Parameters
    ----------
    *domains : Domain, or one mapping of names to Domains
        Image domains, x of shape (n, channels, height, width) in [0, 1] with 1 or 3 channels.
    per_class : int
        Examples of each class and domain. A domain without labels shows examples in no order.
    seed : int
        Which examples.
    title : str, optional

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is no domain, or one holds no images.
    """
    if len(domains) == 1 and isinstance(domains[0], Mapping):
        domains = tuple(domains[0].values())
    if not domains:
        raise ValueError("samples needs at least one domain")
    if per_class < 1:
        raise ValueError(f"per_class must be at least 1, got {per_class}")
    for d in domains:
        if d.x.ndim != 4 or d.x.shape[1] not in (1, 3):
            raise ValueError(
                f"samples draws images of 1 or 3 channels, and domain {d.name!r} holds {tuple(d.x.shape[1:])}"
            )
    classes = next((d.classes for d in domains if d.y is not None), ())
    columns = list(classes[:MOST_COLUMNS]) or [""] * 8
    bands = [_band(d, columns, per_class, np.random.default_rng(seed)) for d in domains]
    names = [d.name for d in domains]
    title = title or f"Examples of {enumerate_words(names, limit=4)}"
    return View(
        title,
        _alt(domains, columns, per_class),
        lambda narrow: _draw(bands, names, columns, per_class, narrow),
        note=f"The first {MOST_COLUMNS} of {len(classes)} classes." if len(classes) > MOST_COLUMNS else "",
    )


def _band(domain: Any, columns: list[str], per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Images of one domain as one picture, (per_class · (h + gap), columns · (w + gap), 3); gaps are white."""
    height, width = domain.x.shape[2:]
    gap = max(1, round(width / 12))
    band = np.ones((per_class * (height + gap), len(columns) * (width + gap), 3), dtype=np.float32)
    labels = None if domain.y is None else domain.y.cpu().numpy()
    anything = rng.permutation(len(domain.x))
    for column, name in enumerate(columns):
        if labels is None:
            rows = anything[column * per_class : (column + 1) * per_class]
        else:
            of_class = (
                np.flatnonzero(labels == list(domain.classes).index(name)) if name in domain.classes else []
            )
            rows = rng.permutation(of_class)[:per_class].astype(int)
        for row, at in enumerate(rows):
            image = np.clip(domain.x[int(at)].detach().cpu().numpy(), 0, 1).transpose(1, 2, 0)
            top, left = row * (height + gap), column * (width + gap)
            band[top : top + height, left : left + width] = image
    return band


def _alt(domains, columns, per_class: int) -> str:
    size = "×".join(str(s) for s in domains[0].x.shape[2:])
    each = [f"{d.name} ({len(d.x):,} images{'' if d.y is not None else ', no labels'})" for d in domains]
    said = f"A grid of {size} pixel images from {enumerate_words(each)}"
    if any(columns):
        said += f": {counted(len(columns), 'class')} in columns ({enumerate_words(columns)})"
    return f"{said}, {counted(per_class, 'example')} of each."


def _draw(bands, names, columns, per_class: int, narrow: bool):
    from matplotlib.figure import Figure

    side = (0.9 if narrow else 1.15) * 0.5
    left = 0.25  # for a domain's name, written upright
    width = 3.75 if narrow else max(5.2, side * len(columns) * 1.15 + left)
    letters = max(8, int((width - left) / len(columns) * per_class / 0.08))
    names_wrapped = [
        "\n".join(shortened(line, letters) for line in textwrap.wrap(n, letters, break_long_words=False)[:3])
        for n in names
    ]
    left += 0.16 * max(n.count("\n") for n in names_wrapped)
    cell = (width - left) / len(columns)
    tall = sum(cell * b.shape[0] / b.shape[1] * len(columns) + 0.12 for b in bands)
    figure = Figure(figsize=(width, tall + (0.75 if narrow else 0.55) + 0.5), layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE / 2, h_pad=0.05)
    heights = [b.shape[0] / b.shape[1] for b in bands]
    axes = figure.subplots(len(bands), 1, squeeze=False, height_ratios=heights).ravel()
    slant = (
        {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
        if narrow or max(map(len, columns)) > 9
        else {}
    )
    for i, (ax, band) in enumerate(zip(axes, bands)):
        ax.imshow(band, interpolation="nearest", aspect="equal")
        ax.grid(False)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.set_yticks([])
        ax.set_ylabel(names_wrapped[i], fontweight="bold", color=INK, fontsize=8.5)
        step = band.shape[1] / len(columns)
        labels = [shortened(c, 14) for c in columns] if i == 0 else []
        ax.set_xticks([step * (c + 0.46) for c in range(len(labels))], labels, **slant)
        ax.xaxis.tick_top()
    return figure
