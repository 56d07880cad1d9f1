"""Histograms of oriented gradients, the hand-made competitor (Dalal and Triggs, CVPR 2005)."""

from __future__ import annotations

import numpy as np


def hog(x: np.ndarray, *, cell: int = 4, bins: int = 9) -> np.ndarray:
    """Grey pictures (n, 1, height, width) to (n, d): gradients by cell and direction, in blocks of 2 x 2 cells.

    Votes are shared between the two nearest directions; every block is divided by its length, clipped at 0.2 and
    divided again.
    """
    grey = np.pad(x[:, 0], ((0, 0), (1, 1), (1, 1)), mode="edge")
    down, across = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1], grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    strength = np.hypot(down, across)
    place = np.arctan2(down, across) % np.pi / np.pi * bins
    low = np.floor(place).astype(int)
    share = place - low
    n, h, w = strength.shape
    votes = np.zeros((n, bins, h, w))
    for bin_, part in ((low % bins, 1 - share), ((low + 1) % bins, share)):
        np.put_along_axis(
            votes, bin_[:, None], np.take_along_axis(votes, bin_[:, None], 1) + (strength * part)[:, None], 1
        )
    cells = votes.reshape(n, bins, h // cell, cell, w // cell, cell).sum((3, 5))
    blocks = np.stack(
        [cells[:, :, i : h // cell - 1 + i, j : w // cell - 1 + j] for i in (0, 1) for j in (0, 1)], 1
    ).reshape(n, 4 * bins, -1)
    for top in (0.2, np.inf):
        blocks = np.minimum(blocks / np.sqrt((blocks**2).sum(1, keepdims=True) + 1e-6), top)
    return blocks.reshape(n, -1)
