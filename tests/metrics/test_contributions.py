"""The MMD² split over the classes."""

import numpy as np
import pytest
import torch

from dakit.metrics import class_contributions, mmd


def domains(moved=0.0, keep=1.0, n=150, seed=0):
    rng = np.random.default_rng(seed)
    ys, yt = np.repeat(["a", "b", "c"], n), np.repeat(["a", "b", "c"], n)
    centres = {"a": [0, 0], "b": [4, 0], "c": [0, 4]}
    xs, xt = (np.array([centres[c] for c in y]) + rng.normal(size=(len(y), 2)) for y in (ys, yt))
    xt[yt == "b"] += moved
    kept = (yt != "c") | (rng.random(len(yt)) < keep)
    return xs, ys, xt[kept], yt[kept]


@pytest.mark.parametrize("kernel", ["rbf", "laplace", "imq"])
def test_the_contributions_add_up_to_the_mmd(kernel):
    xs, ys, xt, yt = domains(1.0, 0.5)
    found = class_contributions(xs, ys, xt, yt, kernel=kernel)
    assert found.values.sum() == pytest.approx(mmd(xs, xt, kernel=kernel), rel=1e-9)
    assert found.mmd == pytest.approx(found.values.sum())
    assert found.table()["share"].sum() == pytest.approx(1)


def test_by_hand():
    # f(0) = 0 - k(0,1) for each source point (its own kernel left out), f(1) = k(1,0) mean - 0.
    k = np.exp(-1.0)
    found = class_contributions([[0.0], [0.0]], ["a", "b"], [[1.0], [1.0]], ["a", "b"], bandwidths=1.0)
    np.testing.assert_allclose(found.values, [1 - k, 1 - k])


def test_the_class_that_moved_and_the_class_that_became_rare_stand_out():
    assert class_contributions(*domains(moved=2.0)).table()["class"][0] == "b"
    assert class_contributions(*domains(keep=0.1)).table()["class"][0] == "c"


def test_order_and_kind_of_input_do_not_matter():
    xs, ys, xt, yt = domains(1.0)
    found = class_contributions(xs, ys, xt, yt)
    order = np.random.default_rng(0).permutation(len(xs))
    again = class_contributions(torch.from_numpy(xs[order]), ys[order], torch.from_numpy(xt), yt)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-9, atol=1e-12)
    swapped = class_contributions(xt, yt, xs, ys)
    np.testing.assert_allclose(swapped.values, found.values, rtol=1e-9, atol=1e-12)


def test_bad_input():
    xs, ys, xt, yt = domains()
    with pytest.raises(ValueError, match="no class occurs in both samples"):
        class_contributions(xs, ys, xt, np.char.add(yt, "x"))
    with pytest.raises(ValueError, match="one label per example"):
        class_contributions(xs, ys[:-1], xt, yt)
    with pytest.raises(ValueError, match="same features"):
        class_contributions(xs, ys, xt[:, :1], yt)
