"""One sentence or a right answer, from every metric alike: never a silent NaN, never a warning from numpy."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch

from dakit import metrics

PAIRS = {  # functions of two samples
    "mmd": {},
    "mmd_test": {"permutations": 9},
    "mmd_estimate": {},
    "median_heuristic": {},
    "energy_distance": {},
    "energy_test": {"permutations": 9},
    "wasserstein": {},
    "sinkhorn_divergence": {"epsilon": 0.5},
    "sliced_wasserstein": {},
    "max_sliced_wasserstein": {"restarts": 2, "steps": 10},
    "coral_distance": {},
    "frechet_distance": {},
    "jensen_shannon": {},
    "a_distance": {"folds": 2},
    "a_distance_estimate": {"folds": 2},
    "h_divergence": {},
    "discrepancy": {},
    "c2st": {},
    "knn_test": {"permutations": 9, "k": 2},
    "mst_test": {"permutations": 9},
    "feature_tests": {},
    "rank_features": {"permutations": 9},
    "witness": {},
    "shift_numbers": {"permutations": 9},
    "silhouette_by_domain": {},
    "covariate_weights": {},
    "kmm_weights": {},
    "kliep_weights": {},
    "ulsif_weights": {},
    "interval": {"resamples": 20, "metric": metrics.energy_distance},
}
RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(24, 3))


def call(name, xs, xt):
    options = dict(PAIRS[name])
    function = getattr(metrics, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        if "metric" in options:
            return function(options.pop("metric"), xs, xt, **options)
        return function(xs, xt, **options)


def numbers(result):
    """Every number that a result holds."""
    if dataclasses.is_dataclass(result):
        result = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    if isinstance(result, dict):
        return [n for key, value in result.items() if key != "stderr" for n in numbers(value)]
    if isinstance(result, tuple | list):
        return [n for value in result for n in numbers(value)]
    if isinstance(result, np.ndarray | torch.Tensor):
        array = np.asarray(result)
        return array.ravel().astype(float).tolist() if array.dtype.kind in "fiub" else []
    return [float(result)] if isinstance(result, float | int) else []


BAD = {
    "one example": (GOOD[:1], GOOD),
    "no example": (GOOD[:0], GOOD),
    "NaN": (np.where(np.arange(72).reshape(24, 3) == 5, np.nan, GOOD), GOOD),
    "infinite": (GOOD, np.where(np.arange(72).reshape(24, 3) == 5, np.inf, GOOD)),
    "other features": (GOOD, GOOD[:, :2]),
    "one axis": (GOOD[:, 0], GOOD[:, 0]),
    "text": (GOOD.astype(str), GOOD),
    "complex": (GOOD.astype(complex), GOOD),
}
# Defined also where one sample is a single point.
ALLOWED = {("median_heuristic", "one example"), ("silhouette_by_domain", "one example")}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("name", PAIRS)
def test_bad_samples_get_one_sentence(name, what):
    if (name, what) in ALLOWED:
        assert np.isfinite(numbers(call(name, *BAD[what]))).all()
        return
    with pytest.raises((ValueError, TypeError)) as caught:
        call(name, *BAD[what])
    sentence = str(caught.value)
    assert 10 < len(sentence) < 400
    assert "\n" not in sentence


UNUSUAL = {
    "equal samples": (GOOD, GOOD),
    "integers": (RNG.integers(0, 9, (24, 3)), RNG.integers(0, 9, (20, 3))),
    "bytes": (RNG.integers(0, 255, (24, 3)).astype(np.uint8), RNG.integers(0, 255, (20, 3)).astype(np.uint8)),
    "truth values": (GOOD > 0, GOOD[:20] > 0.5),
    "one constant feature": (np.c_[GOOD, np.ones(24)], np.c_[GOOD[:20] + 1, np.ones(20)]),
    "all constant": (np.ones((24, 3)), np.ones((20, 3))),
    "constant and apart": (np.ones((24, 3)), np.zeros((20, 3))),
    "huge": (GOOD * 1e30, GOOD[:20] * 1e30 + 1e30),
    "tiny": (GOOD * 1e-30, GOOD[:20] * 1e-30 + 1e-30),
    "far from zero": (GOOD + 1e8, GOOD[:20] + 1e8 + 1),
    "more features than examples": (RNG.normal(size=(12, 50)), RNG.normal(size=(10, 50)) + 1),
    "float16": (torch.tensor(GOOD, dtype=torch.float16), torch.tensor(GOOD[:20] + 1, dtype=torch.float16)),
    "images": (RNG.random((24, 1, 4, 4)), RNG.random((20, 1, 4, 4))),
}


@pytest.mark.parametrize("what", UNUSUAL)
@pytest.mark.parametrize("name", PAIRS)
def test_unusual_samples_get_numbers_or_one_sentence(name, what):
    try:
        found = numbers(call(name, *UNUSUAL[what]))
    except ValueError as error:
        assert "\n" not in str(error)
        assert 10 < len(str(error)) < 400
        return
    assert found
    assert not any(math.isnan(n) for n in found)
