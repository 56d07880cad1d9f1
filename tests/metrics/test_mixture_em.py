"""Proportions of a mixture: against a general optimiser, the certificate, and the accelerated path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dakit.metrics.mixture_em import mixture_proportions


def densities(m=80, k=4, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=k) * spread
    x = rng.choice(centres, size=m) + rng.normal(size=m)
    return np.exp(-0.5 * (x[:, None] - centres) ** 2)


def level(q, table, counts=None):
    return np.average(np.log(table @ q), weights=counts)


def test_by_hand():
    # Two components that never overlap: the shares of the points.
    table = np.array([[3.0, 0.0]] * 3 + [[0.0, 5.0]])
    found = mixture_proportions(table)
    np.testing.assert_allclose(found.values, [0.75, 0.25])
    assert found.log_likelihood[-1] == pytest.approx(0.75 * np.log(3 * 0.75) + 0.25 * np.log(5 * 0.25))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [2, 5])
def test_against_a_general_optimiser(k, seed):
    table = densities(k=k, seed=seed)
    counts = np.random.default_rng(seed).poisson(1, len(table))
    best = minimize(
        lambda q: -level(np.maximum(q, 0) + 1e-15, table, counts),
        np.full(k, 1 / k),
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    found = mixture_proportions(table, counts=counts, tolerance=1e-9, max_iterations=20000)
    assert found.log_likelihood[-1] == pytest.approx(level(found.values, table, counts), abs=1e-12)
    assert found.log_likelihood[-1] >= -best.fun - 1e-9
    np.testing.assert_allclose(found.values, np.maximum(best.x, 0), atol=2e-3)


@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.1, 4))
@settings(max_examples=60, deadline=None)
def test_the_likelihood_rises_and_the_gap_is_an_upper_bound(seed, k, spread):
    table = densities(30, k, spread, seed)
    found = mixture_proportions(table, max_iterations=7, tolerance=1e-10)
    best = mixture_proportions(table, max_iterations=5000, tolerance=1e-10)
    assert (np.diff(found.log_likelihood) >= 0).all()
    assert found.values.min() >= 0
    assert found.values.sum() == pytest.approx(1)
    assert best.log_likelihood[-1] - found.log_likelihood[-1] <= found.gap + 1e-9
    assert len(found.log_likelihood) <= 8


def test_same_optimum_as_plain_em():
    table = densities(200, 3, 2.0)
    q = np.full(3, 1 / 3)
    for _ in range(5000):
        r = table * q
        q = (r / r.sum(1, keepdims=True)).mean(0)
    found = mixture_proportions(table, tolerance=1e-12, max_iterations=5000)
    np.testing.assert_allclose(found.values, q, atol=1e-5)
    assert len(found.log_likelihood) < 500


def test_densities_of_any_scale():
    table = densities()
    scale = np.exp(np.random.default_rng(0).uniform(-600, 600, len(table)))
    np.testing.assert_allclose(
        mixture_proportions(table * scale[:, None]).values, mixture_proportions(table).values, atol=1e-9
    )
