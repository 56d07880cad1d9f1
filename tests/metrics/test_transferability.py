"""LEEP, NCE, H-score and LogME."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

from dakit.metrics import h_score, leep, logme, nce


def task(n=120, d=6, k=3, strength=1.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + strength * rng.normal(size=(k, d))[y], y


def source_probs(n=120, k=5, seed=1):
    p = np.exp(2 * np.random.default_rng(seed).normal(size=(n, k)))
    return p / p.sum(1, keepdims=True)


# -- LEEP and NCE -------------------------------------------------------------------------------------------


def test_leep_by_hand():
    # P(y|z) by columns: (1.5, 0.5)/2 and (0.5, 0.5)/1 with y = 0, 0, 1.
    theta = [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]
    expected = (math.log(0.75) + math.log(0.5 * 0.75 + 0.25) + math.log(0.5 * 0.25 + 0.25)) / 3
    assert leep(theta, [0, 0, 1]) == pytest.approx(expected)


def leep_by_loops(theta, y):
    n, k = theta.shape
    total = 0.0
    for i in range(n):
        expected = 0.0
        for z in range(k):
            joint = sum(theta[j, z] for j in range(n) if y[j] == y[i]) / n
            marginal = sum(theta[j, z] for j in range(n)) / n
            expected += theta[i, z] * joint / marginal
        total += math.log(expected)
    return total / n


def test_leep_and_nce_against_loops():
    theta, (_, y) = source_probs(40), task(40)
    assert leep(theta, y) == pytest.approx(leep_by_loops(theta, y))
    z = theta.argmax(1)
    expected = np.mean([math.log(((z == z[i]) & (y == y[i])).sum() / (z == z[i]).sum()) for i in range(40)])
    assert nce(z, y) == pytest.approx(expected)
    assert leep(np.eye(5)[z], y) == pytest.approx(nce(z, y))  # one-hot predictions


def test_leep_and_nce_limits():
    y = np.arange(60) % 3
    assert nce(y + 4, y) == 0
    assert leep(np.eye(3)[y], y) == 0
    assert nce(np.zeros(60), y) == pytest.approx(-math.log(3))
    assert leep(np.full((60, 4), 0.25), y) == pytest.approx(-math.log(3))
    assert leep(source_probs(60), np.zeros(60)) == pytest.approx(0, abs=1e-15)
    assert nce(y, np.zeros(60)) == 0
    empty = np.c_[np.zeros(60), source_probs(60), np.zeros(60)]  # source classes that nothing belongs to
    assert leep(empty, y) == pytest.approx(leep(source_probs(60), y))
    names = np.array(["c", "a", "b"])[y]
    assert leep(source_probs(60), names) == pytest.approx(leep(source_probs(60), y))
    assert nce(names, torch.from_numpy(y)) == 0


def test_leep_and_nce_bad_input():
    with pytest.raises(ValueError, match="softmax"):
        leep([[2.0, -3.0]], [0])
    with pytest.raises(ValueError, match="one label per example"):
        leep([[0.5, 0.5]], [0, 1])
    with pytest.raises(ValueError, match="y must hold one label per example"):
        nce([0, 1], [0])
    with pytest.raises(ValueError, match="at least one label"):
        nce([], [])


# -- H-score ------------------------------------------------------------------------------------------------


def h_by_definition(f, y, shrinkage=False):
    f = f - f.mean(0)
    g = np.array([f[y == c].mean(0) for c in y])
    between = g.T @ g / len(f)
    if not shrinkage:
        return np.trace(np.linalg.pinv(f.T @ f / len(f)) @ between)
    total, a = ledoit_wolf(f, assume_centered=True)
    return np.trace(np.linalg.inv(total) @ between) * (1 - a)


@pytest.mark.parametrize(("n", "d"), [(120, 6), (30, 50), (20, 19)])
def test_h_score_against_its_definition(n, d):
    f, y = task(n, d)
    assert h_score(f, y) == pytest.approx(h_by_definition(f, y), rel=1e-8)
    assert h_score(f, y, shrinkage=True) == pytest.approx(h_by_definition(f, y, True), rel=1e-8)


def test_h_score_by_hand():
    # One feature: variance 1/4 * (9 + 1 + 1 + 9) = 5, of the class means 4.
    assert h_score([[-3.0], [-1.0], [1.0], [3.0]], [0, 0, 1, 1]) == pytest.approx(4 / 5)


def test_h_score_invariances_and_limits():
    f, y = task()
    rng = np.random.default_rng(3)
    value = h_score(f, y)
    assert h_score(f @ rng.normal(size=(6, 6)) + 5, y) == pytest.approx(value)
    assert h_score(np.c_[f, f[:, :2], np.full(len(f), 0.1)], y) == pytest.approx(value)  # dependent, constant
    assert h_score(f * 1e100, y) == pytest.approx(value)
    assert h_score(torch.from_numpy(f), y) == pytest.approx(value)
    assert h_score(f.astype(np.float32), y) == pytest.approx(value, rel=1e-5)
    assert h_score(np.eye(3)[y], y) == pytest.approx(2)  # k - 1
    # As many features as examples: its largest value whatever the labels, unless shrunk.
    noise = rng.normal(size=(30, 60))
    assert h_score(noise, np.arange(30) % 3) == pytest.approx(2)
    assert h_score(noise, np.arange(30) % 3, shrinkage=True) < 0.5
    assert [h_score(*task(strength=s)) for s in (0.1, 0.5, 2.0)] == sorted(
        h_score(*task(strength=s)) for s in (0.1, 0.5, 2.0)
    )


def test_h_score_bad_input():
    f, y = task()
    with pytest.raises(ValueError, match="at least two classes"):
        h_score(f, y * 0)
    with pytest.raises(ValueError, match="all rows of features are equal"):
        h_score(np.full((120, 3), 0.1), y)


# -- LogME --------------------------------------------------------------------------------------------------


def evidence(f, t, log_alpha, log_beta):
    """Log density of t under its marginal normal law: no formula of the linear model."""
    covariance = f @ f.T * math.exp(-log_alpha) + np.eye(len(f)) * math.exp(-log_beta)
    return multivariate_normal.logpdf(t, np.zeros(len(f)), covariance) / len(f)


def logme_by_brute_force(f, targets):
    found = []
    for t in targets.T:
        best = max(
            -minimize(lambda v, t=t: -evidence(f, t, *v), start, method="Nelder-Mead", tol=1e-9).fun
            for start in ((0, 0), (4, 1), (-3, 3))
        )
        found.append(best)
    return np.mean(found)


def logme_by_fixed_point(f, t, steps=3000):
    """The iteration of the paper."""
    n, d = f.shape
    alpha = beta = 1.0
    for _ in range(steps):
        precision = alpha * np.eye(d) + beta * f.T @ f
        m = beta * np.linalg.solve(precision, f.T @ t)
        gamma = d - alpha * np.trace(np.linalg.inv(precision))
        alpha, beta = gamma / (m @ m), (n - gamma) / ((f @ m - t) ** 2).sum()
    precision = alpha * np.eye(d) + beta * f.T @ f
    m = beta * np.linalg.solve(precision, f.T @ t)
    return (
        n / 2 * math.log(beta)
        + d / 2 * math.log(alpha)
        - n / 2 * math.log(2 * math.pi)
        - beta / 2 * ((f @ m - t) ** 2).sum()
        - alpha / 2 * m @ m
        - np.linalg.slogdet(precision)[1] / 2
    ) / n


@pytest.mark.parametrize(("n", "d"), [(40, 4), (24, 24), (18, 40)])
def test_logme_against_brute_force(n, d):
    f, y = task(n, d)
    assert logme(f, y) == pytest.approx(logme_by_brute_force(f, np.eye(3)[y]), abs=1e-6)
    t = f[:, :2] @ np.ones(2) + np.random.default_rng(5).normal(size=n)
    assert logme(f, 7 * t, regression=True) == pytest.approx(
        logme_by_brute_force(f, 7 * t[:, None]), abs=1e-6
    )


@pytest.mark.parametrize(("n", "d"), [(120, 6), (60, 30)])
def test_logme_against_the_fixed_point(n, d):
    f, y = task(n, d)
    expected = np.mean([logme_by_fixed_point(f, t) for t in np.eye(3)[y].T])
    assert logme(f, y) == pytest.approx(expected, abs=1e-9)


def test_logme_invariances():
    f, y = task()
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    value = logme(f, y)
    for same in (f @ turn, f * 1e-30, f * 1e100, np.c_[f, np.zeros((120, 2))], torch.from_numpy(f)):
        assert logme(same, y) == pytest.approx(value, abs=1e-10)
    order = rng.permutation(120)
    assert logme(f[order], y[order]) == pytest.approx(value)
    assert logme(f, np.array(["z", "b", "k"])[y]) == pytest.approx(value)
    assert logme(f.astype(np.float32), y) == pytest.approx(value, abs=1e-6)
    found = [logme(*task(strength=s)) for s in (0.0, 0.5, 2.0)]
    assert found == sorted(found)


def test_logme_limits():
    y = np.arange(30) % 3
    # Features that say nothing: the evidence of pure noise with the best variance, mean square 1/3.
    nothing = -0.5 * math.log(2 * math.pi * math.e / 3)
    assert logme(np.zeros((30, 4)), y) == pytest.approx(nothing)
    assert logme(np.full((30, 1), 0.1), y) > nothing  # but a constant column is an intercept
    orthogonal = np.r_[[1.0, -1.0], np.zeros(28)][:, None]
    assert logme(orthogonal, [0, 0, *np.arange(28) % 3]) == pytest.approx(nothing, abs=0.03)
    perfect = logme(np.eye(3)[y], y)  # no bound: stopped, and finite
    assert 5 < perfect < 50
    assert math.isfinite(logme(np.eye(3)[y] * 1e30, y))


def test_logme_bad_input():
    f, y = task()
    with pytest.raises(ValueError, match="at least two classes"):
        logme(f, y * 0)
    with pytest.raises(ValueError, match="nothing to predict"):
        logme(f, np.zeros(120), regression=True)
    with pytest.raises(ValueError, match="finite targets of shape"):
        logme(f, np.zeros(7), regression=True)
    with pytest.raises(ValueError, match="NaN"):
        logme(f * np.nan, y)


def test_data_are_left_as_they_were():
    f, y = task()
    theta = source_probs()
    before = f.copy(), theta.copy()
    h_score(f, y)
    h_score(f, y, shrinkage=True)
    logme(f, y)
    logme(f, f[:, 0], regression=True)
    leep(theta, y)
    assert (f == before[0]).all()
    assert (theta == before[1]).all()
