"""CORAL and Fréchet distances."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from dakit.metrics import coral_distance, frechet_distance


def samples(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d))
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) @ mix / math.sqrt(d) + 0.5


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand():
    xs, xt = [[-1.0, 0.0], [1.0, 0.0]], [[5.0, -2.0], [5.0, 2.0]]
    # Covariances diag(2, 0) and diag(0, 8); means (0, 0) and (5, 0). Commuting, so the roots subtract.
    assert coral_distance(xs, xt) == pytest.approx((4 + 64) / (4 * 4))
    assert frechet_distance(xs, xt) == pytest.approx(25 + 2 + 8)
    assert frechet_distance(xs, [[-3.0, 0.0], [3.0, 0.0]]) == pytest.approx(
        (math.sqrt(18) - math.sqrt(2)) ** 2
    )


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "d"), [(50, 40, 6), (200, 7, 12), (7, 200, 12), (9, 8, 40), (30, 30, 30)])
def test_coral_against_numpy(n, m, d):
    xs, xt = samples(n, m, d)
    expected = np.square(np.cov(xs.T) - np.cov(xt.T)).sum() / (4 * d**2)
    assert coral_distance(xs, xt) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("n", "m", "d"),
    [(50, 40, 6), (200, 60, 12), (500, 500, 100), (2500, 1025, 8)],  # the last in several blocks of rows
)
def test_frechet_against_scipy_and_pot(n, m, d):
    from ot.gaussian import bures_wasserstein_distance

    xs, xt = samples(n, m, d)
    cs, ct = np.cov(xs.T), np.cov(xt.T)
    shift = np.square(xs.mean(0) - xt.mean(0)).sum()
    value = frechet_distance(xs, xt)
    assert value == pytest.approx(shift + np.trace(cs + ct - 2 * sqrtm(cs @ ct).real), rel=1e-9)
    assert value == pytest.approx(bures_wasserstein_distance(xs.mean(0), xt.mean(0), cs, ct) ** 2, rel=1e-7)


@pytest.mark.parametrize(("n", "m", "d"), [(9, 8, 20), (200, 7, 12), (7, 200, 12), (30, 30, 30)])
def test_frechet_with_singular_covariances(n, m, d):
    # The root of the middle matrix by eigenvectors, with its vanishing eigenvalues cut off.
    xs, xt = samples(n, m, d)
    cs, ct = np.cov(xs.T), np.cov(xt.T)
    w, v = np.linalg.eigh(cs)
    root = v * np.sqrt(np.clip(w, 0, None)) @ v.T
    middle = np.linalg.eigvalsh(root @ ct @ root)
    trace = np.sqrt(middle[middle > 1e-9 * middle.max()]).sum()
    expected = np.square(xs.mean(0) - xt.mean(0)).sum() + np.trace(cs) + np.trace(ct) - 2 * trace
    assert frechet_distance(xs, xt) == pytest.approx(expected, rel=1e-7)


def test_frechet_against_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    xs, xt = samples(400, 300, 16)
    moments = [torch.from_numpy(a) for x in (xs, xt) for a in (x.mean(0), np.cov(x.T))]
    expected = float(_compute_fid(*moments))
    assert frechet_distance(xs, xt) == pytest.approx(expected, rel=1e-8)


# -- limits and invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [3, 60])
def test_invariances(d):
    xs, xt = samples(50, 40, d)
    rng = np.random.default_rng(1)
    coral, frechet = coral_distance(xs, xt), frechet_distance(xs, xt)
    assert coral_distance(xt, xs) == pytest.approx(coral)
    assert frechet_distance(xt, xs) == pytest.approx(frechet)
    assert coral_distance(rng.permutation(xs), xt) == pytest.approx(coral)
    assert frechet_distance(rng.permutation(xs), xt) == pytest.approx(frechet)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    assert coral_distance(xs @ turn, xt @ turn) == pytest.approx(coral)
    assert frechet_distance(xs @ turn, xt @ turn) == pytest.approx(frechet)
    assert coral_distance(xs + 5, xt - 5) == pytest.approx(coral)
    assert frechet_distance(xs + 5, xt + 5) == pytest.approx(frechet)
    assert coral_distance(3 * xs, 3 * xt) == pytest.approx(81 * coral)
    assert frechet_distance(3 * xs, 3 * xt) == pytest.approx(9 * frechet)


@pytest.mark.parametrize("d", [3, 60])
def test_zero_on_itself_and_a_translation(d):
    xs, _ = samples(50, 2, d)
    assert coral_distance(xs, xs) < 1e-14
    assert frechet_distance(xs, xs) < 1e-10
    shift = np.arange(d) / d
    assert coral_distance(xs, xs + shift) < 1e-14
    assert frechet_distance(xs, xs + shift) == pytest.approx((shift**2).sum(), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-80, 1e30, 1e139])
def test_frechet_of_huge_and_tiny_features(scale):
    # The product of two covariances of such features overflows or vanishes; in units of their traces it does not.
    xs, xt = samples(50, 40, 4)
    xs, xt = xs / np.abs(xs).max(), xt / np.abs(xt).max()
    assert frechet_distance(scale * xs, scale * xt) == pytest.approx(
        scale**2 * frechet_distance(xs, xt), rel=1e-12
    )


def test_dependent_features_do_not_blur_the_trace():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(300, 2))
    xs = low @ rng.normal(size=(2, 20))  # 20 features, 2 dimensions, more points than features
    assert frechet_distance(xs, xs) < 1e-10
    assert frechet_distance(xs, 2 * xs) == pytest.approx(
        np.trace(np.cov(xs.T)) + np.square(xs.mean(0)).sum(), rel=1e-9
    )


def test_float32_with_a_large_offset_and_constant_data():
    xs, xt = samples(200, 200, 8)
    a, b = (xs + 1000).astype(np.float32), (xt + 1000).astype(np.float32)
    for distance in (coral_distance, frechet_distance):
        assert distance(a, b) == pytest.approx(distance(a.astype(float), b.astype(float)), rel=1e-12)
        assert distance(torch.from_numpy(a), b.reshape(200, 2, 4).reshape(200, 8)) == distance(a, b)
    assert coral_distance(np.ones((4, 3)), np.ones((5, 3)) * 2) == 0
    assert frechet_distance(np.ones((4, 3)), np.ones((5, 3)) * 2) == pytest.approx(3)


@pytest.mark.parametrize("distance", [coral_distance, frechet_distance])
def test_bad_input(distance):
    xs, xt = samples(5, 5, 3)
    with pytest.raises(ValueError, match="xt needs at least 2 examples, got 1"):
        distance(xs, xt[:1])
    with pytest.raises(ValueError, match="same features"):
        distance(xs, xt[:, :2])
    with pytest.raises(ValueError, match="infinite"):
        distance(xs, np.where(xt > 0, np.inf, xt))
