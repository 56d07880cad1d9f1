"""Soft neighbourhood density and cluster indices of pseudo-labels."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from dakit.metrics import cluster_score, snd


def blobs(n=60, k=3, d=5, spread=0.5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(k, d))[y] * 2 + spread * rng.normal(size=(n, d)), y


def snd_by_loops(z, temperature):
    total = 0.0
    for i, a in enumerate(z):
        s = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for j, b in enumerate(z) if j != i]
        q = np.exp(np.array(s) / temperature)
        q /= q.sum()
        total -= sum(p * math.log(p) for p in q if p > 0)
    return total / len(z)


# -- soft neighbourhood density -----------------------------------------------------------------------------


def test_snd_by_hand():
    # Each example has one neighbour in its own direction and one at right angles to it; temperature 1.
    q = math.e / (math.e + 1)
    own = -(q * math.log(q) + (1 - q) * math.log(1 - q))
    z = [[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]
    assert snd(z, temperature=1.0) == pytest.approx((2 * own + math.log(2)) / 3)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 5.0])
def test_snd_against_loops_in_blocks(temperature):
    z, _ = blobs(41)
    expected = snd_by_loops(z, temperature)
    for block in (1, 7, 41, 1000):
        assert snd(z, temperature=temperature, block=block) == pytest.approx(expected, rel=1e-12)


def test_snd_tells_clusters_from_none():
    rng = np.random.default_rng(0)
    dense = np.eye(5)[np.arange(100) % 5]
    spread = rng.normal(size=(100, 5))
    assert snd(dense) == pytest.approx(math.log(19), abs=1e-4)  # 19 equal neighbours, others at e^-20
    assert snd(dense) > snd(spread) + 0.3
    assert snd(np.ones((100, 5))) == pytest.approx(math.log(99))  # collapse scores best: the known weakness


def test_snd_invariances():
    z, _ = blobs()
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    value = snd(z)
    assert snd(rng.permutation(z)) == pytest.approx(value)
    assert snd(z @ turn) == pytest.approx(value)
    assert snd(z * rng.uniform(1e-200, 1e100, size=(60, 1))) == pytest.approx(value)
    assert snd(z.astype(np.float32)) == pytest.approx(value, rel=1e-5)
    assert snd(torch.from_numpy(z)) == pytest.approx(value)


def test_snd_bad_input():
    z, _ = blobs()
    with pytest.raises(ValueError, match="temperature must be a positive number, got 0"):
        snd(z, temperature=0)
    with pytest.raises(ValueError, match="at least 3 examples, got 2"):
        snd(z[:2])
    with pytest.raises(ValueError, match="1 rows of z are zero"):
        snd(np.r_[z, np.zeros((1, 5))])
    with pytest.raises(ValueError, match="block must be at least 1"):
        snd(z, block=0)


# -- cluster indices ----------------------------------------------------------------------------------------


def test_clusters_against_sklearn():
    z, y = blobs()
    names = np.array(["c", "a", "b"])[y]
    assert cluster_score(z, names) == pytest.approx(silhouette_score(z, y))
    assert cluster_score(z, y, index="calinski_harabasz") == pytest.approx(calinski_harabasz_score(z, y))
    assert cluster_score(z, y, index="davies_bouldin") == pytest.approx(-davies_bouldin_score(z, y))


@pytest.mark.parametrize("index", ["silhouette", "calinski_harabasz", "davies_bouldin"])
def test_clusters_are_better_with_the_right_labels_and_have_no_unit(index):
    z, y = blobs()
    right = cluster_score(z, y, index=index)
    assert right > cluster_score(z, np.random.default_rng(0).permutation(y), index=index)
    for factor in (1e-30, 1e100):
        assert cluster_score(z * factor, y, index=index) == pytest.approx(right)
    assert cluster_score(torch.from_numpy(z), torch.from_numpy(y), index=index) == pytest.approx(right)


def test_a_sample_of_many_points():
    z, y = blobs(3000, spread=1.0)
    whole = silhouette_score(z, y)
    found = [cluster_score(z, y, max_points=400, seed=s) for s in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert found[0] == pytest.approx(whole, abs=0.05)


def test_clusters_bad_input():
    z, y = blobs()
    with pytest.raises(ValueError, match="one pseudo-label"):
        cluster_score(z, np.zeros(60))
    with pytest.raises(ValueError, match="pseudo-label of its own"):
        cluster_score(z, np.arange(60))
    with pytest.raises(ValueError, match="index must be one of 'silhouette'"):
        cluster_score(z, y, index="dunn")
    with pytest.raises(ValueError, match="single point"):
        cluster_score(np.eye(3)[y], y, index="davies_bouldin")
    assert cluster_score(np.eye(3)[y], y) == 1


def test_data_are_left_as_they_were():
    z, y = blobs()
    before = z.copy()
    snd(z)
    for index in ("silhouette", "calinski_harabasz", "davies_bouldin"):
        cluster_score(z, y, index=index)
    assert (z == before).all()
