"""RankMe and the rank of features."""

import math

import numpy as np
import pytest
import torch

from dakit.metrics import feature_rank, rankme


def low_rank(n=80, d=10, rank=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d))


def test_by_hand():
    # Singular values 3 and 1.
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert rankme([[3.0, 0.0], [0.0, 1.0]]) == pytest.approx(expected)
    assert rankme(np.eye(5)) == pytest.approx(5)
    assert rankme(np.ones((5, 3))) == pytest.approx(1)
    assert rankme(np.ones((5, 3)), centred=True) == 0
    assert feature_rank(np.eye(5)) == 4  # their mean is taken off
    assert feature_rank(np.eye(5), centred=False) == 5
    # Squares 9 and 1 of 10.
    z = [[3.0, 0.0], [0.0, 1.0]]
    assert [feature_rank(z, centred=False, variance=v) for v in (0.5, 0.9, 0.91, 1.0)] == [1, 1, 2, 2]


@pytest.mark.parametrize("shape", [(60, 8), (8, 60), (20, 20)])
def test_against_the_formula_of_the_paper(shape):
    z = np.random.default_rng(0).normal(size=shape) + 0.3
    s = np.linalg.svd(z, compute_uv=False)
    p = s / np.abs(s).sum() + 1e-7
    assert rankme(z) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(80, 10), (10, 80)])
@pytest.mark.parametrize("rank", [1, 3, 7])
def test_numerical_rank(rank, shape, dtype):
    z = low_rank(*shape, rank).astype(dtype)
    assert feature_rank(z) == rank == np.linalg.matrix_rank(z - z.mean(0), tol=1e-3)
    assert feature_rank(z + 100 * z[0], centred=True) == rank
    assert 1 <= rankme(z) <= rank + 1e-4


def test_invariances():
    z = low_rank(rank=10)
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    value = rankme(z)
    assert rankme(rng.permutation(z) @ turn) == pytest.approx(value)
    for factor in (1e-300, -5.0, 1e130):
        assert rankme(z * factor) == pytest.approx(value)
        assert feature_rank(z * factor) == 10
    assert rankme(z + 7, centred=True) == pytest.approx(rankme(z, centred=True))
    assert rankme(torch.from_numpy(z)) == pytest.approx(value)
    assert rankme(z.astype(np.float32)) == pytest.approx(value, rel=1e-5)


def test_collapse_lowers_it():
    z = low_rank(rank=10)
    found = [rankme(z * np.geomspace(1, end, 10)) for end in (1, 0.1, 0.01, 1e-6)]
    assert found == sorted(found, reverse=True)


def test_points_and_zeros():
    assert rankme(np.zeros((4, 3))) == 0
    assert feature_rank(np.zeros((4, 3))) == 0
    assert feature_rank(np.full((7, 3), 0.1)) == 0
    assert feature_rank(np.full((7, 3), 0.1), variance=0.9) == 0


def test_bad_input():
    with pytest.raises(ValueError, match=r"variance must lie in \(0, 1\], got 0"):
        feature_rank(np.eye(3), variance=0)
    with pytest.raises(ValueError, match="at least 2 examples"):
        rankme([[1.0, 2.0]])
    with pytest.raises(ValueError, match="infinite"):
        rankme([[1.0, np.inf], [0.0, 0.0]])
