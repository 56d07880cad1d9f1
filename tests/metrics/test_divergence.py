"""H-divergence and discrepancy distance."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, norm

from dakit.metrics import discrepancy, h_divergence


def samples(n=300, m=300, d=2, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def test_stumps_are_the_largest_kolmogorov_smirnov_distance():
    xs, xt = samples(40, 30, 5, 0.4)
    expected = 2 * max(ks_2samp(a, b).statistic for a, b in zip(xs.T, xt.T))
    assert h_divergence(xs, xt, hypotheses="stumps") == pytest.approx(expected)


def test_a_class_of_functions():
    xs, xt = samples(40, 30, 2, 0.4)
    functions = [lambda x, t=t: x[:, 0] > t for t in np.linspace(-2, 2, 9)]
    expected = 2 * max(abs((xs[:, 0] > t).mean() - (xt[:, 0] > t).mean()) for t in np.linspace(-2, 2, 9))
    assert h_divergence(xs, xt, hypotheses=functions) == pytest.approx(expected)
    assert h_divergence(xs, xt, hypotheses=functions) <= h_divergence(xs, xt, hypotheses="stumps")


@pytest.mark.parametrize("hypotheses", ["linear", "linear_pairs", "mlp"])
def test_translated_gaussians_in_closed_form(hypotheses):
    # The best set is a half-space: d_H = 2 (2 Φ(|δ|/2) - 1), and no set does better.
    xs, xt = samples(3000, 3000, 2, 1.0)
    expected = 2 * (2 * norm.cdf(np.sqrt(2) / 2) - 1)
    assert h_divergence(xs, xt, hypotheses=hypotheses) == pytest.approx(expected, abs=0.08)


def test_pairs_of_half_spaces_see_a_slab():
    # Target lies between two parallel lines and source on both sides: no half-space tells them apart, HΔH does.
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(600, 3)), rng.normal(size=(600, 3))
    xs[:, 0] += 4 * rng.choice([-1, 1], 600)
    assert h_divergence(xs, xt) < 0.3
    assert h_divergence(xs, xt, hypotheses="linear_pairs") > 1.7


def test_limits():
    xs, xt = samples()
    for hypotheses in ("linear", "linear_pairs", "mlp"):
        assert 0 <= h_divergence(xs, xt, hypotheses=hypotheses) < 0.3
        assert h_divergence(xs, xt + 50, hypotheses=hypotheses) == 2
    assert h_divergence(xs, xs, hypotheses="stumps") == 0
    assert h_divergence(np.ones((9, 2)), np.ones((8, 2)), hypotheses="linear_pairs") == 0


def test_discrepancy_is_the_worst_pair_of_hypotheses():
    xs, xt = samples(50, 40, 2, 0.7)
    angles = np.linspace(0, np.pi, 2000)
    w = 2 * 1.5 * np.stack([np.cos(angles), np.sin(angles)])  # h - h' of two vectors of length 1.5
    worst = abs(np.mean((xs @ w) ** 2, axis=0) - np.mean((xt @ w) ** 2, axis=0)).max()
    assert discrepancy(xs, xt, radius=1.5) == pytest.approx(worst, rel=1e-5)


def test_discrepancy_of_few_points_in_many_dimensions():
    xs, xt = samples(6, 5, 40, 0.3)
    expected = 4 * np.linalg.norm(xs.T @ xs / 6 - xt.T @ xt / 5, 2)
    assert discrepancy(xs, xt) == pytest.approx(expected, rel=1e-10)
    assert discrepancy(xt, xs) == pytest.approx(expected, rel=1e-10)
    assert discrepancy(*(torch.from_numpy(x) for x in (xs, xt))) == pytest.approx(expected, rel=1e-10)
    assert discrepancy(xs, xs) == pytest.approx(0, abs=1e-12)
    assert discrepancy(3 * xs, 3 * xt) == pytest.approx(9 * expected, rel=1e-10)


def test_bad_input():
    xs, xt = samples(9, 9)
    with pytest.raises(ValueError, match="hypotheses must be 'stumps', 'linear', 'linear_pairs', 'mlp' or"):
        h_divergence(xs, xt, hypotheses="trees")
    with pytest.raises(ValueError, match="at least one function"):
        h_divergence(xs, xt, hypotheses=[])
    with pytest.raises(ValueError, match="radius must be a positive number"):
        discrepancy(xs, xt, radius=0)
    for function in (h_divergence, discrepancy):
        with pytest.raises(ValueError, match="NaN"):
            function(xs, xt * np.nan)
