"""The bound on the target error, term by term."""

import math

import numpy as np
import pytest
import torch

from dakit.metrics import ben_david_bound, h_divergence
from dakit.metrics.classifier_test import split


def domains(shift=0.0, turned=False, seed=0, n=400):
    """Two classes on the first axis; the target moves along the second, or its rule is turned round."""
    rng = np.random.default_rng(seed)
    found = []
    for moved in (0.0, shift):
        y = rng.integers(0, 2, n)
        x = rng.normal(size=(n, 2)) + np.stack([4 * y - 2, np.full(n, moved)], axis=1)
        found += [x, y]
    if turned:
        found[3] = 1 - found[3]
    return found


def test_the_terms_by_definition():
    xs, ys, xt, yt = domains(1.0)

    def h(x):
        return (x[:, 0] > 0.5).astype(int)

    found = ben_david_bound(xs, ys, xt, yt, hypothesis=h)
    _, test = split(400, 0.5, 0)
    assert found.source_error == (h(xs[test]) != ys[test]).mean()
    assert found.target_error == (h(xt) != yt).mean()
    assert found.divergence == h_divergence(xs, xt, hypotheses="linear_pairs")
    assert found.complexity is None
    assert found.value == found.source_error + found.divergence / 2 + found.lambda_


def test_the_complexity_term():
    xs, ys, xt, yt = domains()
    found = ben_david_bound(xs, ys, xt, yt, vc_dimension=3, delta=0.1)
    expected = 4 * math.sqrt((2 * 3 * math.log(800) + math.log(20)) / 400)
    assert found.complexity == pytest.approx(expected)
    assert found.value == pytest.approx(found.source_error + found.divergence / 2 + found.lambda_ + expected)


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_what_each_term_sees(probe):
    same, moved, turned = (
        ben_david_bound(*domains(**k), probe=probe) for k in ({}, {"shift": 6.0}, {"turned": True})
    )
    assert same.value < 0.35 and same.lambda_ < 0.15
    assert moved.divergence > 1.9 and moved.lambda_ < 0.2 and moved.target_error < 0.2
    # A rule turned round is invisible to the divergence: it is lambda* that grows.
    assert turned.divergence < 0.35 and turned.lambda_ > 0.8 and turned.target_error > 0.85
    for found in (same, moved, turned):
        assert found.target_error <= found.value


def test_without_target_labels_it_says_so():
    xs, ys, xt, _ = domains(1.0)
    found = ben_david_bound(xs, ys, xt)
    assert found.lambda_ is found.value is found.target_error is None
    assert found.known == found.source_error + found.divergence / 2
    assert "lambda*           unknown without target labels" in repr(found)
    assert "unknown; the known terms are" in repr(found)


def test_all_parts_are_shown():
    found = ben_david_bound(*domains(1.0), vc_dimension=3)
    text = repr(found)
    for part in ("source error", "1/2 divergence", "proxy: products of two affine", "lambda*", "complexity"):
        assert part in text
    assert f"{found.value:.3f}" in text and f"{found.target_error:.3f}" in text


def test_names_of_classes_tensors_and_scale():
    xs, ys, xt, yt = domains(1.0)
    expected = ben_david_bound(xs, ys, xt, yt)
    names = np.array(["no", "yes"])
    assert repr(ben_david_bound(xs, names[ys], xt, names[yt])) == repr(expected)
    tensors = ben_david_bound(*(torch.from_numpy(a) for a in (xs, ys, xt, yt)))
    assert repr(tensors) == repr(expected)
    named = ben_david_bound(
        xs, names[ys], xt, names[yt], hypothesis=lambda x: names[(x[:, 0] > 0).astype(int)]
    )
    assert named.source_error < 0.1
    strange = ben_david_bound(xs, names[ys], xt, names[yt], hypothesis=lambda x: np.full(len(x), "maybe"))
    assert strange.source_error == strange.target_error == 1


def test_a_class_that_source_lacks_counts_as_error():
    xs, ys, xt, yt = domains()
    yt = np.where(np.arange(400) % 2, 2, yt)
    assert ben_david_bound(xs, ys, xt, yt).target_error >= 0.5


def test_bad_input():
    xs, ys, xt, yt = domains(n=20)
    with pytest.raises(ValueError, match="probe must be 'linear' or 'mlp'"):
        ben_david_bound(xs, ys, xt, probe="tree")
    with pytest.raises(ValueError, match="no class occurs in both samples: ys holds 0, 1, yt 5, 6"):
        ben_david_bound(xs, ys, xt, yt + 5)
    with pytest.raises(TypeError, match="must name classes alike"):
        ben_david_bound(xs, ys, xt, yt.astype(str))
    with pytest.raises(ValueError, match="single class"):
        ben_david_bound(xs, ys * 0, xt)
    with pytest.raises(ValueError, match="ys must hold one label per example"):
        ben_david_bound(xs, ys[:3], xt)
    with pytest.raises(ValueError, match="delta must lie"):
        ben_david_bound(xs, ys, xt, delta=0)
    with pytest.raises(ValueError, match="vc_dimension must be at least 1"):
        ben_david_bound(xs, ys, xt, vc_dimension=0)
    with pytest.raises(ValueError, match="hypothesis must return one label per row"):
        ben_david_bound(xs, ys, xt, hypothesis=lambda x: 0)
