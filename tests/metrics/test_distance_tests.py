"""One permutation test for every distance."""

import numpy as np
import pytest
import torch

from dakit.domains.domain import Domain
from dakit.domains.shifts import apply
from dakit.metrics import (
    a_distance,
    coral_distance,
    frechet_distance,
    idd,
    jensen_shannon,
    knn_test,
    max_sliced_wasserstein,
    mmd,
    mmd_test,
    mst_test,
    permutation_test,
    sinkhorn_divergence,
    sliced_wasserstein,
    wasserstein,
)
from dakit.metrics.distance_tests import DISTANCES, EVALUATORS
from dakit.metrics.energy import energy_distance, energy_test
from dakit.metrics.permutation import relabellings
from tests.metrics.nulls import assert_never_too_small, assert_uniform

FUNCTIONS = {
    "a_distance": a_distance,
    "coral": coral_distance,
    "energy": energy_distance,
    "frechet": frechet_distance,
    "idd": idd,
    "jensen_shannon": jensen_shannon,
    "max_sliced_wasserstein": lambda a, b: max_sliced_wasserstein(a, b).value,
    "mmd": mmd,
    "sinkhorn_divergence": sinkhorn_divergence,
    "sliced_wasserstein": sliced_wasserstein,
    "wasserstein": wasserstein,
}
# What is made once for all relabellings must not change a number.
MADE_ONCE = ["coral", "frechet", "jensen_shannon", "sliced_wasserstein", "wasserstein"]


def samples(n=20, m=16, d=3, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def images(n, seed=0, dark=0.0):
    x = np.random.default_rng(seed).random((n, 1, 4, 4))
    return x * (1 - dark)


# -- by definition ------------------------------------------------------------------------------------------


def test_every_name_is_here():
    assert FUNCTIONS.keys() == DISTANCES.keys() == EVALUATORS.keys() | {"mmd", "energy"}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"idd"}))
def test_the_statistic_is_the_distance(name):
    xs, xt = samples(shift=0.4)
    expected = FUNCTIONS[name](xs, xt, **({"unbiased": True} if name == "energy" else {}))
    assert permutation_test(xs, xt, name, permutations=3).statistic == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", MADE_ONCE)
@pytest.mark.parametrize(("n", "m", "d"), [(12, 12, 3), (9, 14, 1), (14, 9, 2), (6, 5, 30)])
def test_null_against_the_distance_itself(name, n, m, d):
    xs, xt = samples(n, m, d, 0.5)
    pooled = np.r_[xs, xt]
    result = permutation_test(xs, xt, name, permutations=12, seed=3)
    labels = relabellings(n, m, 12, np.random.default_rng(3)).numpy().astype(bool)
    expected = [FUNCTIONS[name](pooled[z], pooled[~z]) for z in labels.T]
    np.testing.assert_allclose(result.null, expected, rtol=1e-8, atol=1e-12)
    assert result.method == f"permutation test of {name}"


def test_null_of_images():
    xs, xt = images(9), images(7, seed=1, dark=0.3)
    pooled = np.concatenate([xs, xt])
    result = permutation_test(xs, xt, "idd", permutations=12, seed=3, bins=16)
    labels = relabellings(9, 7, 12, np.random.default_rng(3)).numpy().astype(bool)
    expected = [idd(pooled[z], pooled[~z], bins=16) for z in labels.T]
    np.testing.assert_allclose(result.null, expected, rtol=1e-9, atol=1e-12)
    assert result.statistic == pytest.approx(idd(xs, xt, bins=16))


@pytest.mark.parametrize(
    ("name", "test"), [("mmd", mmd_test), ("energy", energy_test), ("knn", knn_test), ("mst", mst_test)]
)
def test_tests_of_their_own(name, test):
    xs, xt = samples(shift=0.5)
    a, b = permutation_test(xs, xt, name, permutations=20, seed=2), test(xs, xt, permutations=20, seed=2)
    np.testing.assert_array_equal(a.null, b.null)
    assert (a.statistic, a.pvalue, a.method) == (b.statistic, b.pvalue, b.method)


def test_options_reach_the_distance():
    xs, xt = samples(shift=0.5)
    for name, options in {
        "sliced_wasserstein": {"projections": 7, "p": 1},
        "jensen_shannon": {"bins": 3},
        "wasserstein": {"p": 1},
        "max_sliced_wasserstein": {"restarts": 2},
        "sinkhorn_divergence": {"epsilon": 1.0},
        "a_distance": {"folds": 2},
        "mmd": {"bandwidths": 2.0},
    }.items():
        found = permutation_test(xs, xt, name, permutations=2, **options)
        function = DISTANCES[name]
        assert found.statistic == pytest.approx(function(xs, xt, **options)), name
    with pytest.raises(TypeError, match="bins"):
        permutation_test(xs, xt, "coral", bins=3)


def test_functions_see_samples_of_the_kind_they_were_given():
    seen = []

    def distance(a, b, *, power=1):
        seen.append((type(a), a.shape))
        return float(abs(a.mean() - b.mean()) ** power)

    xs, xt = images(5), images(6)
    result = permutation_test(xs, xt, distance, permutations=3, power=2)
    assert set(seen) == {(np.ndarray, (5, 1, 4, 4))}
    assert result.method == "permutation test of distance"
    seen.clear()
    permutation_test(torch.from_numpy(xs), xt, distance, permutations=3)
    assert {kind for kind, _ in seen[1:]} == {torch.Tensor}


# -- what makes them valid tests ----------------------------------------------------------------------------

SETTINGS = {
    "sliced_wasserstein": {"projections": 10},
    "coral": {},
    "frechet": {},
    "jensen_shannon": {"bins": 6},
    "wasserstein": {},
    "mmd": {},
    "energy": {},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_pvalues_are_uniform_when_nothing_shifted(name):
    draws, rng = 19, np.random.default_rng(1)
    p = []
    for seed in range(500):
        x = rng.normal(size=(22, 2))
        p.append(
            permutation_test(x[:12], x[12:], name, permutations=draws, seed=seed, **SETTINGS[name]).pvalue
        )
    assert_uniform(p, draws)


def test_pvalues_of_idd_are_uniform_when_nothing_shifted():
    rng = np.random.default_rng(0)
    p = [
        permutation_test(*np.split(rng.random((20, 1, 3, 3)), [11]), "idd", permutations=39, seed=s).pvalue
        for s in range(500)
    ]
    assert_uniform(p, 39)


def distance_by_folds(a, b):
    """Cheap, and learned from the rows by their order, as a cross-validated classifier is."""
    hits = []
    for fold in range(2):
        (train_a, test_a), (train_b, test_b) = ((x[fold::2], x[1 - fold :: 2]) for x in (a, b))
        line = train_b.mean(0) - train_a.mean(0)
        middle = (train_b.mean(0) + train_a.mean(0)) / 2
        hits.append(((test_b - middle) @ line > 0).mean() + ((test_a - middle) @ line <= 0).mean())
    return np.mean(hits)


def test_pvalues_of_functions_that_depend_on_the_order_are_never_too_small():
    rng = np.random.default_rng(0)
    p = []
    for seed in range(500):
        x = rng.normal(size=(24, 2))
        p.append(permutation_test(x[:12], x[12:], distance_by_folds, permutations=39, seed=seed).pvalue)
    assert_never_too_small(p)


@pytest.mark.parametrize("name", ["sliced_wasserstein", "coral", "frechet", "jensen_shannon"])
def test_power_rises_along_a_controlled_shift(name):
    """Noise on flat data: the covariance and every feature move."""

    def rejections(severity):
        found = 0
        for seed in range(20):
            x = np.random.default_rng(seed).normal(size=(240, 2))
            clean = Domain("a", torch.from_numpy(x[120:]).float())
            shifted = apply(clean, "noise", severity, seed=seed).x
            test = permutation_test(x[:120], shifted, name, permutations=39, seed=seed)
            found += test.pvalue <= 0.05
        return found

    found = [rejections(severity) for severity in (0.0, 0.75, 1.0)]
    assert found == sorted(found)
    assert found[0] <= 5 and found[-1] >= 15


def test_power_of_exact_transport():
    def rejections(shift):
        return sum(
            permutation_test(*samples(25, 25, 2, shift, s), "wasserstein", permutations=19).pvalue <= 0.05
            for s in range(20)
        )

    found = [rejections(shift) for shift in (0.0, 0.5, 1.0)]
    assert found == sorted(found)
    assert found[0] <= 5 and found[-1] >= 15


def test_pvalues_are_never_zero():
    xs, xt = samples(shift=50)
    for name in (
        "sliced_wasserstein",
        "frechet",
        "jensen_shannon",
        "wasserstein",
        "mmd",
        "energy",
        "knn",
        "mst",
    ):
        assert permutation_test(xs, xt, name, permutations=19).pvalue == 1 / 20, name


def test_constant_data_is_no_evidence():
    a, b = np.ones((5, 2)), np.ones((6, 2))
    for name in MADE_ONCE:
        result = permutation_test(a, b, name, permutations=19)
        assert (result.statistic, result.pvalue) == (0, 1), name


def test_stopping_early():
    xs, xt = samples()
    for name in ("sliced_wasserstein", "jensen_shannon"):
        result = permutation_test(xs, xt, name, permutations=5000, stop_after=10, seed=1)
        assert len(result.null) < 5000
        assert result.pvalue == 10 / len(result.null)


def test_seed_and_types():
    xs, xt = samples(shift=0.3)
    a, again, b = (permutation_test(xs, xt, "coral", permutations=9, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.null, again.null)
    assert (a.null != b.null).any()
    for name in MADE_ONCE:
        found = permutation_test(xs, xt, name, permutations=9)
        tensors = permutation_test(*(torch.from_numpy(x) for x in (xs, xt)), name, permutations=9)
        single = permutation_test(*(x.astype(np.float32) for x in (xs, xt)), name, permutations=9)
        np.testing.assert_allclose(tensors.null, found.null, rtol=1e-10)
        np.testing.assert_allclose(single.null, found.null, rtol=1e-4, atol=1e-6)


# -- bad input ----------------------------------------------------------------------------------------------


def test_bad_input():
    xs, xt = samples()
    with pytest.raises(
        ValueError, match=r"distance must be a function or one of a_distance, coral, .*got 'fid'"
    ):
        permutation_test(xs, xt, "fid")
    with pytest.raises(ValueError, match="permutations must be at least 1"):
        permutation_test(xs, xt, permutations=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        permutation_test(xs * np.nan, xt)
    with pytest.raises(ValueError, match="returned a value that is NaN or infinite"):
        permutation_test(xs, xt, lambda a, b: np.nan)
    with pytest.raises(ValueError, match="coral returned a value that is NaN or infinite"):
        permutation_test(xs * 1e120, xt * 1e120, "coral")
    with pytest.raises(ValueError, match="exceed max_points=10"):
        permutation_test(xs, xt, "wasserstein", max_points=10)
    with pytest.raises(ValueError, match="needs images"):
        permutation_test(xs, xt, "idd")
    with pytest.raises(ValueError, match="projections must be at least 1"):
        permutation_test(xs, xt, projections=0)
