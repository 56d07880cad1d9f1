"""Where samples differ: witness function and ranking of features."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance, ks_2samp

from dakit.metrics import median_heuristic, mmd, rank_features, witness
from tests.metrics.nulls import assert_never_too_small, assert_uniform

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def samples(n=40, m=30, d=3, shift=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


# -- witness ------------------------------------------------------------------------------------------------


def gauss(a, b, bandwidths):
    return np.mean([np.exp(-cdist(a, b, "sqeuclidean") / w) for w in bandwidths], axis=0)


@pytest.mark.parametrize(("n", "m"), [(40, 30), (700, 530)])  # one tile, and several
def test_witness_by_its_kernel_matrix(n, m):
    xs, xt = samples(n, m)
    five = [median_heuristic(xs, xt) * r for r in (0.25, 0.5, 1, 2, 4)]
    x = np.r_[xs, xt]
    k = gauss(x, x, five)
    np.fill_diagonal(k, 0)
    source, target = np.arange(n + m) < n, np.arange(n + m) >= n
    expected = k[:, :n].sum(1) / (n - source) - k[:, n:].sum(1) / (m - target)
    found = witness(xs, xt)
    np.testing.assert_allclose(found.values, expected, rtol=1e-8, atol=1e-12)
    assert found.values[:n].mean() - found.values[n:].mean() == pytest.approx(mmd(xs, xt), abs=1e-10)
    at = np.random.default_rng(1).normal(size=(17, 3))
    elsewhere = witness(xs, xt, at=at)
    expected = gauss(at, xs, five).mean(1) - gauss(at, xt, five).mean(1)
    np.testing.assert_allclose(elsewhere.values, expected, rtol=1e-8, atol=1e-12)
    assert elsewhere.n is None


@pytest.mark.parametrize("kernel", ["laplace", "imq", lambda a, b: torch.exp(-(torch.cdist(a, b) ** 2) / 2)])
def test_other_kernels(kernel):
    xs, xt = samples()
    found = witness(xs, xt, kernel=kernel)
    assert found.values[:40].mean() - found.values[40:].mean() == pytest.approx(mmd(xs, xt, kernel=kernel))
    assert witness(xs, xt, kernel=kernel, at=xs[:3]).values.shape == (3,)


def test_peaks_are_where_the_samples_differ():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(100, 2)), rng.normal(size=(90, 2))
    # Clusters of a quarter of a sample, which the other lacks; single far points would not weigh enough.
    xs[::4] = 8 + xs[::4] / 4
    xt[1::4] = xt[1::4] / 4 - 8
    found = witness(xs, xt)
    assert set(found.source_peaks(25)) == set(range(0, 100, 4))
    assert set(found.target_peaks(22)) <= set(range(1, 90, 4))
    at = witness(xs, xt, at=[[8.0, 8.0], [0.0, 0.0], [-8.0, -8.0]])
    assert at.source_peaks(1).tolist() == [0] and at.target_peaks(1).tolist() == [2]


@pytest.mark.parametrize("device", DEVICES)
def test_precisions_and_exchange(device):
    xs, xt = samples()
    value = witness(xs, xt).values
    single = witness(*(torch.from_numpy(x).float().to(device) for x in (xs, xt))).values
    np.testing.assert_allclose(single, value, atol=1e-6)
    exchanged = witness(xt, xs).values
    np.testing.assert_allclose(-np.r_[exchanged[30:], exchanged[:30]], value, atol=1e-12)
    one = witness(xs, xt, at=torch.from_numpy(xs[:1]).to(device))
    assert one.values.shape == (1,)


def test_bad_points():
    xs, xt = samples()
    with pytest.raises(ValueError, match="at must have the 3 features of the samples, got 2"):
        witness(xs, xt, at=np.ones((4, 2)))
    with pytest.raises(ValueError, match="at must have shape"):
        witness(xs, xt, at=np.ones(3))
    with pytest.raises(ValueError, match="bandwidths must be positive"):
        witness(xs, xt, bandwidths=0)


# -- ranking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounded", [False, True])
def test_statistics_against_scipy(rounded):
    xs, xt = samples()
    if rounded:
        xs, xt = xs.round(), xt.round()
    found = rank_features(xs, xt, permutations=2)
    expected = [ks_2samp(a, b).statistic for a, b in zip(xs.T, xt.T)]
    np.testing.assert_allclose(found.statistics, expected)
    assert found.order.tolist() == np.argsort(-np.array(expected), kind="stable").tolist()
    energy = rank_features(xs, xt, statistic="energy", permutations=2)
    spread = np.r_[xs, xt].std(0)
    expected = [energy_distance(a, b) ** 2 / s for a, b, s in zip(xs.T, xt.T, spread)]  # scipy's is the root
    np.testing.assert_allclose(energy.statistics, expected)


@pytest.mark.parametrize("statistic", ["ks", "energy"])
def test_pvalues_when_nothing_shifted(statistic):
    rng = np.random.default_rng(0)
    family, single = [], []
    for seed in range(500):
        x = rng.normal(size=(40, 4)) + rng.normal(size=(40, 1))
        found = rank_features(x[:22], x[22:], statistic=statistic, permutations=39, seed=seed)
        family.append(found.pvalues.min())
        single.append(found.raw_pvalues[0])
    assert_never_too_small(family)
    assert_never_too_small(single)
    if statistic == "energy":  # no ties: exactly uniform
        assert_uniform(family, 39)
        assert_uniform(single, 39)


def test_features_that_did_not_move_are_rejected_no_more_often_beside_one_that_did():
    rng = np.random.default_rng(0)
    p = []
    for seed in range(500):
        x = rng.normal(size=(40, 4))
        x[20:, 0] += 3
        found = rank_features(x[:20], x[20:], permutations=39, seed=seed)
        assert found.order[0] == 0
        p.append(found.pvalues[1:].min())
    assert_never_too_small(p)


def test_power_rises():
    def rejections(shift):
        found = 0
        for seed in range(30):
            xs, xt = samples(40, 40, 5, 0.0, seed)
            xt[:, 3] += shift
            found += rank_features(xs, xt, permutations=59, seed=seed).pvalues[3] <= 0.05
        return found

    found = [rejections(shift) for shift in (0.0, 0.7, 1.4)]
    assert found == sorted(found)
    assert found[0] <= 5 and found[-1] >= 27


def test_constants_names_and_bounds():
    xs, xt = samples(shift=9)
    xs[:, 1] = xt[:, 1] = 0.1
    for statistic in ("ks", "energy"):
        found = rank_features(xs, xt, names=["a", "b", "c"], permutations=19, statistic=statistic)
        assert found.statistics[1] == 0 and found.pvalues[1] == found.raw_pvalues[1] == 1
        assert found.pvalues[0] == found.raw_pvalues[2] == 1 / 20  # never 0
        assert found.table()["feature"].tolist()[-1] == "b"
    assert (found.pvalues >= found.raw_pvalues).all()
    tensors = rank_features(*(torch.from_numpy(x) for x in (xs, xt)), permutations=19, statistic="energy")
    np.testing.assert_array_equal(tensors.pvalues, found.pvalues)
    huge = rank_features(xs * 1e30, xt * 1e30, permutations=19, statistic="energy")
    np.testing.assert_allclose(huge.statistics, found.statistics)


def test_bad_options():
    xs, xt = samples()
    with pytest.raises(ValueError, match="statistic must be 'ks' or 'energy', got 'mmd'"):
        rank_features(xs, xt, statistic="mmd")
    with pytest.raises(ValueError, match="permutations must be at least 1"):
        rank_features(xs, xt, permutations=0)
    with pytest.raises(ValueError, match="one name per feature, 3, got 1"):
        rank_features(xs, xt, names=["a"])
    with pytest.raises(ValueError, match="NaN"):
        rank_features(xs, xt * np.nan)
