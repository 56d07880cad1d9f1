"""Principal components, the same on every machine up to rounding."""

from __future__ import annotations

import numpy as np


def principal_components(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (d,), directions (d, count) and the share of the variance they hold, from rows ``x`` (n, d).

    The directions are the first eigenvectors of the covariance; the sign of each is chosen so that its largest entry
    is positive.
    """
    x = x.astype(np.float64)
    mean = x.mean(0)
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    directions = vectors[:, ::-1][:, :count]
    largest = np.abs(directions).argmax(0)
    directions = directions * np.sign(directions[largest, np.arange(count)])
    return mean, directions, float(values[::-1][:count].sum() / values.sum())
