"""Power curves: sizes and rates against closed forms, intervals, and the size that is enough."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, norm

from dakit.metrics import mmd_test
from dakit.metrics.power import PowerCurve, drawn_from, power_curve


def z_test(xs, xt):
    """Two-sided, known variance 1: its power has a closed form."""
    z = (np.mean(xt) - np.mean(xs)) / np.sqrt(1 / len(xs) + 1 / len(xt))
    return 2 * norm.sf(abs(z))


def gaussians(severity, size, rng):
    return rng.normal(size=(size, 1)), rng.normal(size=(size, 1)) + severity


def curve_of(rates, sizes, severities=(1.0,)):
    rate = np.atleast_2d(rates).astype(float)
    return PowerCurve(np.array(severities), np.array(sizes), rate, rate, rate, 0.05, 10)


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    curve = power_curve(
        lambda xs, xt: xt, lambda s, n, rng: (0, s / n), severities=[0.0, 1.0], sizes=[1, 40], trials=3
    )
    np.testing.assert_array_equal(curve.rate, [[1, 1], [0, 1]])
    np.testing.assert_array_equal(curve.pvalues[1, 1], [1 / 40] * 3)
    assert curve.rows()[2] == {
        "severity": 1.0,
        "size": 1,
        "rate": 0.0,
        "low": curve.low[1, 0],
        "high": curve.high[1, 0],
    }
    first, second, third = str(curve).splitlines()
    assert "n = 1" in first and "n = 40" in first and "1.00" in second and third.split()[:2] == ["1", "0.00"]


def test_enough_examples_by_hand():
    assert curve_of([0.2, 0.7, 0.9], [10, 100, 1000]).size_for(0.8)[0] == pytest.approx(np.sqrt(100 * 1000))
    assert curve_of([0.9, 1.0], [10, 20]).size_for(0.8)[0] == pytest.approx(10)
    assert np.isnan(curve_of([0.1, 0.2], [10, 20]).size_for(0.8)[0])
    # Out of order by chance: 0.85 and 0.75 count as 0.8 each.
    assert curve_of([0.2, 0.85, 0.75, 0.9], [10, 20, 40, 80]).size_for(0.8)[0] == pytest.approx(20)
    assert curve_of([0.9, 0.7, 0.2], [1000, 100, 10]).size_for(0.8)[0] == pytest.approx(np.sqrt(100 * 1000))


# -- independent references ---------------------------------------------------------------------------------


def test_rates_agree_with_the_closed_form_of_a_z_test():
    trials, alpha = 1000, 0.05
    curve = power_curve(
        z_test, gaussians, severities=[0, 0.3, 0.6], sizes=[20, 60], trials=trials, alpha=alpha
    )
    for row in curve.rows():
        shift, z = row["severity"] * np.sqrt(row["size"] / 2), norm.isf(alpha / 2)
        true = norm.sf(z - shift) + norm.cdf(-z - shift)
        low, high = binom.ppf([0.0005, 0.9995], trials, true) / trials
        assert low <= row["rate"] <= high
    # n = 2 ((z + z_power) / shift)², without the far tail.
    needed = 2 * ((norm.isf(alpha / 2) + norm.isf(0.2)) / 0.6) ** 2
    assert curve.size_for(0.8)[2] == pytest.approx(needed, rel=0.12)
    assert np.isnan(curve.size_for(0.8)[0])


def test_intervals_are_wilsons_of_scipy():
    curve = power_curve(z_test, gaussians, severities=[0, 0.4, 3], sizes=[25], trials=40, level=0.9)
    for row in curve.rows():
        found = binomtest(round(row["rate"] * 40), 40).proportion_ci(0.9, "wilson")
        assert (row["low"], row["high"]) == pytest.approx((found.low, found.high), abs=1e-12)


def test_the_kernel_test_keeps_its_level_and_gains_power():
    trials = 150
    curve = power_curve(
        mmd_test,
        gaussians,
        severities=[0, 0.5, 1.0],
        sizes=[20, 40],
        trials=trials,
        permutations=39,
        bandwidths=1.0,
    )
    assert (curve.rate[0] * trials <= binom.ppf(0.999, trials, 0.05)).all()
    assert (np.diff(curve.rate, axis=0) > 0).all() and curve.rate[2, 1] > 0.8
    assert (curve.rate[1:, 1] > curve.rate[1:, 0]).all()


# -- what makes it a fair comparison ------------------------------------------------------------------------


def test_a_cell_does_not_depend_on_the_other_cells():
    one = power_curve(z_test, gaussians, severities=[0.5], sizes=[30], trials=8)
    many = power_curve(z_test, gaussians, severities=[0, 0.25, 0.5], sizes=[10, 30], trials=12)
    np.testing.assert_array_equal(one.pvalues[0, 0], many.pvalues[2, 1, :8])
    again = power_curve(z_test, gaussians, severities=[0.5], sizes=[30], trials=8, seed=1)
    assert (one.pvalues != again.pvalues).all()


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    power_curve(z_test, gaussians, severities=[0], sizes=[10], trials=3)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_rows_are_drawn_once_and_mixed_as_asked(kind):
    xs, xt = kind(np.arange(40.0)[:, None]), kind(np.arange(100.0, 120.0)[:, None])
    make = drawn_from(xs, xt)
    a, b = make(0.3, 20, np.random.default_rng(0))
    assert type(a) is type(b) is type(xs) and len(a) == len(b) == 20
    everything = np.concatenate([a, b]).ravel()
    assert len(np.unique(everything)) == 40
    assert (np.asarray(b) >= 100).sum() == 6
    a, b = drawn_from(xs, shift=lambda rows, s: rows + 1000 * s)(2.0, 20, np.random.default_rng(0))
    assert float(b.min()) >= 2000 and float(a.max()) < 40


def test_a_mixture_of_equal_data_rejects_as_rarely_as_stated():
    x = np.random.default_rng(0).normal(size=(400, 1))
    curve = power_curve(z_test, drawn_from(x[:200], x[200:] * 1), severities=[0.0], sizes=[50], trials=400)
    assert curve.rate[0, 0] <= binom.ppf(0.999, 400, 0.05) / 400


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    with pytest.raises(TypeError, match="p-value or an object with a pvalue, got str"):
        power_curve(lambda a, b: "no", gaussians, trials=1)
    with pytest.raises(ValueError, match=r"gave the p-value 1\.5, which is outside"):
        power_curve(lambda a, b: 1.5, gaussians, trials=1)
    with pytest.raises(ValueError, match="gave the p-value nan"):
        power_curve(lambda a, b: float("nan"), gaussians, trials=1)
    with pytest.raises(ValueError, match="trials must be at least 1, got 0"):
        power_curve(z_test, gaussians, trials=0)
    with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1, got 1"):
        power_curve(z_test, gaussians, alpha=1)
    with pytest.raises(ValueError, match="sizes must be a non-empty series of integers"):
        power_curve(z_test, gaussians, sizes=[2.5])
    with pytest.raises(ValueError, match="severities must be a non-empty series of finite numbers"):
        power_curve(z_test, gaussians, severities=[np.nan])
    with pytest.raises(TypeError, match="exactly one of xt and shift"):
        drawn_from(np.zeros((4, 1)))
    with pytest.raises(ValueError, match="two samples of 3 need 6 rows of xs, which has 4"):
        drawn_from(np.zeros((4, 1)), np.zeros((4, 1)))(0.5, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 2"):
        drawn_from(np.zeros((9, 1)), np.zeros((4, 1)))(2, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="power must lie strictly between 0 and 1, got 1"):
        curve_of([0.1], [10]).size_for(1)
