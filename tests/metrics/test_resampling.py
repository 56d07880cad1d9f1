"""Intervals by resampling: spreads against closed forms and scipy, coverage on Gaussians, copies and their harm."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from scipy.stats import bootstrap as scipy_bootstrap

from dakit.metrics import Estimate, mmd
from dakit.metrics.resampling import _rate, interval


def samples(n=40, m=60, shift=0.5, d=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def difference(xs, xt):
    return float(xt.mean() - xs.mean())


def mean_square(xs, xt):
    """Squared distance of the means without its bias."""
    gap = xt.mean(0) - xs.mean(0)
    return float((gap**2).sum() - (xs.var(0, ddof=1) / len(xs) + xt.var(0, ddof=1) / len(xt)).sum())


def covered(metric, truth, runs, *, shift, n=40, m=60, d=1, **options):
    hits = 0
    for seed in range(runs):
        low, high = interval(metric, *samples(n, m, shift, d, seed), seed=seed, **options).interval
        hits += low <= truth <= high
    return hits


# -- by hand ------------------------------------------------------------------------------------------------


def test_jackknife_by_hand():
    # Of a mean it is the usual standard error: var / n with n - 1 degrees of freedom, for either sample.
    xs, xt = np.array([[0.0], [1.0], [2.0], [5.0]]), np.array([[1.0], [1.0], [3.0], [7.0]])
    found = interval(difference, xs, xt, method="jackknife", level=0.9)
    stderr = np.sqrt(xs.var(ddof=1) / 4 + xt.var(ddof=1) / 4)
    assert found == Estimate(1.0, pytest.approx(stderr), found.interval, 0.9, "jackknife")
    assert found.interval == pytest.approx((1 - norm.ppf(0.95) * stderr, 1 + norm.ppf(0.95) * stderr))
    paired = interval(difference, xs, xt, method="jackknife", paired=True)
    assert paired.stderr == pytest.approx((xt - xs).std(ddof=1) / 2)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.75])
def test_subsampling_has_the_standard_error_of_a_mean_whatever_the_fraction(fraction):
    xs, xt = samples(40, 60)
    found = interval(difference, xs, xt, fraction=fraction, resamples=4000)
    true = np.sqrt(xs.var(ddof=1) / 40 + xt.var(ddof=1) / 60)
    assert found.stderr == pytest.approx(true, rel=0.05)
    low, high = found.interval
    assert high - low == pytest.approx(2 * norm.ppf(0.975) * true, rel=0.06)
    assert low < found.value == difference(xs, xt) < high


def test_an_estimated_rate_by_hand():
    # Variance C (size^-2r - 1) at shares 1/2 and 1/4.
    for rate in (0.3, 0.5, 1.0):
        unit = np.array([-1.0, 1.0])
        large, small = (unit * np.sqrt(f ** (-2 * rate) - 1) for f in (0.5, 0.25))
        assert _rate(large, small, 0.5) == pytest.approx(rate, abs=0.003)


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "name"), [("bootstrap", "percentile"), ("bca", "BCa")])
def test_bootstraps_are_scipys(method, name):
    xs, xt = samples()
    ours = interval(difference, xs, xt, method=method, resamples=300, seed=5)
    theirs = scipy_bootstrap(
        (xs[:, 0], xt[:, 0]), lambda a, b: b.mean() - a.mean(), n_resamples=300, method=name,
        vectorized=False, rng=np.random.default_rng(5),
    )  # fmt: skip
    assert ours.interval == pytest.approx(tuple(theirs.confidence_interval))
    assert ours.stderr == pytest.approx(theirs.standard_error)


@pytest.mark.parametrize("method", ["subsampling", "bootstrap", "jackknife"])
def test_pairs_stay_together(method):
    # Common noise drops out of the difference only if rows are drawn in pairs.
    rng = np.random.default_rng(0)
    common = 10 * rng.normal(size=(50, 1))
    xs, xt = common + rng.normal(size=(50, 1)), common + rng.normal(size=(50, 1)) + 1
    together = interval(difference, xs, xt, method=method, paired=True, resamples=300).stderr
    apart = interval(difference, xs, xt, method=method, resamples=300).stderr
    assert together == pytest.approx((xt - xs).std(ddof=1) / np.sqrt(50), rel=0.12)
    assert apart > 5 * together


# -- coverage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["subsampling", "bootstrap", "jackknife"])
def test_coverage_of_a_difference_of_means(method):
    runs = 200
    hits = covered(difference, 0.5, runs, shift=0.5, method=method, resamples=100, level=0.9)
    low, high = binom.ppf([0.0005, 0.9995], runs, 0.9)
    # 40 rows: estimated variances and quantiles of 100 draws cost about two points.
    assert low - 0.02 * runs <= hits <= high


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.0])
def test_subsampling_covers_a_squared_distance_near_zero_and_far_from_it(shift):
    runs = 200
    hits = covered(mean_square, 2 * shift**2, runs, shift=shift, d=2, resamples=100, level=0.9)
    assert hits >= binom.ppf(0.0005, runs, 0.9) - 0.02 * runs


def test_subsampling_covers_the_kernel_distance_of_gaussians():
    # E exp(-|z|²/b) of z = x - y, normal with variance 2 and mean mu: (1 + 4/b)^(-d/2) exp(-|mu|²/(b + 4)).
    runs, b, shift = 80, 2.0, 0.7
    truth = 2 * (1 + 4 / b) ** -1 * (1 - np.exp(-2 * shift**2 / (b + 4)))
    options = {"bandwidths": b, "resamples": 60, "level": 0.9}
    hits = covered(mmd, truth, runs, shift=shift, n=40, m=40, d=2, **options)
    assert hits >= binom.ppf(0.0005, runs, 0.9) - 0.02 * runs


def test_copies_make_the_bootstrap_wrong_for_distances_of_pairs():
    # Over bootstrap samples the mean is the distance that counts the pairs of a point and itself.
    raised, unmoved, expected = np.zeros((3, 20))
    for seed in range(20):
        pair = samples(40, 40, 0.0, 2, seed)
        for found, method in ((raised, "bootstrap"), (unmoved, "subsampling")):
            seen = []
            interval(lambda a, b, seen=seen: seen.append(mmd(a, b, bandwidths=2.0)) or seen[-1], *pair,
                     method=method, resamples=60, seed=seed)  # fmt: skip
            found[seed] = np.mean(seen[1:]) - seen[0]
        expected[seed] = mmd(*pair, bandwidths=2.0, unbiased=False) - mmd(*pair, bandwidths=2.0)
    # 20 x 60 values, each with a standard deviation of about 0.02.
    assert raised.mean() == pytest.approx(expected.mean(), abs=4 * 0.02 / np.sqrt(1200))
    assert unmoved.mean() == pytest.approx(0, abs=4 * 0.02 / np.sqrt(1200))
    assert expected.mean() == pytest.approx((1 - 1 / 3) * 2 / 40, rel=0.1)  # mean k = 1 / (1 + 4/b)


def test_an_estimated_rate_narrows_the_interval_where_the_distributions_are_equal():
    widths, found = np.zeros(2), []
    for seed in range(10):
        pair = samples(60, 60, 0.0, 2, seed)
        for i, rate in enumerate((0.5, "estimate")):
            e = interval(mean_square, *pair, rate=rate, resamples=300, seed=seed)
            widths[i] += np.diff(e.interval)[0]
            found.append(e.method)
    assert widths[1] < 0.8 * widths[0]
    assert found[0] == "subsampling, rate 0.5"


# -- limits, invariances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["subsampling", "bootstrap", "bca", "jackknife"])
def test_a_constant_metric_has_no_spread(method):
    found = interval(lambda a, b: 3.0, *samples(), method=method, resamples=20)
    assert (found.value, found.stderr, found.interval) == (3.0, 0.0, (3.0, 3.0))


def test_tensors_images_and_labels():
    xs, xt = samples(20, 20, d=6)
    of_arrays = interval(mmd, xs, xt, bandwidths=2.0, resamples=20)
    of_tensors = interval(mmd, torch.tensor(xs), torch.tensor(xt), bandwidths=2.0, resamples=20)
    assert of_tensors.interval == pytest.approx(of_arrays.interval)
    images = interval(mmd, xs.reshape(20, 1, 2, 3), xt.reshape(20, 1, 2, 3), bandwidths=2.0, resamples=20)
    assert images.interval == of_arrays.interval
    labels = np.array([0, 1] * 10)
    agreement = interval(lambda a, b: (a == b).mean(), labels, labels, paired=True, resamples=20)
    assert agreement.interval == (1.0, 1.0)


def test_seed_decides_and_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for method in ("subsampling", "bootstrap"):
        a, again, b = (
            interval(difference, *samples(), method=method, resamples=20, seed=s) for s in (0, 0, 1)
        )
        assert a == again and a.interval != b.interval and a.value == b.value
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    xs, xt = samples(8, 9)
    with pytest.raises(
        ValueError, match="method must be one of subsampling, bootstrap, bca, jackknife, got 'boot'"
    ):
        interval(difference, xs, xt, method="boot")
    with pytest.raises(ValueError, match="xs needs at least 4 examples, got 3"):
        interval(difference, xs[:3], xt)
    with pytest.raises(ValueError, match="1 of the 9 examples of xt hold NaN"):
        interval(difference, xs, np.where(np.arange(9)[:, None] == 2, np.nan, xt))
    with pytest.raises(ValueError, match="paired samples have equally many rows, got 8 and 9"):
        interval(difference, xs, xt, paired=True)
    with pytest.raises(ValueError, match="the metric gave nan on 8 and 9 rows"):
        interval(lambda a, b: np.nan, xs, xt)
    with pytest.raises(ValueError, match="resamples must be at least 20, got 5"):
        interval(difference, xs, xt, resamples=5)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1, got 95"):
        interval(difference, xs, xt, level=95)
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\] or be 'estimate', got 2"):
        interval(difference, xs, xt, rate=2)
    with pytest.raises(ValueError, match=r"a fraction of 0\.1 of 8 examples leaves 1"):
        interval(difference, xs, xt, fraction=0.1)
    with pytest.raises(ValueError, match="xs must hold one example per row, got a single number"):
        interval(difference, 1.0, xt)
