"""Drift over time: charts against hand recursions, false alarms within their stated rate, delays, streams in pieces."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest

from dakit.metrics import mmd
from dakit.metrics.alarms import alarm_threshold
from dakit.metrics.control_charts import Cusum, PageHinkley, chart_statistic
from dakit.metrics.monitoring import DriftMonitor, KernelDistance

CHARTS = [Cusum(), PageHinkley()]
FAST = {"resamples": 200, "simulations": 1000}


def rise(reference, window):
    """A metric that is quick: the mean of the first feature."""
    return window[:, 0].mean() - reference[:, 0].mean()


def normal(n, d=1, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def share_of_alarms(runs, windows, *, draw=normal, rows=400, size=20, step=None, **options):
    alarms, pvalues = 0, []
    for seed in range(runs):
        x = draw(rows + size + (windows - 1) * (step or size), seed=seed)
        monitor = DriftMonitor(
            x[:rows], window=size, step=step, horizon=windows, seed=seed, **FAST, **options
        )
        found = monitor.update(x[rows:])
        assert len(found.times) == windows
        alarms += found.alarm is not None
        pvalues.append(found.pvalues[-1])
    return alarms, np.array(pvalues)


# -- charts -------------------------------------------------------------------------------------------------


def test_cusum_by_hand_and_against_a_loop():
    assert chart_statistic([1, -5, 2, 2], Cusum(0.5)).tolist() == [0.5, 0.0, 1.5, 3.0]
    z, s, expected = normal(200)[:, 0], 0.0, []
    for value in z:
        s = max(0.0, s + value - 0.25)
        expected.append(s)
    np.testing.assert_allclose(chart_statistic(z, Cusum(0.25)), expected)


def test_page_hinkley_by_hand_and_against_a_loop():
    # Means 1, 0, 1; m = -0.5, -1.5 - 0.5 + 0.5 ...: deviations 0, -1, 2, each less 0.5.
    assert chart_statistic([1, -1, 3], PageHinkley(0.5)).tolist() == [0.0, 0.0, 1.5]
    z = normal(200)[:, 0]
    m = [sum(z[i] - np.mean(z[: i + 1]) - 0.1 for i in range(t + 1)) for t in range(200)]
    expected = [m[t] - min(0.0, *m[: t + 1]) for t in range(200)]
    np.testing.assert_allclose(chart_statistic(z, PageHinkley(0.1)), expected, atol=1e-12)


def test_page_hinkley_forgives_a_level_and_cusum_does_not():
    z = np.full(50, 1.0)
    assert chart_statistic(z, PageHinkley()).max() == 0
    assert chart_statistic(z, Cusum()).max() == 25


@pytest.mark.parametrize("chart", CHARTS)
def test_runs_side_by_side_are_the_same_runs(chart):
    z = normal(30, 4)
    state = chart.start(4)
    for row in z:
        state, statistic = chart.step(state, row)
    np.testing.assert_allclose(statistic, [chart_statistic(column, chart)[-1] for column in z.T])


# -- thresholds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chart", CHARTS)
def test_a_threshold_from_many_windows_is_exceeded_as_often_as_stated(chart):
    runs, horizon = 1000, 40
    threshold = alarm_threshold(normal(5000)[:, 0], chart, horizon=horizon, false_alarm=0.1, simulations=5000)
    state, most = chart.start(runs), np.zeros(runs)
    for row in normal(horizon, runs, seed=1):
        state, statistic = chart.step(state, row)
        most = np.maximum(most, statistic)
    # The threshold has the error of 5,000 simulations, and of 5,000 values: half a point each.
    low, high = binom.ppf([0.0005, 0.9995], runs, [0.09, 0.11])
    assert low <= np.count_nonzero(most > threshold) <= high


def test_thresholds_rise_with_the_horizon_with_rarer_alarms_and_with_less_knowledge():
    z = normal(2000)[:, 0]
    base = alarm_threshold(z, Cusum(), horizon=50)
    assert alarm_threshold(z, Cusum(), horizon=200) > base
    assert alarm_threshold(z, Cusum(), horizon=50, false_alarm=0.01) > base
    assert alarm_threshold(z, Cusum(), horizon=50, independent=10) > base
    assert alarm_threshold(3 * z + 7, Cusum(), horizon=50) == pytest.approx(base)


# -- the monitor --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("rows", [200, 400])
def test_false_alarms_are_as_rare_as_stated(chart, rows):
    runs = 150
    alarms, pvalues = share_of_alarms(runs, 25, metric=rise, chart=chart, rows=rows)
    assert alarms <= binom.ppf(0.999, runs, 0.05)
    assert kstest(pvalues, "uniform").pvalue > 0.001


def test_false_alarms_of_the_kernel_distance_and_of_sliding_windows():
    runs = 20
    alarms, _ = share_of_alarms(runs, 15, false_alarm=0.2, draw=lambda n, seed: normal(n, 2, seed))
    assert alarms <= binom.ppf(0.999, runs, 0.2)
    alarms, _ = share_of_alarms(2 * runs, 60, false_alarm=0.2, metric=rise, step=10)
    assert alarms <= binom.ppf(0.999, 2 * runs, 0.2)


def test_dependent_rows_break_the_promise():
    def autoregressive(n, seed):
        x = normal(n, seed=seed)
        for t in range(1, n):
            x[t] += 0.7 * x[t - 1]
        return x

    runs = 30
    alarms, _ = share_of_alarms(runs, 25, metric=rise, draw=autoregressive)
    assert alarms > binom.ppf(0.999, runs, 0.05)


@pytest.mark.parametrize("chart", CHARTS)
def test_larger_shifts_are_found_sooner(chart):
    def mean_delay(shift):
        delays = []
        for seed in range(15):
            x = normal(400 + 200 + 1000, seed=seed)
            x[600:] += shift
            found = DriftMonitor(x[:400], window=20, metric=rise, chart=chart, seed=seed, **FAST).update(
                x[400:]
            )
            delay = found.delay(200)
            if found.alarm is None or found.alarm > 200:  # leaves out false alarms
                delays.append(1000 if delay is None else delay)
        return np.mean(delays)

    found = [mean_delay(shift) for shift in (0.25, 0.5, 1.0, 2.0)]
    assert found == sorted(found, reverse=True) and found[-1] <= 60 and len(set(found)) == 4


def test_gradual_drift_is_found_later_than_a_jump():
    jump, slope = normal(1400, 2), normal(1400, 2)
    jump[600:] += 1.0
    slope[600:] += np.minimum(1.0, np.arange(800) / 600)[:, None]
    delays = [
        DriftMonitor(x[:400], window=20, horizon=50, resamples=200).update(x[400:]).delay(200)
        for x in (jump, slope)
    ]
    assert 0 < delays[0] < delays[1] < 800


def test_the_default_metric_is_the_unbiased_mmd():
    x, w = torch.tensor(normal(300, 3)), torch.tensor(normal(40, 3, seed=1))
    fixed = KernelDistance(x, [1.0, 3.0])
    assert fixed(w) == pytest.approx(mmd(x, w, bandwidths=[1.0, 3.0]), rel=1e-9)
    monitor = DriftMonitor(x.numpy(), window=20, resamples=20)
    anchor = monitor._metric.reference
    assert len(anchor) == 150
    squares = np.square(x[:, None] - x).sum(2).numpy()[np.triu_indices(300, 1)]
    assert monitor._metric.bandwidths[2] == pytest.approx(np.median(squares), rel=0.01)
    np.testing.assert_allclose(
        monitor.update(w).values,
        [mmd(anchor, w[i : i + 20], bandwidths=monitor._metric.bandwidths) for i in (0, 20)],
    )


@pytest.mark.parametrize("step", [20, 7])
def test_pieces_of_any_length_give_what_the_whole_gives(step):
    x = normal(600)
    x[450:] += 1
    whole, pieces = (DriftMonitor(x[:300], window=20, step=step, metric=rise, **FAST) for _ in range(2))
    expected = whole.update(x[300:])
    found = [pieces.update(x[a:b]) for a, b in [(300, 301), (301, 319), (319, 320), (320, 377), (377, 600)]]
    assert len(found[0].times) == len(found[1].times) == 0 and found[2].times.tolist() == [20]
    for name in ("times", "values", "pvalues", "statistic"):
        np.testing.assert_array_equal(
            getattr(expected, name), np.concatenate([getattr(f, name) for f in found])
        )
    np.testing.assert_array_equal(expected.times, np.arange(20, 301, step))
    z = (expected.values - whole._centre) / whole._scale
    np.testing.assert_allclose(expected.statistic, chart_statistic(z, Cusum()))
    assert expected.alarms.tolist() == expected.times[expected.statistic > expected.threshold].tolist()
    assert expected.delay(150) == expected.alarm - 150 and expected.delay(299) is None
    whole.reset()
    np.testing.assert_array_equal(whole.update(x[300:]).statistic, expected.statistic)


def test_a_stream_as_tensors_and_in_other_precisions():
    x = normal(400, 2)
    arrays = DriftMonitor(x[:300], window=20, resamples=50).update(x[300:])
    tensors = DriftMonitor(torch.tensor(x[:300]), window=20, resamples=50).update(torch.tensor(x[300:]))
    single = DriftMonitor(x[:300].astype(np.float32), window=20, resamples=50).update(x[300:])
    np.testing.assert_array_equal(arrays.values, tensors.values)
    np.testing.assert_allclose(single.values, arrays.values, atol=1e-5)


def test_huge_values_and_a_device():
    x = normal(400, 2)
    plain = DriftMonitor(x[:300], window=20, resamples=50).update(x[300:])
    huge = DriftMonitor((x[:300] * 1e30).astype(np.float32), window=20, resamples=50).update(x[300:] * 1e30)
    np.testing.assert_allclose(huge.values, plain.values, atol=1e-5)
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    x = torch.tensor(x, device="cuda")
    np.testing.assert_allclose(
        DriftMonitor(x[:300], window=20, resamples=50).update(x[300:]).values, plain.values
    )


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    DriftMonitor(normal(200), window=20, metric=rise, **FAST)
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    x = normal(200, 2)
    with pytest.raises(
        ValueError, match="reference must hold at least 10 windows of 30 rows, 300 in all, got 200"
    ):
        DriftMonitor(x, window=30)
    with pytest.raises(ValueError, match="window must be at least 2 rows, got 1"):
        DriftMonitor(x, window=1)
    with pytest.raises(ValueError, match=r"step must lie between 1 and window \(20\), got 21"):
        DriftMonitor(x, window=20, step=21)
    with pytest.raises(ValueError, match="1 of the 200 examples of reference hold NaN"):
        DriftMonitor(np.where(np.arange(200)[:, None] == 3, np.nan, x), window=20)
    with pytest.raises(ValueError, match="without spread it sets no threshold"):
        DriftMonitor(x, window=20, metric=lambda a, b: 1.0)
    with pytest.raises(ValueError, match="the metric gave nan for a window of 20 rows"):
        DriftMonitor(x, window=20, metric=lambda a, b: np.nan)
    with pytest.raises(ValueError, match="false_alarm must lie strictly between 0 and 1, got 5"):
        DriftMonitor(x, window=20, metric=rise, false_alarm=5)
    with pytest.raises(ValueError, match=r"100 simulations cannot tell .* of 0\.001; use at least 1000"):
        alarm_threshold(x[:, 0], Cusum(), horizon=5, false_alarm=0.001, simulations=100)
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        alarm_threshold(x[:, 0], Cusum(), horizon=0)
    with pytest.raises(ValueError, match=r"values must have shape \(t,\)"):
        alarm_threshold(x, Cusum(), horizon=5)
    with pytest.raises(ValueError, match="1 of the 2 values of z are NaN"):
        chart_statistic([1.0, np.inf], Cusum())
    with pytest.raises(ValueError, match="allowance must be a finite number of at least 0, got -1"):
        Cusum(-1)
    with pytest.raises(ValueError, match="tolerance must be a finite number of at least 0, got nan"):
        PageHinkley(float("nan"))
    monitor = DriftMonitor(x, window=20, metric=rise, **FAST)
    with pytest.raises(ValueError, match=r"examples of x have shape \(3,\), those of the reference \(2,\)"):
        monitor.update(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="hold NaN"):
        monitor.update(np.full((20, 2), np.nan))
    assert monitor.update(x[:20]).times.tolist() == [20]
