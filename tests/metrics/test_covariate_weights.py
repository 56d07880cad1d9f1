"""Importance weights of every method: closed-form Gaussian ratios, limits, clipping, bad input."""

import warnings

import numpy as np
import pytest
import torch

from dakit.metrics import median_heuristic
from dakit.metrics.covariate_weights import Weights, clip_weights, covariate_weights
from dakit.metrics.domain_odds import classifier_weights

METHODS = ["logistic", "mlp", "kmm", "kliep", "ulsif", "rulsif"]
ALL = pytest.mark.parametrize("method", METHODS)
DIRECT = ["logistic", "kliep", "ulsif"]  # those whose estimate is the ratio itself


def gaussians(n, m, shift=0.7, d=1, seed=0):
    """N(0, I) against N(shift, I) along the first axis, and the true ratio at the source points."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    xt[:, 0] += shift
    return xs, xt, np.exp(shift * xs[:, 0] - shift**2 / 2)


# -- closed form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "least"),
    # KMM matches means and is rough as a ratio, RuLSIF estimates another one.
    [("logistic", 0.85), ("mlp", 0.85), ("kmm", 0.5), ("kliep", 0.85), ("ulsif", 0.85), ("rulsif", 0.85)],
)
def test_correlates_with_the_ratio_of_two_gaussians(method, least):
    correlations = []
    for seed in range(3):
        xs, xt, truth = gaussians(400, 400, seed=seed)
        correlations.append(np.corrcoef(covariate_weights(xs, xt, method=method).values, truth)[0, 1])
    assert np.mean(correlations) > least


@pytest.mark.parametrize("method", DIRECT)
def test_error_falls_with_n(method):
    def error(n):
        errors = []
        for seed in range(6):
            xs, xt, truth = gaussians(n, n, seed=seed)
            values = covariate_weights(xs, xt, method=method).values
            errors.append(np.mean(np.square(values - truth)))
        return np.mean(errors)

    assert error(600) < error(60)


@pytest.mark.parametrize("method", ["logistic", "mlp", "kmm", "kliep", "ulsif"])
def test_weighted_mean_comes_nearer_to_the_target(method):
    for seed in range(3):
        xs, xt, _ = gaussians(400, 400, d=2, seed=seed)
        w = covariate_weights(xs, xt, method=method).values
        before, after = (np.linalg.norm(mean - xt.mean(0)) for mean in (xs.mean(0), w @ xs / 400))
        assert after < before / 2


# -- limits -------------------------------------------------------------------------------------------------


@ALL
def test_result_is_consistent(method):
    xs, xt, _ = gaussians(90, 70)
    found = covariate_weights(xs, xt, method=method)
    w = found.values
    assert w.shape == (90,)
    assert w.min() >= 0
    assert w.mean() == pytest.approx(1)
    assert found.effective_sample_size == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert found.max_share == pytest.approx(w.max() / w.sum())
    assert found.moved == 0
    again = covariate_weights(xs, xt, method=method)
    np.testing.assert_array_equal(again.values, w)


@ALL
def test_no_shift_leaves_nearly_all_examples(method):
    found = covariate_weights(*gaussians(600, 600, shift=0)[:2], method=method)
    assert found.effective_sample_size > 0.85 * 600


@ALL
def test_more_shift_leaves_fewer_examples(method):
    sizes = [
        covariate_weights(*gaussians(300, 300, shift=s)[:2], method=method).effective_sample_size
        for s in (0.5, 2.0)
    ]
    assert sizes[0] > sizes[1]


@ALL
def test_constant_data_and_constant_features(method):
    found = covariate_weights(np.full((6, 2), 3.0), np.full((7, 2), 3.0), method=method)
    np.testing.assert_array_equal(found.values, 1)
    xs, xt, _ = gaussians(80, 80)
    padded = [np.column_stack([x, np.full(80, 5.0)]) for x in (xs, xt)]
    a, b = (covariate_weights(*pair, method=method).values for pair in ((xs, xt), padded))
    assert np.isfinite(b).all()
    if method != "mlp":  # whose first layer starts elsewhere with one more input
        np.testing.assert_allclose(a, b, atol=1e-6)


@ALL
def test_tiny_and_wide_samples(method):
    options = {"folds": 2} if method in ("logistic", "mlp") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        tiny = covariate_weights([[0.0], [1.0]], [[0.5], [2.0]], method=method, **options)
        assert np.isfinite(tiny.values).all()
        wide = covariate_weights(*gaussians(30, 20, d=500)[:2], method=method)
        assert np.isfinite(wide.values).all()
        huge = covariate_weights(*(x * 1e30 for x in gaussians(40, 40)[:2]), method=method)
        assert np.isfinite(huge.values).all()


@pytest.mark.parametrize("method", ["logistic", "kmm", "kliep", "ulsif", "rulsif"])
def test_scale_place_dtype_and_tensors(method):
    xs, xt, _ = gaussians(120, 90, d=2)
    value = covariate_weights(xs, xt, method=method).values
    moved = covariate_weights(xs * 64 + 3, xt * 64 + 3, method=method).values
    np.testing.assert_allclose(moved, value, rtol=1e-3, atol=1e-3)
    tensors = covariate_weights(torch.from_numpy(xs), torch.from_numpy(xt), method=method).values
    np.testing.assert_array_equal(tensors, value)
    single = covariate_weights(xs.astype(np.float32), xt.astype(np.float32), method=method).values
    np.testing.assert_allclose(single, value, rtol=1e-2, atol=1e-2)


@ALL
def test_integers_and_images(method):
    rng = np.random.default_rng(0)
    found = covariate_weights(rng.integers(0, 9, (40, 2, 2)), rng.integers(2, 12, (30, 2, 2)), method=method)
    assert found.values.shape == (40,)


def test_global_random_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for method in METHODS:
        covariate_weights(*gaussians(30, 30)[:2], method=method)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@ALL
def test_gpu(method):
    xs, xt, _ = gaussians(100, 100)
    value = covariate_weights(xs, xt, method=method).values
    on_gpu = covariate_weights(torch.from_numpy(xs).cuda(), torch.from_numpy(xt).cuda(), method=method).values
    np.testing.assert_allclose(on_gpu, value, rtol=1e-3, atol=1e-3)


# -- the classifier -----------------------------------------------------------------------------------------


def test_logistic_odds_by_hand():
    # One binary feature, hardly penalised: the odds are the ratio of the frequencies.
    xs, xt = np.repeat([[0.0], [1.0]], [60, 20], axis=0), np.repeat([[0.0], [1.0]], [10, 30], axis=0)
    w = classifier_weights(xs, xt, folds=1, c=1e8).values
    np.testing.assert_allclose(w[:60], (10 / 40) / (60 / 80), rtol=1e-3)
    np.testing.assert_allclose(w[60:], (30 / 40) / (20 / 80), rtol=1e-3)


def test_cross_fitting_protects_from_overfitting():
    # Many features, no shift: in-sample, the regression tells single examples apart.
    xs, xt, _ = gaussians(80, 80, shift=0, d=60)
    inside, crossed = (classifier_weights(xs, xt, folds=f, c=1e4) for f in (1, 5))
    log_inside, log_crossed = (np.log(w.values * w.raw_mean).mean() for w in (inside, crossed))
    assert log_inside < -1
    assert abs(log_crossed) < 0.5 * abs(log_inside)


def test_strong_penalty_gives_equal_weights():
    xs, xt, _ = gaussians(100, 50)
    np.testing.assert_allclose(classifier_weights(xs, xt, c=1e-9).values, 1, atol=1e-4)


# -- clipping -----------------------------------------------------------------------------------------------


def test_clipping_by_hand():
    # 0.5, 0.5, 0.5, 2.5 cut at 1.5 have mean 0.75: 2/3, 2/3, 2/3, 2. An eighth of the mass has moved.
    found = clip_weights([0.5, 0.5, 0.5, 2.5], largest=1.5)
    np.testing.assert_allclose(found.values, [2 / 3, 2 / 3, 2 / 3, 2])
    assert found.moved == pytest.approx(0.125)
    assert found.chosen["cut"] == 1.5


def test_moved_bounds_the_change_of_every_mean():
    xs, xt, _ = gaussians(200, 200, shift=1.5)
    raw = covariate_weights(xs, xt)
    clipped = clip_weights(raw, quantile=0.9)
    assert clipped.effective_sample_size > raw.effective_sample_size
    assert clipped.max_share < raw.max_share
    assert isinstance(clipped, Weights)
    rng = np.random.default_rng(0)
    changes = [abs(np.mean((clipped.values - raw.values) * rng.integers(0, 2, 200))) for _ in range(200)]
    assert max(changes) <= clipped.moved
    worst = (clipped.values > raw.values).astype(float)
    assert np.mean((clipped.values - raw.values) * worst) == pytest.approx(clipped.moved)
    np.testing.assert_array_equal(covariate_weights(xs, xt, clip=0.9).values, clipped.values)


def test_clipping_beyond_the_largest_changes_nothing():
    found = clip_weights([1.0, 2.0, 3.0], largest=99)
    np.testing.assert_allclose(found.values, [0.5, 1, 1.5])
    assert found.moved == 0


@pytest.mark.parametrize(
    ("weights", "options", "words"),
    [
        ([1, 2], {}, "exactly one of quantile and largest"),
        ([1, 2], {"quantile": 0.5, "largest": 2}, "exactly one"),
        ([1, 2], {"quantile": 1.0}, "quantile must lie strictly between 0 and 1"),
        ([1, 2], {"largest": 0}, "largest must be a positive number"),
        ([0, 0, 0, 1], {"quantile": 0.5}, "quantile of the weights is 0"),
        ([-1, 2], {"largest": 2}, "must not be negative"),
        ([0, 0], {"largest": 2}, "not all 0"),
        ([np.nan, 1], {"largest": 2}, "NaN"),
    ],
)
def test_bad_clipping(weights, options, words):
    with pytest.raises(ValueError, match=words):
        clip_weights(weights, **options)


# -- bad input ----------------------------------------------------------------------------------------------


@ALL
def test_bad_input(method):
    xs, xt, _ = gaussians(20, 20, d=2)
    with pytest.raises(ValueError, match="same features"):
        covariate_weights(xs, xt[:, :1], method=method)
    with pytest.raises(ValueError, match="NaN"):
        covariate_weights(xs * np.nan, xt, method=method)
    with pytest.raises(ValueError, match="at least 2 examples"):
        covariate_weights(xs, xt[:1], method=method)
    with pytest.raises(TypeError, match="unexpected keyword"):
        covariate_weights(xs, xt, method=method, colour=3)


def test_bad_options():
    xs, xt, _ = gaussians(20, 20)
    with pytest.raises(ValueError, match="method must be one of 'logistic', 'mlp'"):
        covariate_weights(xs, xt, method="ratio")
    with pytest.raises(ValueError, match="clip must be a quantile"):
        covariate_weights(xs, xt, clip=5)
    with pytest.raises(ValueError, match="probe must be 'logistic' or 'mlp', got 'forest'"):
        classifier_weights(xs, xt, probe="forest")
    with pytest.raises(ValueError, match="at most the size of the smaller sample, 20, got 21"):
        classifier_weights(xs, xt, folds=21)
    with pytest.raises(ValueError, match="c must be a positive number"):
        classifier_weights(xs, xt, c=0)
    assert median_heuristic(xs, xt) > 0
