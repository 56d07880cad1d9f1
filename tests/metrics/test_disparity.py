"""Margin disparity discrepancy."""

import numpy as np
import pytest
import torch

from dakit.metrics import mdd_score


def pair(shift=0.0, n=200, seed=0):
    z = np.random.default_rng(seed).normal(size=(2 * n, 2))
    h = np.digitize(np.arctan2(z[:, 1], z[:, 0]), [-1, 1])
    return z[:n], h[:n], z[n:] + np.array([0, shift]), h[n:]


def test_the_objective_is_minimised():
    # Against L-BFGS of scipy from the same start, two classes: convex, one minimum.
    from scipy.optimize import minimize

    from dakit.metrics.disparity import _second_head

    rng = np.random.default_rng(0)
    z = np.c_[rng.normal(size=(80, 3)), np.ones(80)]
    h, target = rng.integers(2, size=80), np.arange(80) >= 40
    head = _second_head(
        torch.from_numpy(z), torch.from_numpy(h), torch.from_numpy(target), 2, 2.0, 0.1
    ).numpy()

    def objective(w):
        w = w.reshape(4, 2)
        o = z @ w
        p = np.exp(o) / np.exp(o).sum(1, keepdims=True)
        of_h = p[np.arange(80), h]
        return (
            -2.0 * np.log(of_h[~target]).mean() - np.log(1 - of_h[target]).mean() + 0.05 * (w[:-1] ** 2).sum()
        )

    best = minimize(objective, np.zeros(8), tol=1e-12)
    assert objective(head.ravel()) == pytest.approx(best.fun, abs=1e-7)


def test_falls_with_the_shift():
    found = [mdd_score(*pair(shift)) for shift in (0.0, 1.0, 2.0, 20.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < -0.7


def test_no_shift_is_about_zero():
    found = [mdd_score(*pair(seed=s), seed=s) for s in range(12)]
    assert abs(np.mean(found)) < 0.1
    assert max(np.abs(found)) < 0.25


def test_inputs():
    zs, hs, zt, ht = pair(1.0)
    value = mdd_score(zs, hs, zt, ht)
    assert mdd_score(zs, hs, zt, ht) == value
    assert mdd_score(*(torch.from_numpy(x) for x in (zs, hs, zt, ht))) == value
    names = np.array(["a", "b", "c"])
    assert mdd_score(zs, names[hs], zt, names[ht]) == value
    assert mdd_score(zs * 1e20, hs, zt * 1e20, ht) == pytest.approx(value, abs=0.02)
    with torch.inference_mode():
        assert mdd_score(zs, hs, zt, ht) == value
    assert -1 <= mdd_score(zs, hs, zt, ht, units=0) <= 1


def test_a_collapsed_classifier_and_constant_features():
    zs, hs, zt, ht = pair()
    assert -1 <= mdd_score(zs, hs * 0, zt, ht * 0) <= 1
    assert mdd_score(zs * 0, hs * 0, zt * 0, ht * 0) == 0


def test_bad_input():
    zs, hs, zt, ht = pair()
    with pytest.raises(ValueError, match="hs must hold one label per example"):
        mdd_score(zs, hs[:3], zt, ht)
    with pytest.raises(ValueError, match="margin and penalty must be positive"):
        mdd_score(zs, hs, zt, ht, penalty=0)
    with pytest.raises(ValueError, match="folds must be at least 2"):
        mdd_score(zs, hs, zt, ht, folds=1)
    with pytest.raises(ValueError, match="3 folds need at least 3 examples"):
        mdd_score(zs, hs, zt[:2], ht[:2], folds=3)
    with pytest.raises(ValueError, match="units must not be negative"):
        mdd_score(zs, hs, zt, ht, units=-1)
    with pytest.raises(ValueError, match="same features"):
        mdd_score(zs, hs, zt[:, :1], ht)
