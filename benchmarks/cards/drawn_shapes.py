"""Generated shapes: white on black, 16 x 16, drawn large with Pillow and reduced."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

SIDE, DRAWN = 16, 96
STYLES = ("filled", "outline", "dashed")


def _round(n: int, radii=(1.0,), start: float = -90) -> np.ndarray:
    """n corners around the centre; the radii take turns."""
    angles = np.radians(start + 360 * np.arange(n) / n)
    radius = np.resize(np.asarray(radii), n)[:, None]
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


CROSS = [
    (-1, -3),
    (1, -3),
    (1, -1),
    (3, -1),
    (3, 1),
    (1, 1),
    (1, 3),
    (-1, 3),
    (-1, 1),
    (-3, 1),
    (-3, -1),
    (-1, -1),
]
KINDS = {
    "disc": _round(40),
    "triangle": _round(3),
    "rectangle": _round(4, start=45),
    "cross": np.array(CROSS) / 3.0,
    "hexagon": _round(6),
    "star": _round(10, (1.0, 0.45)),
    "diamond": _round(4),
    "half": _round(40)[[i for i in range(40) if _round(40)[i, 1] <= 1e-9]],
}
SOURCE_KINDS, NEW_KINDS = tuple(KINDS)[:4], tuple(KINDS)[4:]


def draw(
    points: np.ndarray, style: str, *, turn: float = 0, scale: float = 0.75, move=(0, 0), stretch=(1, 1)
):
    """A polygon given in [-1, 1]²: stretched, turned by degrees, scaled and moved; (16, 16) in [0, 1]."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    p = (np.asarray(points) * stretch) @ np.array([[c, s], [-s, c]]) * scale + move
    p = (p + 1) / 2 * DRAWN
    canvas = Image.new("L", (DRAWN, DRAWN))
    pen = ImageDraw.Draw(canvas)
    if style == "filled":
        pen.polygon([tuple(q) for q in p], fill=255)
    else:
        corners = np.vstack([p, p[:1]])
        along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
        dash = along[-1] / (1 if style == "outline" else 18)
        for begin in np.arange(0, along[-1] - 1e-6, dash if style == "outline" else 2 * dash):
            at = np.linspace(begin, min(begin + dash, along[-1]), 60 if style == "outline" else 8)
            line = np.stack([np.interp(at, along, corners[:, k]) for k in (0, 1)], 1)
            pen.line([tuple(q) for q in line], fill=255, width=8, joint="curve")
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255


def shapes(n: int, kinds, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n shapes, lying or standing, in three styles: pictures (n, 1, 16, 16), kind, style with direction (0..5)."""
    kind, style, standing = (rng.integers(k, size=n) for k in (len(kinds), len(STYLES), 2))
    x = np.stack(
        [
            draw(
                KINDS[kinds[k]],
                STYLES[s],
                turn=rng.uniform(-12, 12),
                scale=rng.uniform(0.6, 0.85),
                move=rng.uniform(-0.12, 0.12, 2),
                stretch=(0.62, 1) if up else (1, 0.62),
            )
            for k, s, up in zip(kind, style, standing)
        ]
    )
    return x[:, None], kind, style + len(STYLES) * standing


def objects(n: int, views: int, rng) -> np.ndarray:
    """n random outlines, each drawn several times, turned by up to 30° and partly covered: (n, views, 1, 16, 16)."""
    x = np.empty((n, views, 1, SIDE, SIDE), np.float32)
    for i in range(n):
        points = _round(int(rng.integers(5, 10)), rng.uniform(0.35, 1, 10), start=rng.uniform(0, 360))
        style = STYLES[rng.integers(2)]
        for v in range(views):
            turn, scale, move = rng.uniform(-30, 30), rng.uniform(0.75, 0.95), rng.uniform(-0.1, 0.1, 2)
            x[i, v, 0] = draw(points, style, turn=turn, scale=scale, move=move)
            row, column = rng.integers(0, SIDE - 5, 2)
            x[i, v, 0, row : row + 6, column : column + 6] = 0  # 14 % of the picture
    return x
