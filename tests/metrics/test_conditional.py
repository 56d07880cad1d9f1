"""Distances that look at labels."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from dakit.metrics import (
    class_distances,
    conditional_mmd,
    joint_mmd,
    median_heuristic,
    mmd,
    wasserstein,
)
from dakit.metrics.energy import energy_distance


def domains(n=60, m=50, shift=(0.0, 0.0, 0.0), seed=0):
    """Three classes of Gaussians in the plane; class c of the target is moved by shift[c]."""
    rng = np.random.default_rng(seed)
    ys, yt = rng.integers(0, 3, n), rng.integers(0, 3, m)
    xs, xt = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    xs[:, 0] += 4 * ys
    xt[:, 0] += 4 * yt
    xt[:, 1] += np.array(shift)[yt]
    return xs, ys, xt, yt


def test_class_by_class():
    xs, ys, xt, yt = domains(shift=(0.0, 3.0, 0.0))
    found = class_distances(xs, ys, xt, yt, distance="wasserstein", p=1)
    assert found.classes.tolist() == [0, 1, 2] and found.left_out == {}
    expected = [wasserstein(xs[ys == c], xt[yt == c], p=1) for c in range(3)]
    np.testing.assert_allclose(found.values, expected)
    np.testing.assert_allclose(found.source_share, np.bincount(ys) / 60)
    np.testing.assert_allclose(found.target_share, np.bincount(yt) / 50)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.table()["class"][0] == 1
    own = class_distances(xs, ys, xt, yt, distance=lambda a, b: wasserstein(a, b, p=1))
    np.testing.assert_allclose(own.values, expected)


def test_bandwidths_are_those_of_all_classes():
    xs, ys, xt, yt = domains()
    five = [median_heuristic(xs, xt) * r for r in (0.25, 0.5, 1, 2, 4)]
    expected = [mmd(xs[ys == c], xt[yt == c], bandwidths=five) for c in range(3)]
    np.testing.assert_allclose(class_distances(xs, ys, xt, yt).values, expected)
    assert conditional_mmd(xs, ys, xt, yt) == pytest.approx(np.mean(expected))
    fixed = class_distances(xs, ys, xt, yt, bandwidths=2.0)
    np.testing.assert_allclose(
        fixed.values, [mmd(xs[ys == c], xt[yt == c], bandwidths=2.0) for c in range(3)]
    )
    energies = class_distances(xs, ys, xt, yt, distance="energy").values
    np.testing.assert_allclose(energies, [energy_distance(xs[ys == c], xt[yt == c]) for c in range(3)])


def test_classes_that_cannot_be_compared_are_named():
    xs, ys, xt, yt = domains()
    yt = np.where(yt == 2, 7, yt)
    ys[ys == 1] = 0
    ys[0] = 1
    found = class_distances(xs, ys, xt, yt)
    assert found.classes.tolist() == [0]
    assert found.left_out.keys() == {1, 2, 7}
    assert found.left_out[7] == f"0 source and {(yt == 7).sum()} target examples"
    assert np.isfinite(found.values).all()
    with pytest.raises(ValueError, match="no class has at least 2 examples in each"):
        class_distances(xs[:3], [0, 1, 2], xt[:3], [0, 1, 2])


def test_conditional_mmd_is_blind_to_proportions_and_joint_mmd_is_not():
    rng = np.random.default_rng(0)
    y = {"s": np.repeat([0, 1], [150, 50]), "t": np.repeat([0, 1], [50, 150])}
    x = {k: rng.normal(size=(200, 2)) + 4 * y[k][:, None] for k in "st"}
    arguments = x["s"], y["s"], x["t"], y["t"]
    assert abs(conditional_mmd(*arguments)) < 0.02
    assert joint_mmd(*arguments) > 0.1
    assert mmd(x["s"], x["t"]) > 0.1


def gauss(a, b, bandwidths):
    return np.mean([np.exp(-cdist(a, b, "sqeuclidean") / w) for w in bandwidths], axis=0)


def of_matrix(k, n, unbiased):
    a, b, c = k[:n, :n], k[n:, n:], k[:n, n:]
    if unbiased:
        return sum((s.sum() - np.trace(s)) / (len(s) * (len(s) - 1)) for s in (a, b)) - 2 * c.mean()
    return a.mean() + b.mean() - 2 * c.mean()


@pytest.mark.parametrize("unbiased", [True, False])
def test_joint_mmd_by_its_kernel_matrix(unbiased):
    xs, ys, xt, yt = domains(shift=(1.0, 0.0, 0.0))
    x, y = np.r_[xs, xt], np.r_[ys, yt]
    kernel = gauss(x, x, [1.0, 3.0]) * (y[:, None] == y)
    found = joint_mmd(xs, ys, xt, yt, bandwidths=[1.0, 3.0], unbiased=unbiased)
    assert found == pytest.approx(of_matrix(kernel, 60, unbiased), rel=1e-9)
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 110)
    five = [median_heuristic(p[:60], p[60:]) * r for r in (0.25, 0.5, 1, 2, 4)]
    kernel = gauss(x, x, [1.0, 3.0]) * gauss(p, p, five)
    found = joint_mmd(xs, p[:60], xt, p[60:], bandwidths=[1.0, 3.0], unbiased=unbiased)
    assert found == pytest.approx(of_matrix(kernel, 60, unbiased), rel=1e-9)


def test_joint_mmd_sees_a_rule_turned_round():
    xs, ys, xt, yt = domains(300, 300)
    turned = (yt + 1) % 3
    assert abs(joint_mmd(xs, ys, xt, yt)) < 0.01
    assert joint_mmd(xs, ys, xt, turned) > 0.1
    # Probabilities that say nothing leave the MMD of the features.
    alike = np.full((300, 3), 1 / 3)
    assert joint_mmd(xs, alike, xt, alike) == pytest.approx(mmd(xs, xt), rel=1e-9, abs=1e-12)


def test_limits_names_and_types():
    xs, ys, xt, yt = domains()
    assert joint_mmd(xs, ys, xs, ys, unbiased=False) == pytest.approx(0, abs=1e-12)
    names = np.array(["a", "b", "c"])
    for function in (conditional_mmd, joint_mmd):
        value = function(xs, ys, xt, yt)
        assert function(xs, names[ys], xt, names[yt]) == pytest.approx(value)
        assert function(xs, names[ys].astype(object), xt, names[yt]) == pytest.approx(value)
        assert function(xt, yt, xs, ys) == pytest.approx(value)
        assert function(xs + 9, ys, xt + 9, yt) == pytest.approx(value, rel=1e-6)
        assert function(*(torch.from_numpy(a) for a in (xs, ys, xt, yt))) == pytest.approx(value)


def test_bad_input():
    xs, ys, xt, yt = domains()
    for function in (class_distances, conditional_mmd, joint_mmd):
        with pytest.raises(ValueError, match="no class occurs in both samples: ys holds 0, 1, 2, yt 5, 6, 7"):
            function(xs, ys, xt, yt + 5)
        with pytest.raises(TypeError, match="must name classes alike"):
            function(xs, ys, xt, yt.astype(str))
        with pytest.raises(ValueError, match="ys must hold one label per example"):
            function(xs, ys[:4], xt, yt)
        with pytest.raises(ValueError, match="NaN"):
            function(xs * np.nan, ys, xt, yt)
        with pytest.raises(ValueError, match="bandwidths must be positive"):
            function(xs, ys, xt, yt, bandwidths=-1.0)
    with pytest.raises(ValueError, match="distance must be a function or one of"):
        class_distances(xs, ys, xt, yt, distance="fid")
    p = np.full((60, 3), 1 / 3)
    with pytest.raises(ValueError, match="same classes, got 3 columns in ys and 2"):
        joint_mmd(xs, p, xt, p[:50, :2])
    with pytest.raises(ValueError, match="one row per example"):
        joint_mmd(xs, p[:9], xt, p[:50])
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]; take the softmax"):
        joint_mmd(xs, p * 9, xt, p[:50])
