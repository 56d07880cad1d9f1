"""``views.gallery``: chosen examples with what is to be said about each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dakit.views.labels import counted, enumerate_words, shortened
from dakit.views.palette import EDGE, INK
from dakit.views.view import View


def gallery(rows: Mapping[str, tuple[Any, Sequence[str]]], *, title: str, note: str = "") -> View:
    """Rows of images with a caption below each, for example the most unusual examples of two domains.

    Parameters
    ----------
    rows : mapping of str to (images, captions)
        Images of shape (k, channels, height, width) in [0, 1] with 1 or 3 channels, and k captions.
    title, note : str

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If there is no image, or images and captions do not fit.
    """
    made = {}
    for name, (images, captions) in rows.items():
        images = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images, dtype=np.float32)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(
                f"row {name!r} must hold images of shape (k, 1 or 3, height, width), got {images.shape}"
            )
        if len(images) != len(captions):
            raise ValueError(f"row {name!r} has {len(images)} images and {len(captions)} captions")
        if len(images):
            made[str(name)] = (np.clip(images, 0, 1).transpose(0, 2, 3, 1), [str(c) for c in captions])
    if not made:
        raise ValueError("gallery needs at least one image")
    said = [f"{name}: {enumerate_words(captions)}." for name, (_, captions) in made.items()]
    total = sum(len(c) for _, c in made.values())
    return View(
        title, " ".join([f"{counted(total, 'image')}.", *said]), lambda narrow: _draw(made, narrow), note=note
    )


def _draw(made, narrow):
    from matplotlib.figure import Figure

    across = 4 if narrow else min(8, max(len(c) for _, c in made.values()))
    bands = [
        (name if start == 0 else "", images[start : start + across], captions[start : start + across])
        for name, (images, captions) in made.items()
        for start in range(0, len(images), across)
    ]
    width = 3.75 if narrow else max(5.2, 1.15 * across)
    cell = width / across
    heights = [h for name, _, _ in bands for h in (0.26 if name else 0.05, cell + 0.16)]
    figure = Figure(figsize=(width, sum(heights) + 0.04 * len(heights) + 0.75), layout="constrained")
    figure.get_layout_engine().set(w_pad=EDGE / 2, h_pad=0.02, hspace=0, wspace=0)
    grid = figure.add_gridspec(len(heights), across, height_ratios=heights)
    letters = max(6, int(cell / 0.085))
    for row, (name, images, captions) in enumerate(bands):
        head = figure.add_subplot(grid[2 * row, :])
        head.set_axis_off()
        head.text(0, 0.1, shortened(name, 46 if narrow else 90), fontsize=9.5, fontweight="bold", color=INK)
        for column in range(across):
            ax = figure.add_subplot(grid[2 * row + 1, column])
            ax.set_axis_off()
            if column >= len(images):
                continue
            grey = images.shape[3] == 1
            image = images[column, ..., 0] if grey else images[column]
            ax.imshow(image, cmap="gray" if grey else None, vmin=0, vmax=1)
            ax.text(
                0.5, -0.04, shortened(captions[column], letters), transform=ax.transAxes, ha="center", va="top",
                fontsize=7.5, color=INK,
            )  # fmt: skip
    return figure
