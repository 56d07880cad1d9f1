"""A source task, and tasks that move away from it: digits, other digits, shapes, photographs, objects."""

from __future__ import annotations

import numpy as np
from drawn_shapes import NEW_KINDS, SOURCE_KINDS, objects, shapes

import dakit

UNSEEN = (4, 9)
TESTS = 600
RUNGS = (
    "1 same digits",
    "2 unseen digits",
    "3 other digits",
    "4 shapes' attributes",
    "5 pieces of photos",
)


def digits(name: str) -> tuple[np.ndarray, np.ndarray]:
    domain = dakit.load("digits")[name]
    return domain.x.numpy().astype(np.float32), domain.y.numpy()


def pieces(n: int, side: str, rng) -> tuple[np.ndarray, np.ndarray]:
    """16 x 16 pieces of scikit-learn's two photographs at half size; the class is one of eight quarters.

    Pieces for training and test come from different strips of 20 columns in turns.
    """
    from sklearn.datasets import load_sample_images

    grey = [
        p.mean(2)[:426, :640].reshape(213, 2, 320, 2).mean((1, 3)) / 255 for p in load_sample_images().images
    ]
    y = rng.integers(8, size=n)
    x = np.empty((n, 1, 16, 16), np.float32)
    for i, label in enumerate(y):
        photo, down, across = label // 4, label // 2 % 2, label % 2
        row = 106 * down + rng.integers(90)
        column = 160 * across + 40 * rng.integers(4) + (20 if side == "test" else 0) + rng.integers(4)
        x[i, 0] = grey[photo][row : row + 16, column : column + 16]
    return x, y


def world(seed: int):
    """The source's examples, and for each rung those to learn from and those to test on."""
    rng = np.random.default_rng(seed)
    x, y = digits("mnist")
    order = rng.permutation(len(x))
    old, new = order[:2500], order[2500:]
    seen = [d for d in range(10) if d not in UNSEEN]
    index = {d: i for i, d in enumerate(seen)}

    def of(rows, which):
        rows = rows[np.isin(y[rows], which)]
        return x[rows], np.array([which.index(d) for d in y[rows]])

    def cut(x, y):
        order = rng.permutation(len(x))
        return (x[order[TESTS:]], y[order[TESTS:]]), (x[order[:TESTS]], y[order[:TESTS]])

    drawn, kind, _ = shapes(1500, SOURCE_KINDS, rng)
    xs, ys = of(old, seen)
    source = np.concatenate([xs, drawn]), np.concatenate([ys, len(index) + kind])
    two, two_y = of(np.arange(len(x)), list(UNSEEN))
    drawn, _, attributes = shapes(1200, NEW_KINDS, rng)
    photos = pieces(800, "train", rng), pieces(TESTS, "test", rng)
    sets = (cut(*of(new, seen)), cut(two, two_y), cut(*digits("optdigits")), cut(drawn, attributes), photos)
    return source, dict(zip(RUNGS, sets)), objects(60, 5, rng), objects(80, 4, rng)


def some(y: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Rows with so many labels a class; a larger number contains the smaller."""
    order = np.random.default_rng(seed).permutation(len(y))
    return np.concatenate([order[y[order] == c][:per_class] for c in np.unique(y)])
