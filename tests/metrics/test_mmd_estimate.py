"""MMD² with an error bar: each estimator against all pairs, the coverage of its interval, large samples."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from dakit.metrics import mmd
from dakit.metrics.mmd_estimate import mmd_estimate
from dakit.metrics.random_features import _frequencies

METHODS = ("exact", "block", "rff", "subsample", "linear")


def samples(n=120, m=90, d=3, shift=0.5, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + shift).astype(dtype)


def truth(d, bandwidth, shift):
    """MMD² of N(0, I) and N(shift, I) in closed form."""
    inside = (bandwidth / (bandwidth + 4)) ** (d / 2)
    return 2 * inside * (1 - math.exp(-d * shift**2 / (bandwidth + 4)))


# -- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq", "poly"])
def test_exact_is_the_mmd(kernel):
    xs, xt = samples()
    found = mmd_estimate(xs, xt, kernel=kernel)
    assert found.method == "exact"
    assert found.value == pytest.approx(mmd(xs, xt, kernel=kernel), rel=1e-9)
    assert found.interval[0] < found.value < found.interval[1]


@pytest.mark.parametrize("method", ["block", "linear"])
def test_one_block_or_pair_by_hand(method):
    # Blocks of 2 + 2 examples: both methods are then a mean over the same kind of four points, and unbiased.
    xs, xt = samples(4000, 4000, 2)
    found = mmd_estimate(xs, xt, method=method, bandwidths=4.0, block_size=2)
    assert abs(found.value - truth(2, 4.0, 0.5)) < 4 * found.stderr


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
def test_frequencies_have_the_kernel_as_their_characteristic_function(kernel):
    x = np.array([[1.0, 0.5, -0.3]])
    square = float(np.square(x).sum())
    expected = {"rbf": math.exp(-square / 2), "laplace": math.exp(-((square / 2) ** 0.5))}
    expected["imq"] = 1 / math.sqrt(1 + square / 2)
    waves = np.cos(_frequencies(kernel, 2.0, 40_000, 3, np.random.default_rng(0)) @ x.T)
    assert abs(waves.mean() - expected[kernel]) < 4 * waves.std() / 200


def test_many_features_tend_to_all_pairs():
    xs, xt = samples()
    bandwidths = [2.0, 4.0, 16.0]
    exact = mmd(xs, xt, bandwidths=bandwidths)
    errors = [
        np.mean(
            [
                abs(
                    mmd_estimate(xs, xt, method="rff", bandwidths=bandwidths, features=r, seed=s).value
                    - exact
                )
                for s in range(8)
            ]
        )
        for r in (12, 300, 7500)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


# -- the interval -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_interval_covers_the_truth(method, shift):
    # Not less often than promised; more often is no error, but not by a bar several times too long.
    trials, d, b, level = 150, 2, 4.0, 0.9
    n, options = 60, {"block_size": 8, "features": 60, "points": 40}
    if method in ("block", "linear"):
        n = 200  # their bars rest on the number of blocks or pairs
    found = [
        mmd_estimate(
            *samples(n, n, d, shift, seed=s), method=method, level=level, bandwidths=b, seed=s, **options
        )
        for s in range(trials)
    ]
    covered = sum(f.interval[0] <= truth(d, b, shift) <= f.interval[1] for f in found)
    assert covered >= binom.ppf(0.001, trials, level)
    values = np.array([f.value for f in found])
    assert abs(values.mean() - truth(d, b, shift)) < 4 * values.std() / math.sqrt(trials)
    assert 0.75 < np.mean([f.stderr for f in found]) / values.std() < 2


def test_a_higher_level_is_a_wider_interval():
    xs, xt = samples()
    narrow, wide = (mmd_estimate(xs, xt, level=level).interval for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


# -- where and how large ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_seed_dtype_and_kind_of_input(method):
    xs, xt = samples()
    found = mmd_estimate(xs, xt, method=method, points=50)
    assert mmd_estimate(torch.from_numpy(xs), xt.tolist(), method=method, points=50) == found
    single = mmd_estimate(xs.astype(np.float32), xt.astype(np.float32), method=method, points=50)
    assert single.value == pytest.approx(found.value, rel=1e-3)
    assert single.stderr == pytest.approx(found.stderr, rel=1e-3)
    other = mmd_estimate(xs, xt, method=method, points=50, seed=1)
    assert (other.value == found.value) == (method == "exact")


@pytest.mark.parametrize("method", METHODS)
def test_huge_equal_and_whole_numbers(method):
    xs, xt = samples()
    expected = mmd_estimate(xs, xt, method=method)
    huge = mmd_estimate(xs * 1e100, xt * 1e100, method=method)
    assert huge.value == pytest.approx(expected.value, rel=1e-6)
    same = mmd_estimate(np.ones((20, 2)), np.ones((30, 2)), method=method, bandwidths=1.0)
    assert same.value == pytest.approx(0, abs=1e-12)
    counts = np.random.default_rng(0).integers(0, 9, (40, 2))
    assert math.isfinite(mmd_estimate(counts[:20], counts[20:], method=method).stderr)


def test_a_million_rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1_000_000, 2), dtype=np.float32)
    found = mmd_estimate(x[:900_000], x[900_000:], bandwidths=4.0, block_size=64)
    assert found.method == "block"
    assert found.interval[0] < 0 < found.interval[1]
    # It uses many more pairs than one of each example.
    assert found.stderr < mmd_estimate(x[:900_000], x[900_000:], bandwidths=4.0, method="linear").stderr / 2


def test_very_unequal_sizes():
    xs, xt = samples(70_000, 30, 2, shift=1.0, dtype=np.float32)
    found = mmd_estimate(xs, xt, bandwidths=4.0)
    assert abs(found.value - truth(2, 4.0, 1.0)) < 4 * found.stderr


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nystrom"}, "method must be 'auto', 'exact'"),
        ({"level": 1.0}, "level must lie between 0 and 1, got 1.0"),
        ({"block_size": 1}, "block_size must be at least 2, got 1"),
        ({"features": 0}, "features must be at least 10"),
        ({"points": 3}, "points must be at least 10"),
        ({"method": "rff", "kernel": "poly"}, "kernel must be 'rbf'"),
        ({"bandwidths": 0.0}, "bandwidths must be positive"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        mmd_estimate(*samples(), **options)


def test_bad_samples():
    xs, xt = samples()
    with pytest.raises(ValueError, match="xs needs at least 10 examples, got 9"):
        mmd_estimate(xs[:9], xt)
    with pytest.raises(ValueError, match="NaN"):
        mmd_estimate(xs, xt * np.nan)
