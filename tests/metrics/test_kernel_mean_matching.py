"""Kernel mean matching: the optimum by its conditions, against a general optimiser, and the certificate."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics.pairwise import rbf_kernel

from dakit.metrics.kernel_mean_matching import _gap, _kernel, _projected, kmm_weights


def samples(n=40, m=50, shift=0.8, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def squared_mmd(w, xs, xt, b):
    v = w / len(xs)
    k = rbf_kernel(xs, xs, 1 / b), rbf_kernel(xs, xt, 1 / b).mean(1), rbf_kernel(xt, xt, 1 / b).mean()
    return v @ k[0] @ v - 2 * v @ k[1] + k[2]


def test_by_hand():
    # The target is three parts of 0 and one of 1: weights 1.5 and 0.5 give its mean exactly.
    found = kmm_weights([[0.0], [1.0]], [[0.0], [0.0], [0.0], [1.0]], bandwidth=1.0, tolerance=1e-12)
    np.testing.assert_allclose(found.values, [1.5, 0.5], atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("bound", "epsilon"), [(3.0, 0.0), (1000.0, 0.5)])
def test_against_a_general_optimiser(bound, epsilon, seed):
    xs, xt = samples(12, 15, seed=seed)
    best = minimize(
        squared_mmd,
        np.ones(12),
        args=(xs, xt, 2.0),
        bounds=[(0, bound)] * 12,
        constraints=[
            {"type": "ineq", "fun": lambda w: w.mean() - 1 + epsilon},
            {"type": "ineq", "fun": lambda w: 1 + epsilon - w.mean()},
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    found = kmm_weights(
        xs, xt, bandwidth=2.0, bound=bound, epsilon=epsilon, tolerance=1e-8, max_iterations=2000
    )
    raw = found.values * found.raw_mean
    assert raw.max() <= bound + 1e-9
    assert abs(raw.mean() - 1) <= epsilon + 1e-9
    assert squared_mmd(raw, xs, xt, 2.0) <= best.fun + 1e-7


def test_optimality_conditions():
    # On the constraint mean w = 1: the slope is equal where 0 < w < bound, no less at 0 and no more at the bound.
    xs, xt = samples(60, 70)
    w = kmm_weights(xs, xt, bandwidth=2.0, bound=4.0, epsilon=0.0, tolerance=1e-8, max_iterations=3000).values
    slope = rbf_kernel(xs, xs, 0.5) @ w / 60 - rbf_kernel(xs, xt, 0.5).mean(1)
    inside = (w > 1e-3) & (w < 4 - 1e-3)
    level = slope[inside].mean()
    assert inside.sum() >= 2
    assert (w <= 1e-3).any()
    np.testing.assert_allclose(slope[inside], level, atol=1e-4)
    assert (slope[w <= 1e-3] >= level - 1e-4).all()
    assert (slope[w >= 4 - 1e-3] <= level + 1e-4).all()


def test_gap_is_an_upper_bound_and_falls():
    xs, xt = samples(100, 100)
    best = kmm_weights(xs, xt, bandwidth=1.0, epsilon=0, tolerance=1e-9, max_iterations=2000)
    for iterations in (1, 10, 100):
        early = kmm_weights(xs, xt, bandwidth=1.0, epsilon=0, tolerance=1e-12, max_iterations=iterations)
        excess = squared_mmd(early.values, xs, xt, 1.0) - squared_mmd(best.values, xs, xt, 1.0)
        assert excess <= early.chosen["gap"] + 1e-9
    assert best.chosen["gap"] < early.chosen["gap"]


def test_matches_better_than_equal_weights_and_than_the_true_ratio():
    xs, xt = samples(300, 300)
    truth = np.exp(0.8 * xs.sum(1) - 0.64)
    w = kmm_weights(xs, xt, bandwidth=2.0).values
    found, ratio, equal = (squared_mmd(v, xs, xt, 2.0) for v in (w, truth / truth.mean(), np.ones(300)))
    assert found < ratio < equal


def test_projection_against_a_general_optimiser():
    rng = np.random.default_rng(0)
    for low, high in ((2.0, 2.0), (0.5, 1.0), (3.0, 4.0)):
        v = torch.from_numpy(rng.normal(size=8))
        found = _projected(v, 0.7, low, high)
        best = minimize(
            lambda u, v=v: np.square(u - v.numpy()).sum(),
            np.full(8, (low + high) / 16),
            bounds=[(0, 0.7)] * 8,
            constraints=[
                {"type": "ineq", "fun": lambda u, low=low: u.sum() - low},
                {"type": "ineq", "fun": lambda u, high=high: high - u.sum()},
            ],
            method="SLSQP",
            options={"ftol": 1e-12},
        )
        assert 0 <= found.min() <= found.max() <= 0.7
        assert low - 1e-10 <= found.sum() <= high + 1e-10
        assert float((found - v).square().sum()) <= best.fun + 1e-9


def test_gap_against_linear_programming():
    from scipy.optimize import linprog

    rng = np.random.default_rng(0)
    for shift in (-3, 0, 3):
        slope, v = rng.normal(size=9) + shift, np.full(9, 1 / 9)
        best = linprog(slope, A_ub=[np.ones(9), -np.ones(9)], b_ub=[1.5, -0.5], bounds=[(0, 0.4)] * 9).fun
        found = _gap(torch.from_numpy(v), torch.from_numpy(slope), 0.4, 0.5, 1.5)
        assert found == pytest.approx(slope @ v - best)


def test_tiles_made_anew_give_the_same_products(monkeypatch):
    xs, xt = (torch.from_numpy(x) for x in samples(70, 50))
    v = torch.rand(70, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("dakit.metrics.kernel_mean_matching.TILE", 16)
    kept = _kernel(xs, xt, 2.0)
    monkeypatch.setattr("dakit.metrics.kernel_mean_matching.KEPT", 10)
    anew = _kernel(xs, xt, 2.0)
    expected = rbf_kernel(xs, xs, 0.5) @ v.numpy()
    np.testing.assert_allclose(kept[0](v), expected, rtol=1e-12)
    np.testing.assert_allclose(anew[0](v), expected, rtol=1e-12)
    np.testing.assert_allclose(anew[1], rbf_kernel(xs, xt, 0.5).mean(1), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bandwidth": 0}, "bandwidth must be a positive number"),
        ({"bound": 0.5}, "bound must be a number of at least 1"),
        ({"epsilon": 1.0}, r"epsilon must lie in \[0, 1\)"),
        ({"tolerance": 0}, "must be positive"),
        ({"max_iterations": 0}, "must be positive"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        kmm_weights(*samples(), **options)
