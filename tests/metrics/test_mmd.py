"""MMD²: the number, its kernels, its invariances and its precision."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from dakit.metrics import median_heuristic, mmd
from dakit.metrics.polynomial import Polynomial
from tests.metrics.reference import mmd_by_loops

FIVE = [2.0, 4.0, 8.0, 16.0, 32.0]


def samples(n=60, m=45, d=7, shift=0.3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + shift).astype(dtype)


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    # Squared distances: 1 inside xs, 4 inside xt; across 0, 4, 1, 1.
    e = math.exp
    xs, xt = [[0.0], [1.0]], [[0.0], [2.0]]
    across = (1 + e(-4) + 2 * e(-1)) / 4
    assert mmd(xs, xt, bandwidths=1.0) == pytest.approx(e(-1) + e(-4) - 2 * across, abs=1e-14)
    biased = (2 + 2 * e(-1)) / 4 + (2 + 2 * e(-4)) / 4 - 2 * across
    assert mmd(xs, xt, bandwidths=1.0, unbiased=False) == pytest.approx(biased, abs=1e-14)


def test_default_bandwidths_are_the_median_times_powers_of_two():
    xs, xt = samples()
    median = np.median(
        cdist(np.r_[xs, xt], np.r_[xs, xt], "sqeuclidean")[np.triu_indices(len(xs) + len(xt), 1)]
    )
    expected = mmd_by_loops(xs, xt, [median * r for r in (0.25, 0.5, 1, 2, 4)])
    assert mmd(xs, xt) == pytest.approx(expected, rel=1e-10)


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(
    ("kernel", "bandwidths"),
    [
        ("rbf", [3.0]),
        ("rbf", FIVE),
        ("rbf", [32.0, 2.0, 8.0]),  # out of order, not every power
        ("rbf", [2.0, 2.0, 4.0]),  # one counted twice
        ("rbf", [2.0, 3.0, 7.0]),  # no powers of two
        ("laplace", [2.0, 5.0]),
        ("imq", [2.0, 5.0]),
    ],
)
def test_against_loops(kernel, bandwidths, unbiased):
    xs, xt = samples(23, 17, 3)
    expected = mmd_by_loops(xs, xt, bandwidths, shape=kernel, unbiased=unbiased)
    assert mmd(xs, xt, bandwidths=bandwidths, kernel=kernel, unbiased=unbiased) == pytest.approx(
        expected, rel=1e-11
    )


@pytest.mark.parametrize(("n", "m"), [(1100, 513), (2, 1030)])  # several tiles, of unequal sizes
def test_several_tiles_against_sklearn(n, m):
    xs, xt = samples(n, m, 5)

    def k(a, b):
        return np.mean([rbf_kernel(a, b, gamma=1 / s) for s in FIVE], axis=0)

    inside = [(k(a, a).sum() - len(a)) / (len(a) * (len(a) - 1)) for a in (xs, xt)]
    expected = sum(inside) - 2 * k(xs, xt).mean()
    assert mmd(xs, xt, bandwidths=FIVE) == pytest.approx(expected, rel=1e-10)


def test_against_the_estimator_of_torchmetrics():
    from torchmetrics.image.kid import maximum_mean_discrepancy

    xs, xt = samples(40, 40)
    a, b = torch.from_numpy(xs), torch.from_numpy(xt)

    def cubic(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    expected = float(maximum_mean_discrepancy(cubic(a, a), cubic(a, b), cubic(b, b)))
    assert mmd(xs, xt, kernel=cubic) == pytest.approx(expected, rel=1e-12)


def test_linear_kernel_compares_means():
    # The biased MMD² of the linear kernel is the squared distance of the means, in closed form.
    xs, xt = samples(700, 20)
    expected = np.square(xs.mean(0) - xt.mean(0)).sum()
    assert mmd(xs, xt, kernel=lambda a, b: a @ b.T, unbiased=False) == pytest.approx(expected, rel=1e-10)


def test_gaussians_in_closed_form():
    # N(0, I) against N(mu, I) with exp(-D/b): E k = (b/(b+4))^(d/2) exp(-|mu|²/(b+4)), mu = 0 within.
    d, b, shift, n = 3, 6.0, 1.0, 3000
    xs, xt = samples(n, n, d, shift, seed=3)
    factor = (b / (b + 4)) ** (d / 2)
    expected = 2 * factor * (1 - math.exp(-d * shift**2 / (b + 4)))
    assert mmd(xs, xt, bandwidths=b) == pytest.approx(expected, rel=0.05)


# -- limits and invariances ---------------------------------------------------------------------------------

finite = st.floats(-1e3, 1e3, allow_subnormal=False)
points = st.integers(1, 4).flatmap(
    lambda d: st.tuples(
        arrays(np.float64, st.tuples(st.integers(2, 12), st.just(d)), elements=finite),
        arrays(np.float64, st.tuples(st.integers(2, 12), st.just(d)), elements=finite),
    )
)


@given(points, st.sampled_from(["rbf", "laplace", "imq"]), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_properties(pair, kernel, seed):
    xs, xt = pair
    rng = np.random.default_rng(seed)
    kwargs = {"bandwidths": [1.0, 50.0, 1e4], "kernel": kernel}
    value = mmd(xs, xt, **kwargs)
    # The root inside the Laplace kernel makes sqrt(e) of a rounding error e in the distance of equal points.
    close = 1e-6 if kernel == "laplace" else 1e-9
    assert mmd(xt, xs, **kwargs) == pytest.approx(value, abs=close)
    assert mmd(rng.permutation(xs), rng.permutation(xt), **kwargs) == pytest.approx(value, abs=close)
    assert mmd(xs + 7.5, xt + 7.5, **kwargs) == pytest.approx(value, abs=close)
    assert -2 <= value <= 2 + close
    biased = mmd(xs, xt, unbiased=False, **kwargs)
    assert biased >= 0
    assert mmd(xs, xs, unbiased=False, **kwargs) == pytest.approx(0, abs=close)


def test_symmetric_and_free_of_scale_with_its_own_bandwidths():
    xs, xt = samples(900, 700)  # more than the points that set the bandwidth
    value = mmd(xs, xt)
    assert mmd(xt, xs) == pytest.approx(value, rel=1e-9)
    assert mmd(xs * 1e6 + 3e5, xt * 1e6 + 3e5) == pytest.approx(value, rel=1e-7)
    assert mmd(xs * 1e-30, xt * 1e-30) == pytest.approx(value, rel=1e-9)


def test_unbiased_is_right_on_average_where_the_biased_form_is_not():
    draws = [samples(20, 20, 2, shift=0, seed=s) for s in range(400)]
    values = np.array([mmd(a, b, bandwidths=2.0) for a, b in draws])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    assert (values < 0).any()
    biased = np.array([mmd(a, b, bandwidths=2.0, unbiased=False) for a, b in draws])
    assert biased.mean() > 10 * biased.std() / math.sqrt(len(biased))


def test_grows_with_the_shift():
    values = [mmd(*samples(200, 200, shift=s), bandwidths=FIVE) for s in (0.2, 0.4, 0.8, 1.6)]
    assert values == sorted(values)


# -- precision and where it runs ----------------------------------------------------------------------------


@pytest.mark.parametrize("bandwidths", [FIVE, [2.0, 3.0, 7.0]])
def test_float32_is_precise_for_the_test(bandwidths):
    # Measured against what matters: the spread of the value under the hypothesis of no difference.
    xs, xt = samples(1500, 1300, 16, shift=0.02, dtype=np.float32)
    exact = mmd(xs.astype(np.float64), xt.astype(np.float64), bandwidths=bandwidths)
    null = [mmd(*samples(1500, 1300, 16, shift=0, seed=s), bandwidths=bandwidths) for s in range(8)]
    assert abs(mmd(xs, xt, bandwidths=bandwidths) - exact) < 1e-3 * np.std(null)


def test_float32_far_from_the_bulk():
    # Two tight groups a thousand bandwidths apart: in float32, the product alone would lose the distances inside.
    rng = np.random.default_rng(0)
    xs = np.r_[rng.normal(size=(50, 4)), rng.normal(size=(50, 4)) + 1000].astype(np.float32)
    xt = np.r_[rng.normal(size=(50, 4)) * 1.3, rng.normal(size=(50, 4)) + 1000].astype(np.float32)
    exact = mmd(xs.astype(np.float64), xt.astype(np.float64), bandwidths=[1.0, 2.0])
    assert mmd(xs, xt, bandwidths=[1.0, 2.0]) == pytest.approx(exact, rel=1e-5)
    offset = np.float32(4096)
    assert mmd(xs + offset, xt + offset, bandwidths=[1.0, 2.0]) == pytest.approx(
        mmd((xs + offset).astype(float), (xt + offset).astype(float), bandwidths=[1.0, 2.0]), rel=1e-5
    )


def test_arrays_tensors_lists_and_images_agree():
    xs, xt = samples(30, 20, 12)
    value = mmd(xs, xt, bandwidths=FIVE)
    assert mmd(torch.from_numpy(xs), xt, bandwidths=FIVE) == value
    assert mmd(xs.tolist(), xt.tolist(), bandwidths=FIVE) == value
    assert mmd(xs.reshape(30, 3, 2, 2), xt.reshape(20, 3, 2, 2), bandwidths=FIVE) == value
    assert mmd(torch.from_numpy(xs).requires_grad_(), torch.from_numpy(xt), bandwidths=FIVE) == value
    assert mmd(xs[::-1], xt[:, ::-1][:, ::-1], bandwidths=FIVE) == pytest.approx(value, rel=1e-12)
    assert mmd(np.asfortranarray(xs).astype(">f8"), xt, bandwidths=FIVE) == value


def test_integers_are_converted_exactly():
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(0, 255, size=(20, 3), dtype=np.uint8),
        rng.integers(0, 255, size=(20, 3), dtype=np.uint8),
    )
    expected = mmd_by_loops(a.astype(float), b.astype(float), [5000.0])
    assert mmd(a, b, bandwidths=5000.0) == pytest.approx(expected, rel=1e-5)
    big = 2**40
    assert mmd(a.astype(np.int64) + big, b.astype(np.int64) + big, bandwidths=5000.0) == pytest.approx(
        expected, rel=1e-9
    )
    assert mmd(a > 99, b > 99, bandwidths=1.0) == pytest.approx(mmd_by_loops(a > 99, b > 99, [1.0]), rel=1e-5)
    assert mmd(
        torch.from_numpy(a).half(), torch.from_numpy(b).bfloat16(), bandwidths=5000.0
    ) == pytest.approx(expected, rel=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_agrees():
    xs, xt = samples(3000, 2000, 16, dtype=np.float32)
    on_gpu = mmd(torch.from_numpy(xs).cuda(), xt, bandwidths=FIVE)
    assert on_gpu == pytest.approx(mmd(xs, xt, bandwidths=FIVE), rel=1e-4)


def test_a_large_mean_shift_saturates_without_nan():
    xs, xt = samples(20, 20, 2)
    # Nothing across is left, and each target point, rounded at this distance, coincides with every other.
    inside = np.mean(rbf_kernel(xs, xs, gamma=0.5)[np.triu_indices(20, 1)])
    assert mmd(xs, xt + 1e100, bandwidths=2.0) == pytest.approx(inside + 1)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xs", "xt", "message"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0], [0.0, 0.0]], "xs needs at least 2 examples, got 1"),
        (np.zeros((0, 3)), np.zeros((4, 3)), "xs needs at least 2 examples, got 0"),
        ([[1.0], [2.0]], [[1.0], [np.nan]], "1 of the 2 examples of xt hold NaN"),
        ([[1.0], [np.inf]], [[1.0], [2.0]], "1 of the 2 examples of xs hold NaN or infinite"),
        (np.zeros((3, 2)), np.zeros((3, 4)), r"shape \(2,\) in xs and \(4,\) in xt"),
        (np.zeros((3, 4, 2)), np.zeros((3, 2, 4)), "same features"),
        ([1.0, 2.0], [1.0, 2.0], r"shape \(n, 1\)"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "no features"),
        ([[1e150], [0.0]], [[0.0], [1.0]], "squares overflow"),
        (np.ones((3, 2)), np.ones((4, 2)), "all points are equal"),
    ],
)
def test_bad_samples(xs, xt, message):
    with pytest.raises(ValueError, match=message):
        mmd(xs, xt)


@pytest.mark.parametrize(
    "bad", [[["a"], ["b"]], np.array([[None], [1]], dtype=object), np.ones((3, 1), complex)]
)
def test_not_numbers(bad):
    with pytest.raises(TypeError, match=r"numeric|real numbers"):
        mmd(bad, [[1.0], [2.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidths": 0.0}, "bandwidths must be positive"),
        ({"bandwidths": [1.0, -1.0]}, "bandwidths must be positive"),
        ({"bandwidths": []}, "bandwidths must be positive"),
        ({"bandwidths": np.nan}, "bandwidths must be positive"),
        ({"kernel": "gauss"}, "kernel must be 'rbf'"),
        ({"kernel": torch.matmul, "bandwidths": 1.0}, "a function brings its own"),
        ({"kernel": lambda a, b: a[:, :1]}, "a kernel must map"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        mmd([[0.0, 1.0], [1.0, 1.0]], [[2.0, 0.0], [3.0, 1.0]], **options)


def test_equal_points_with_given_bandwidths_are_no_error():
    assert mmd(np.ones((3, 2)), np.ones((4, 2)), bandwidths=1.0) == 0


# -- the bandwidth ------------------------------------------------------------------------------------------


def test_median_heuristic():
    xs, xt = samples(40, 30)
    pooled = np.r_[xs, xt]
    expected = np.median(cdist(pooled, pooled, "sqeuclidean")[np.triu_indices(70, 1)])
    assert median_heuristic(xs, xt) == pytest.approx(expected, rel=1e-12)
    assert median_heuristic(xs.astype(np.float32), xt.astype(np.float32)) == pytest.approx(expected, rel=1e-5)


def test_median_heuristic_of_a_subsample():
    xs, xt = samples(5000, 3000)
    full = np.median(cdist(xs[:2500], xt[:2500], "sqeuclidean"))
    assert median_heuristic(xs, xt) == pytest.approx(full, rel=0.1)
    assert median_heuristic(xs, xt) == median_heuristic(xs, xt) == median_heuristic(xt, xs)
    assert median_heuristic(xs, xt, seed=1) != median_heuristic(xs, xt)


def test_median_heuristic_passes_over_pairs_that_coincide():
    one_hot = np.eye(3)[[0] * 30 + [1] * 5]  # most pairs are equal
    assert median_heuristic(one_hot[:20], one_hot[20:]) == 2.0
    with pytest.raises(ValueError, match="all points are equal"):
        median_heuristic(np.full((5, 2), 0.1), np.full((3, 2), 0.1))
    with pytest.raises(ValueError, match="max_points"):
        median_heuristic(one_hot, one_hot, max_points=1)


# -- the polynomial kernel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("spec", ["poly", Polynomial(degree=2, gamma=0.7, coef0=0.0), Polynomial(degree=1)])
def test_polynomial_kernel_against_sklearn(spec, unbiased):
    xs, xt = samples(600, 530, 5)  # several tiles
    given = Polynomial() if spec == "poly" else spec

    def k(a, b):
        return polynomial_kernel(a, b, degree=given.degree, gamma=given.gamma, coef0=given.coef0)

    inside = []
    for a in (xs, xt):
        values, n = k(a, a), len(a)
        if unbiased:  # its diagonal is not 1
            inside.append((values.sum() - np.trace(values)) / (n * (n - 1)))
        else:
            inside.append(values.mean())
    expected = sum(inside) - 2 * k(xs, xt).mean()
    assert mmd(xs, xt, kernel=spec, unbiased=unbiased) == pytest.approx(expected, rel=1e-9)
    single = mmd(xs.astype(np.float32), xt.astype(np.float32), kernel=spec, unbiased=unbiased)
    assert single == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_polynomial_kernel_of_degree_1_sees_means_alone():
    xs, _ = samples(500, 2, 3)
    xs -= xs.mean(0)
    assert mmd(xs, 5 * xs, kernel=Polynomial(degree=1), unbiased=False) == pytest.approx(0, abs=1e-12)
    assert mmd(xs, 5 * xs, kernel=Polynomial(degree=2), unbiased=False) > 1


def test_polynomial_kernel_refuses_what_overflows():
    xs, xt = samples(10, 10)
    with pytest.raises(ValueError, match="too large for a polynomial kernel of degree 3"):
        mmd(xs * 1e60, xt * 1e60, kernel="poly")
    with pytest.raises(ValueError, match="the polynomial kernel has none"):
        mmd(xs, xt, kernel="poly", bandwidths=1.0)
    for bad in ({"degree": 0}, {"degree": 1.5}, {"gamma": -1.0}, {"coef0": -1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Polynomial(**bad)
