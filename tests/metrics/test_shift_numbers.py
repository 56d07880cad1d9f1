"""The table row that dakit reports."""

import json

import numpy as np
import pytest

from dakit.metrics import a_distance, icv, idd, mmd, mmd_test, shift_numbers


def test_holds_the_metrics():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(60, 4)), rng.normal(size=(50, 4)) + 1
    ys, yt = np.arange(60) % 3, np.array(["cat", "dog"])[np.arange(50) % 2]
    found = shift_numbers(xs, xt, ys, yt, seed=2, permutations=40)
    assert list(found) == ["mmd", "mmd_pvalue", "a_distance", "icv_source", "icv_target", "idd"]
    assert found["mmd"] == pytest.approx(mmd(xs, xt))
    assert found["mmd_pvalue"] == mmd_test(xs, xt, seed=2, permutations=40).pvalue == 1 / 41
    assert found["a_distance"] == a_distance(xs, xt, seed=2)
    assert found["icv_source"] == icv(xs, ys, descriptor="features")
    assert found["icv_target"] == icv(xt, yt, descriptor="features")
    assert found["idd"] == idd(xs, xt, descriptor="features")
    json.dumps(found)


def test_without_labels_or_without_pairs():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    found = shift_numbers(xs, xt, None, np.arange(5))
    assert found["icv_source"] is None
    assert found["icv_target"] is None


def test_bad_labels():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"yt must hold one label per example, shape \(5,\)"):
        shift_numbers(rng.normal(size=(6, 4)), rng.normal(size=(5, 4)), yt=np.zeros(6))
