"""Proxy A-distance: a fresh probe, honest folds, an interval."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from dakit.metrics import a_distance, a_distance_estimate


def samples(n, m, d=5, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


# -- by hand and in closed form -----------------------------------------------------------------------------


def test_separable_domains_are_at_two():
    xs, xt = samples(60, 40, shift=12)
    for probe in ("linear", "mlp"):
        found = a_distance_estimate(xs, xt, probe=probe)
        assert (found.value, found.error) == (2.0, 0.0)
        assert found.interval[1] == 2.0
        assert found.interval[0] < 2.0


def test_a_domain_and_itself_are_at_zero():
    xs, _ = samples(80, 1)
    for probe in ("linear", "mlp"):
        # Twins share a fold, so that the probe gets exactly one of each right.
        assert a_distance_estimate(xs, xs.copy(), probe=probe).error == 0.5
        assert a_distance(xs, xs.copy(), probe=probe) == 0.0


def test_error_on_gaussians_is_the_bayes_error():
    # N(0, 1) against N(2a, 1): the best error is Phi(-a), and a line reaches it.
    xs, xt = samples(4000, 4000, d=1, shift=1.6)
    assert a_distance_estimate(xs, xt).error == pytest.approx(norm.cdf(-0.8), abs=0.02)


def test_interval_by_hand():
    xs, xt = samples(200, 200, shift=0.5)
    found = a_distance_estimate(xs, xt, level=0.9)
    z, n, e = norm.ppf(0.95), 400, found.error  # both domains together: 400 predictions
    middle, half = (
        (e + z * z / 2 / n) / (1 + z * z / n),
        z * math.sqrt(e * (1 - e) / n + (z / 2 / n) ** 2) / (1 + z * z / n),
    )
    assert found.interval == pytest.approx((2 - 4 * (middle + half), 2 - 4 * (middle - half)))
    assert found.value == pytest.approx(2 - 4 * e)
    assert found.interval[0] < found.value < found.interval[1]
    assert len(found.fold_errors) == 5
    assert found.fold_errors.mean() == pytest.approx(e)


# -- independent reference ----------------------------------------------------------------------------------


def test_against_a_scikit_learn_pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    xs, xt = samples(300, 900, shift=0.25)
    x, y = np.r_[xs, xt] * [1, 10, 100, 1e3, 1e-3], np.r_[np.zeros(300), np.ones(900)]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    predicted = cross_val_predict(pipeline, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=0))
    expected = (np.mean(predicted[:300] == 1) + np.mean(predicted[300:] == 0)) / 2
    assert a_distance_estimate(x[:300], x[300:]).error == pytest.approx(expected, abs=0.02)  # other folds


# -- what makes it this measure -----------------------------------------------------------------------------


def test_unequal_sizes_do_not_look_like_a_shift():
    # A probe that answered "the larger domain" would be right for 95 % of the points.
    values = [a_distance_estimate(*samples(1900, 100, seed=s)).error for s in range(10)]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / math.sqrt(10))


def test_held_out_points_decide():
    # With more features than points a line separates the training points without fail; unseen points tell the truth.
    values = [a_distance_estimate(*samples(40, 40, d=200, seed=s)).error for s in range(10)]
    assert 0.4 < np.mean(values) < 0.6


def test_the_network_sees_what_a_line_cannot():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(600, 2)), 3 * rng.normal(size=(600, 2))
    assert a_distance(xs, xt) < 0.25
    assert a_distance(xs, xt, probe="mlp") > 1.0


def test_grows_with_severity():
    values = [a_distance(*samples(500, 500, shift=s)) for s in (0, 0.2, 0.4, 0.8)]
    assert values == sorted(values)


def test_interval_covers_the_long_run_value():
    # The truth for this sample size: the mean over many samples. 95 % intervals of 60 samples; a binomial of 60 trials
    # lies at 51 or more in 99.8 % of all cases.
    found = [a_distance_estimate(*samples(150, 100, 3, shift=0.5, seed=s)) for s in range(60)]
    truth = 2 - 4 * np.mean([f.error for f in found])
    assert sum(f.interval[0] <= truth <= f.interval[1] for f in found) >= 51


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_invariances(probe):
    xs, xt = samples(120, 90, shift=0.4)
    value = a_distance(xs, xt, probe=probe)
    assert a_distance(xs, xt, probe=probe) == value
    assert (
        a_distance(
            torch.from_numpy(xs).reshape(120, 5, 1), torch.from_numpy(xt).reshape(90, 5, 1), probe=probe
        )
        == value
    )
    assert a_distance(xs * 1e5 + 3, xt * 1e5 + 3, probe=probe) == pytest.approx(value, abs=0.05)
    assert a_distance(xs, xt, probe=probe, seed=1) == pytest.approx(value, abs=0.4)
    if probe == "linear":
        assert a_distance(xt, xs) == pytest.approx(value, abs=1e-9)


def test_leaves_the_process_as_it_was():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    xs, xt = samples(30, 30, shift=1)
    with torch.inference_mode():
        inside = a_distance(torch.from_numpy(xs), torch.from_numpy(xt), probe="mlp")
    with torch.no_grad():
        assert a_distance(xs, xt, probe="mlp") == inside
    assert torch.equal(torch.get_rng_state(), state)


def test_constant_features_tell_nothing():
    assert a_distance(np.ones((20, 3)), np.ones((30, 3))) == 0.0
    xs, xt = samples(30, 30, shift=9)
    xs[:, 0] = xt[:, 0] = 7
    assert a_distance(xs, xt) == 2.0


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probe": "svm"}, "probe must be 'linear' or 'mlp'"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"folds": 6}, "6 folds need at least 6 examples in each sample, got 5 and 9"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        a_distance(*samples(5, 9), **options)


def test_bad_samples():
    xs, xt = samples(10, 10)
    with pytest.raises(ValueError, match="NaN"):
        a_distance(xs, np.where(xt > 0, xt, np.nan))
    with pytest.raises(ValueError, match="same features"):
        a_distance(xs, xt[:, :2])
    with pytest.raises(ValueError, match="level must lie"):
        a_distance_estimate(xs, xt, level=95)
