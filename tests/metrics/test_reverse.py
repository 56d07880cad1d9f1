"""Reverse validation."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dakit.metrics import reverse_validation


def pair(n=100, shift=0.5, seed=0):
    rng = np.random.default_rng(seed)
    ys, yt = rng.integers(3, size=n), rng.integers(3, size=n + 20)
    centres = np.array([[0, 0], [3, 0], [0, 3]])
    return centres[ys] + rng.normal(size=(n, 2)), ys, centres[yt] + rng.normal(size=(n + 20, 2)) + shift, yt


def test_by_hand():
    # One neighbour: 0.4 -> 0 ("a"), 2.2 -> 2 ("b"); the source says "a", "a".
    nearest = KNeighborsClassifier(1)
    assert (
        reverse_validation([[0.4], [2.2]], ["a", "a"], [[0.0], [2.0]], ["a", "b"], estimator=nearest) == 0.5
    )


def test_against_a_pipeline_of_sklearn():
    zs, ys, zt, yt = pair()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(zt, yt)
    assert reverse_validation(zs, ys, zt, yt) == pytest.approx(model.score(zs, ys))
    names = np.array(["x", "q", "b"])
    assert reverse_validation(zs, names[ys], zt, names[yt]) == pytest.approx(model.score(zs, ys))
    found = reverse_validation(*(torch.from_numpy(x) for x in (zs, ys, zt, yt)))
    assert found == pytest.approx(model.score(zs, ys))


def test_falls_with_wrong_pseudo_labels_and_misses_a_consistent_swap():
    zs, ys, zt, yt = pair()
    rng = np.random.default_rng(1)
    found = []
    for wrong in (0.0, 0.5, 1.0):
        noisy = np.where(rng.random(len(yt)) < wrong, rng.integers(3, size=len(yt)), yt)
        found.append(reverse_validation(zs, ys, zt, noisy))
    assert found[0] > 0.8 > found[2] + 0.2
    # Errors there and back again: source and pseudo-labels swap two classes together.
    swap = np.array([1, 0, 2])
    assert reverse_validation(zs, swap[ys], zt, swap[yt]) == pytest.approx(found[0])


def test_limits():
    zs, ys, zt, _ = pair()
    assert reverse_validation(zs, ys, zt, np.full(len(zt), 2)) == pytest.approx((ys == 2).mean())
    dead = np.full((len(zt), 1), 0.1)
    value = reverse_validation(zs, ys, zt, zt[:, 0] > 1.5)
    assert reverse_validation(np.c_[zs, dead[: len(zs)]], ys, np.c_[zt, dead], zt[:, 0] > 1.5) == value
    assert reverse_validation(zs * 1e30, ys, zt * 1e30, zt[:, 0] > 1.5) == value


def test_bad_input():
    zs, ys, zt, yt = pair()
    with pytest.raises(ValueError, match="no pseudo-label occurs among the labels of the source"):
        reverse_validation(zs, ys, zt, yt + 7)
    with pytest.raises(ValueError, match="pseudo must hold one label per example"):
        reverse_validation(zs, ys, zt, yt[:5])
    with pytest.raises(ValueError, match="ys holds missing labels"):
        reverse_validation(zs, np.where(ys == 0, np.nan, ys), zt, yt)
    with pytest.raises(ValueError, match="same features"):
        reverse_validation(zs, ys, zt[:, :1], yt)
