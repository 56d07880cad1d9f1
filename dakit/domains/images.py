"""Image files to pixels: one file to one array, many files to one domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from dakit.domains.domain import Domain

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)


def read_image(file: str | Path | BinaryIO, size: int, *, called: object = None) -> np.ndarray:
    """One image file as RGB pixels of ``size`` × ``size``.

    The picture is turned as its camera says, transparency becomes white, 16-bit greys are scaled to 8 bits, and
    the whole picture is stretched to a square (antialiased), so that nothing at its edges is lost.

    Parameters
    ----------
    file : path or binary file
    size : int
        Height and width in pixels.
    called : object, optional
        What to call the file in an error; the path by default.

    Returns
    -------
    ndarray of shape (size, size, 3), uint8

    Raises
    ------
    ValueError
        If the file is no readable image; the sentence names it.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as picture:
            picture.draft("RGB", (2 * size, 2 * size))  # JPEG files decode faster at a fraction of their size
            picture = ImageOps.exif_transpose(picture)
            return np.asarray(_rgb(picture).resize((size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        what = file if called is None else called
        raise ValueError(f"{what} is not a readable image; it may be damaged or empty") from error


def _rgb(picture: Any) -> Any:
    from PIL import Image

    if picture.mode.startswith("I"):
        deep = np.asarray(picture)
        picture = Image.fromarray(
            np.clip(deep // 256 if deep.max(initial=0) > 255 else deep, 0, 255).astype(np.uint8)
        )
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def check_size(size: int) -> None:
    """Refuse a ``size`` that is no positive whole number."""
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
        raise ValueError(f"size must be a positive number of pixels, got {size!r}")


def domain_of_files(
    files: Sequence[Path],
    y: np.ndarray | None,
    classes: Sequence[str],
    *,
    name: str,
    size: int,
    meta: Mapping[str, np.ndarray],
) -> Domain:
    """A domain of image files, with ``x`` of shape (n, 3, size, size) in [0, 1].

    Raises
    ------
    ValueError
        If a file is missing or no readable image.
    """
    pixels = np.empty((len(files), size, size, 3), dtype=np.uint8)
    with ThreadPoolExecutor() as pool:  # decoding and resizing release the interpreter lock
        for row, picture in zip(pixels, pool.map(lambda file: read_image(file, size), files)):
            row[:] = picture
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    labels = None if y is None else torch.from_numpy(np.asarray(y, dtype=np.int64))
    return Domain(name, x.div_(255), labels, tuple(classes), meta)


def spread(count: int, most: int | None) -> np.ndarray:
    """At most ``most`` positions out of ``count``, evenly spaced: neighbours in a folder are often alike."""
    if most is None or count <= most:
        return np.arange(count)
    if most < 1:
        raise ValueError(f"max_per_class must be at least 1, got {most}")
    return np.linspace(0, count - 1, most).round().astype(int)
