"""Exact optimal transport and the Sinkhorn divergence."""

import itertools
import math

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import wasserstein_distance

from dakit.metrics import sinkhorn_divergence, wasserstein


def samples(n=30, m=20, d=3, shift=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


# -- by hand and by definition ------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, 3])
def test_smallest_of_all_permutations(p):
    xs, xt = samples(5, 5)
    cost = cdist(xs, xt) ** p
    best = min(cost[range(5), order].mean() for order in itertools.permutations(range(5)))
    assert wasserstein(xs, xt, p=p) == pytest.approx(best ** (1 / p), rel=1e-12)


def test_references():
    xs, xt = samples(80, 80, 4)
    cost = cdist(xs, xt, "sqeuclidean")
    assert wasserstein(xs, xt) == pytest.approx(math.sqrt(cost[linear_sum_assignment(cost)].mean()))
    assert wasserstein(xs, xt[:50]) == pytest.approx(math.sqrt(ot.emd2([], [], cost[:, :50])))
    one = samples(80, 37, 1)
    assert wasserstein(*one, p=1) == pytest.approx(wasserstein_distance(*(x[:, 0] for x in one)))
    padded = [np.c_[x, np.zeros(len(x))] for x in one]  # as a linear program
    assert wasserstein(*one, p=3) == pytest.approx(wasserstein(*padded, p=3))


def entropic_by_loops(x, y, epsilon, p=2):
    """The dual of entropic transport by alternating log-sum-exps."""
    cost = cdist(x, y) ** p
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(1000):
        f = -epsilon * (logsumexp((g - cost) / epsilon, axis=1) - math.log(len(y)))
        g = -epsilon * (logsumexp((f[:, None] - cost) / epsilon, axis=0) - math.log(len(x)))
    return f.mean() + g.mean()


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("p", [1, 2])
def test_sinkhorn_against_its_dual(epsilon, p):
    xs, xt = samples()
    strength = epsilon * np.median(cdist(xs, xt) ** p)
    across, a, b = (entropic_by_loops(u, v, strength, p) for u, v in ((xs, xt), (xs, xs), (xt, xt)))
    found = sinkhorn_divergence(xs, xt, epsilon=epsilon, p=p)
    assert found == pytest.approx(across - (a + b) / 2, abs=1e-5)


# -- what they are ------------------------------------------------------------------------------------------


def test_a_translation_moves_every_point_by_it():
    xs, _ = samples(60)
    delta = np.array([3.0, 0.0, 4.0])
    assert wasserstein(xs, xs + delta) == pytest.approx(5, rel=1e-9)
    assert sinkhorn_divergence(xs, xs + delta) == pytest.approx(25, rel=1e-3)


def test_between_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(1000, 2)), 2 * rng.normal(size=(1000, 2)) + [3, 0]
    expected = math.sqrt(9 + 2)  # |mean|² + sum over the axes of (2 - 1)²
    assert wasserstein(xs, xt) == pytest.approx(expected, rel=0.05)


def test_sinkhorn_between_its_limits():
    xs, xt = samples(40, 40)
    means = np.sum((xs.mean(0) - xt.mean(0)) ** 2)
    assert sinkhorn_divergence(xs, xt, epsilon=1e4) == pytest.approx(means, rel=1e-3)
    sharp = sinkhorn_divergence(xs, xt, epsilon=1e-3, tolerance=1e-4)  # logarithms are needed here
    assert sharp == pytest.approx(wasserstein(xs, xt) ** 2, rel=0.01)
    middle = sinkhorn_divergence(xs, xt)
    assert means < middle < sharp


def test_zero_on_itself_and_never_negative():
    xs, _ = samples(25, 25)
    assert wasserstein(xs, xs[::-1]) == pytest.approx(0, abs=1e-7)
    assert sinkhorn_divergence(xs, xs) == 0
    assert sinkhorn_divergence(xs, xs[::-1]) == pytest.approx(0, abs=1e-6)
    for seed in range(20):
        a, b = samples(6, 9, 2, 0.0, seed)
        assert sinkhorn_divergence(a, b, epsilon=0.3) > 0


@pytest.mark.parametrize("function", [wasserstein, sinkhorn_divergence])
def test_invariances(function):
    xs, xt = samples()
    value = function(xs, xt)
    assert function(xt, xs) == pytest.approx(value, rel=1e-4)
    assert function(xs[::-1], xt) == pytest.approx(value, rel=1e-4)
    assert function(xs + 9, xt + 9) == pytest.approx(value, rel=1e-6)
    degree = 1 if function is wasserstein else 2
    for size in (3.0, 1e30, 1e-30):
        assert function(size * xs, size * xt) / size**degree == pytest.approx(value, rel=1e-6)
    tensors = (torch.from_numpy(x) for x in (xs, xt))
    assert function(*tensors) == pytest.approx(value, rel=1e-9)
    assert function(xs.astype(np.float32), xt.astype(np.float32)) == pytest.approx(value, rel=1e-4)
    assert function(np.ones((4, 2)), np.ones((3, 2))) == 0


def test_the_sliced_distance_is_smaller():
    from dakit.metrics import max_sliced_wasserstein, sliced_wasserstein

    xs, xt = samples()
    assert sliced_wasserstein(xs, xt) <= max_sliced_wasserstein(xs, xt).value <= wasserstein(xs, xt) + 1e-12


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [wasserstein, sinkhorn_divergence])
def test_too_many_points_are_never_dropped_silently(function):
    xs, xt = samples(30, 20)
    with pytest.raises(
        ValueError, match=r"30 and 20 examples exceed max_points=25; raise it, pass subsample=True"
    ):
        function(xs, xt, max_points=25)
    a, again, b = (function(xs, xt, max_points=25, subsample=True, seed=s) for s in (0, 0, 1))
    assert a == again != b


@pytest.mark.parametrize("function", [wasserstein, sinkhorn_divergence])
def test_bad_input(function):
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match="p must be"):
        function(xs, xt, p=0.2)
    with pytest.raises(ValueError, match="NaN"):
        function(xs, xt * np.nan)
    with pytest.raises(ValueError, match="max_points must be at least 2"):
        function(xs, xt, max_points=1)


def test_bad_options_of_sinkhorn():
    xs, xt = samples(30, 30)
    with pytest.raises(ValueError, match="epsilon must be a positive number"):
        sinkhorn_divergence(xs, xt, epsilon=0)
    with pytest.raises(ValueError, match="did not reach tolerance 1e-12 in 5 steps; raise epsilon"):
        sinkhorn_divergence(xs, xt, epsilon=0.01, tolerance=1e-12, max_iterations=5)
    with pytest.raises(ValueError, match="tolerance positive"):
        sinkhorn_divergence(xs, xt, tolerance=0)
