"""The energy distance and its test: by hand, against scipy and loops, its invariances and its precision."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import binom, kstest, wasserstein_distance
from scipy.stats import energy_distance as scipy_energy

from dakit.metrics import fused
from dakit.metrics.energy import DistancePairs, energy_distance, energy_test
from dakit.metrics.permutation import relabellings


def samples(n=60, m=45, d=5, shift=0.3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + shift).astype(dtype)


def by_cdist(xs, xt, unbiased=False):
    xs, xt = np.asarray(xs, float), np.asarray(xt, float)
    n, m = len(xs) - unbiased, len(xt) - unbiased
    inside = cdist(xs, xs).sum() / (len(xs) * n) + cdist(xt, xt).sum() / (len(xt) * m)
    return 2 * cdist(xs, xt).mean() - inside


# -- by hand and against others -----------------------------------------------------------------------------


def test_by_hand():
    # Distances: 1 inside xs, 0 inside xt, 3, 3, 2, 2 across.
    xs, xt = [[0.0], [1.0]], [[3.0], [3.0]]
    assert energy_distance(xs, xt) == pytest.approx(2 * 2.5 - 2 / 4)
    assert energy_distance(xs, xt, unbiased=True) == pytest.approx(2 * 2.5 - 1)


def test_one_feature_against_scipy():
    xs, xt = samples(50, 70, 1)
    # scipy returns the square root of the value.
    assert energy_distance(xs, xt) == pytest.approx(scipy_energy(xs[:, 0], xt[:, 0]) ** 2, rel=1e-10)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (23, 17), (1100, 530)])  # the last over several tiles
def test_against_all_pairs(n, m, unbiased):
    xs, xt = samples(n, m)
    assert energy_distance(xs, xt, unbiased=unbiased) == pytest.approx(by_cdist(xs, xt, unbiased), rel=1e-10)


def test_point_masses_in_closed_form():
    # Two points a distance apart: 2 |a - b|, which also shows that the distance is no squared one.
    for gap in (1.0, 7.0):
        assert energy_distance(np.zeros((3, 2)), np.full((5, 2), gap)) == pytest.approx(2 * gap * 2**0.5)


def test_two_gaussians_in_closed_form():
    # In one dimension E|N(mu, s²)| = s sqrt(2/pi) exp(-mu²/2s²) + mu erf(mu / (s sqrt 2)).
    from scipy.stats import foldnorm

    xs, xt = samples(3000, 3000, 1, shift=1.0, seed=1)
    root = 2**0.5
    expected = 2 * foldnorm.mean(1 / root, scale=root) - 2 * foldnorm.mean(0, scale=root)
    assert energy_distance(xs, xt) == pytest.approx(expected, rel=0.05)


# -- invariances --------------------------------------------------------------------------------------------


def test_invariances():
    xs, xt = samples()
    value = energy_distance(xs, xt)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    assert energy_distance(xt, xs) == pytest.approx(value, rel=1e-12)
    assert energy_distance(xs[::-1], xt) == pytest.approx(value, rel=1e-12)
    assert energy_distance(xs @ rotation + 3, xt @ rotation + 3) == pytest.approx(value, rel=1e-10)
    for scale in (1e-120, 1e-30, 1e30, 1e120):
        assert energy_distance(xs * scale, xt * scale) == pytest.approx(value * scale, rel=1e-10)
    # A rounding error of 1e-16 in the square of a distance 0 is one of 1e-8 in its root.
    assert energy_distance(xs, xs) == pytest.approx(0, abs=1e-8)
    assert energy_distance(np.ones((3, 2)), np.ones((4, 2))) == 0


def test_unbiased_form_is_0_on_average_and_the_other_grows_with_the_shift():
    values = np.array([energy_distance(*samples(20, 20, 2, 0, s), unbiased=True) for s in range(400)])
    assert abs(values.mean()) < 4 * values.std() / 20
    grown = [energy_distance(*samples(300, 300, 2, shift)) for shift in (0, 0.3, 0.6, 1.2)]
    assert grown == sorted(grown)


def test_bounded_by_twice_the_transport_distance():
    xs, xt = samples(40, 60, 1)
    assert energy_distance(xs, xt) <= 2 * wasserstein_distance(xs[:, 0], xt[:, 0])


# -- precision and kinds of input ---------------------------------------------------------------------------

needs_numba = pytest.mark.skipif(fused.compiled() is None, reason="numba is not installed")


@needs_numba
@pytest.mark.parametrize("d", [16, 64])
def test_float32_is_precise(monkeypatch, d):
    monkeypatch.setattr(fused, "PAIRS_FOR_NUMBA", 0)
    xs, xt = samples(1200, 1100, d, shift=0.02, dtype=np.float32)
    assert DistancePairs(*map(torch.from_numpy, (xs, xt))).dtype == torch.float32
    single = energy_test(xs, xt, permutations=60)
    double = energy_test(xs.astype(float), xt.astype(float), permutations=60)
    assert np.abs(single.null - double.null).max() < 1e-4 * double.null.std()
    assert abs(single.statistic - double.statistic) < 2e-4 * double.null.std()
    assert energy_distance(xs, xt) == pytest.approx(by_cdist(xs, xt), rel=1e-5)


@needs_numba
@pytest.mark.parametrize("spoil", ["copies", "few features", "two groups", "one far", "one pair"])
def test_float32_where_distances_are_small(monkeypatch, spoil):
    monkeypatch.setattr(fused, "PAIRS_FOR_NUMBA", 0)
    xs, xt = samples(700, 600, 1 if spoil == "few features" else 20, dtype=np.float32)
    if spoil == "copies":
        xt[:500] = xs[:500]
    elif spoil == "two groups":
        xs[::2] += 1000
        xt[::2] += 1000
    elif spoil == "one far":
        xs[0] += 1e4
    elif spoil == "one pair":
        xt[3] = xs[5]
    exact = energy_distance(xs.astype(float), xt.astype(float), unbiased=True)
    spread = energy_test(xs.astype(float), xt.astype(float), permutations=50).null.std()
    assert abs(energy_distance(xs, xt, unbiased=True) - exact) < 1e-3 * spread


def test_kinds_of_input_agree():
    xs, xt = samples(30, 20, 12)
    value = energy_distance(xs, xt)
    assert energy_distance(torch.from_numpy(xs), xt.tolist()) == value
    assert energy_distance(xs.reshape(30, 3, 4), xt.reshape(20, 3, 4)) == value
    counts = np.random.default_rng(0).integers(0, 255, (20, 3), dtype=np.uint8)
    assert energy_distance(counts, counts[:9]) == pytest.approx(by_cdist(counts, counts[:9]), rel=1e-7)
    wide = counts.astype(np.int64) + 2**40
    assert energy_distance(wide, wide[:9]) == pytest.approx(energy_distance(counts, counts[:9]), rel=1e-7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_agrees():
    xs, xt = samples(3000, 2000, 16, dtype=np.float32)
    assert energy_distance(torch.from_numpy(xs).cuda(), xt) == pytest.approx(
        energy_distance(xs, xt), rel=1e-5
    )


# -- the test -----------------------------------------------------------------------------------------------


def test_null_against_all_pairs():
    xs, xt = samples(13, 6, shift=0.5)
    pooled = np.concatenate([xs, xt])
    result = energy_test(xs, xt, permutations=12, seed=3)
    labels = relabellings(13, 6, 12, np.random.default_rng(3)).numpy().astype(bool)
    np.testing.assert_allclose(result.null, [by_cdist(pooled[z], pooled[~z], True) for z in labels.T])
    assert result.statistic == pytest.approx(energy_distance(xs, xt, unbiased=True), rel=1e-10)


def test_pvalues_are_uniform_when_nothing_shifted():
    trials, draws = 500, 59
    rng = np.random.default_rng(0)
    p = np.empty(trials)
    for k in range(trials):
        x = rng.standard_cauchy(size=(30, 2))  # no moments are needed
        p[k] = energy_test(x[:18], x[18:], permutations=draws, seed=k).pvalue
    assert kstest(p - rng.random(trials) / (draws + 1), "uniform").pvalue > 0.01
    assert np.count_nonzero(p <= 0.05) <= binom.ppf(0.999, trials, 0.05)


def test_sees_a_change_of_spread():
    rng = np.random.default_rng(0)
    assert energy_test(rng.normal(size=(80, 3)), rng.normal(size=(80, 3)) * 2).pvalue == 1 / 201


def test_bad_input():
    xs, xt = samples(5, 5)
    for function in (energy_distance, energy_test):
        with pytest.raises(ValueError, match="at least 2 examples"):
            function(xs[:1], xt)
        with pytest.raises(ValueError, match="NaN"):
            function(xs, xt * np.nan)
        with pytest.raises(ValueError, match="same features"):
            function(xs, xt[:, :2])
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        energy_test(xs, xt, permutations=0)
