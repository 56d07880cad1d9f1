"""Jensen-Shannon divergence of single features."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from dakit.metrics import jensen_shannon
from dakit.metrics.histograms import PooledHistograms, upper_edges


def samples(n=300, m=200, d=4, shift=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def test_by_hand():
    # P = (3/4, 1/4, 0), Q = (0, 1/2, 1/2).
    xs, xt = [[1], [1], [1], [5]], [[5], [5], [9], [9]]
    p, q = np.array([0.75, 0.25, 0]), np.array([0, 0.5, 0.5])
    assert jensen_shannon(xs, xt) == pytest.approx(jensenshannon(p, q) ** 2)


def test_against_scipy_on_numpys_histograms():
    xs, xt = samples()
    found = jensen_shannon(xs, xt, bins=10, per_feature=True)
    for j in range(4):
        pooled = np.sort(np.r_[xs[:, j], xt[:, j]])
        # 500 values: ten cells of 50, cut half way between neighbours.
        cuts = (pooled[49:-1:50] + pooled[50::50]) / 2
        edges = np.r_[-np.inf, cuts, np.inf]
        p, q = (np.histogram(x[:, j], edges)[0] for x in (xs, xt))
        assert (p + q == 50).all()
        assert found[j] == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-10)
    assert jensen_shannon(xs, xt, bins=10) == pytest.approx(found.mean())


def test_limits():
    xs, _ = samples()
    assert jensen_shannon(xs, xs) == 0
    assert jensen_shannon(xs, xs + 100) == pytest.approx(math.log(2))
    assert jensen_shannon(np.ones((3, 2)), np.ones((4, 2))) == 0
    assert jensen_shannon(np.ones((3, 2)), np.zeros((4, 2))) == pytest.approx(math.log(2))


def test_invariances():
    xs, xt = samples()
    value = jensen_shannon(xs, xt)
    assert jensen_shannon(xt, xs) == pytest.approx(value)
    assert jensen_shannon(xs[::-1], xt) == pytest.approx(value)
    assert jensen_shannon(np.exp(xs), np.exp(xt)) == pytest.approx(value)  # increasing functions
    assert jensen_shannon(*(torch.from_numpy(x) for x in (xs, xt))) == pytest.approx(value)
    assert jensen_shannon(xs * 1e30, xt * 1e30) == pytest.approx(value)


def test_outliers_do_not_ruin_it():
    xs, xt = samples(shift=1.0)
    value = jensen_shannon(xs, xt)
    xs[0] = 1e9
    assert jensen_shannon(xs, xt) == pytest.approx(value, rel=0.05)


def test_few_values_have_a_cell_each_and_atoms_are_not_split():
    assert upper_edges(np.array([3.0, 1, 1, 2]), 3).tolist() == [1, 2, 3]
    atom = np.r_[np.zeros(90), np.arange(1, 11)]
    assert upper_edges(atom, 4).tolist() == [0, 10]
    integers = np.arange(100.0)
    assert len(upper_edges(integers, 4)) == 4
    histograms = PooledHistograms(*(torch.from_numpy(integers[i::2, None]) for i in (0, 1)), 4, [0])
    assert histograms.cells.tolist() == [100]


def test_categories_by_their_values():
    x = np.arange(40)[:, None]
    assert jensen_shannon(x[::2], x[1::2], bins=4) < 0.01
    assert jensen_shannon(x[::2], x[1::2], bins=4, categorical=[-1]) == pytest.approx(math.log(2))


def test_bias_is_the_one_that_the_notes_tell():
    values = [jensen_shannon(*samples(400, 200, 2, 0.0, seed), bins=8) for seed in range(60)]
    assert np.mean(values) == pytest.approx(7 * (1 / 400 + 1 / 200) / 8, rel=0.1)


def test_blocks_of_features_change_nothing():
    xs, xt = (torch.from_numpy(x) for x in samples(30, 20, 9))
    labels = torch.zeros(50, 3, dtype=torch.uint8)
    labels[:30] = 1
    histograms = PooledHistograms(xs, xt, 4)
    whole = np.concatenate(histograms.divergences(labels))
    np.testing.assert_array_equal(np.concatenate(histograms.divergences(labels, entries=1)), whole)


def test_bad_input():
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match="bins must be at least 2, got 1"):
        jensen_shannon(xs, xt, bins=1)
    with pytest.raises(ValueError, match="categorical names column 4, but there are 4 features"):
        jensen_shannon(xs, xt, categorical=[4])
    with pytest.raises(ValueError, match="NaN"):
        jensen_shannon(xs * np.nan, xt)
    with pytest.raises(TypeError, match="numeric"):
        jensen_shannon([["a"], ["b"]], xt)
