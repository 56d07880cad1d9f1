import numpy as np
import pytest

from dakit.views.neighbours import (
    domain_mixing,
    nearest,
    neighbour_overlap,
    squared_distances,
    trustworthiness,
)


def test_distances_by_hand():
    x, y = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 4.0]])
    assert squared_distances(x, y).tolist() == [[0, 16], [25, 9]]


def test_nearest_by_hand():
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    index, distance = nearest(line, k=2)
    assert index.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert distance.tolist() == [[1, 3], [1, 2], [2, 3], [4, 6]]


@pytest.mark.parametrize("k", [1, 7, 299])
def test_nearest_agrees_with_scikit_learn(k):
    from sklearn.neighbors import NearestNeighbors

    x = np.random.default_rng(0).normal(size=(300, 5))
    distance, index = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()
    ours = nearest(x, k=k)
    np.testing.assert_allclose(ours[1], distance, atol=1e-9)
    assert (ours[0] == index).mean() > 0.999


def test_nearest_in_another_set_may_be_at_distance_zero():
    x = np.random.default_rng(0).normal(size=(5, 3))
    index, distance = nearest(x, x, k=1)
    assert index[:, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(distance, 0, atol=1e-6)


def test_a_copy_keeps_all_neighbours_and_noise_keeps_few():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    assert neighbour_overlap(x, 5 * x + 1) == 1.0
    assert neighbour_overlap(x, rng.normal(size=(400, 2)), k=10) == pytest.approx(10 / 399, abs=0.02)


def test_trustworthiness_agrees_with_scikit_learn():
    from sklearn.manifold import trustworthiness as reference

    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 8))
    flat = x[:, :2] + rng.normal(size=(150, 2))
    assert trustworthiness(x, flat, k=7) == pytest.approx(reference(x, flat, n_neighbors=7), abs=1e-9)
    assert trustworthiness(x, x, k=7) == 1.0


def test_trustworthiness_says_what_k_may_be():
    with pytest.raises(ValueError, match="0 < k < n / 2"):
        trustworthiness(np.eye(6), np.eye(6)[:, :2], k=3)


def test_mixing_is_nothing_for_domains_apart_and_a_half_for_domains_alike():
    rng = np.random.default_rng(0)
    x, domain = rng.normal(size=(2000, 4)), np.repeat([0, 1], 1000)
    assert domain_mixing(x, domain) == pytest.approx(0.5, abs=0.03)
    assert domain_mixing(x + 100 * domain[:, None], domain) == 0.0
