"""Sliced and max-sliced Wasserstein distances."""

import math

import numpy as np
import ot
import pytest
import torch
from scipy.stats import wasserstein_distance

from dakit.metrics import max_sliced_wasserstein, sliced_wasserstein
from dakit.metrics.sliced import _power_and_gradient, merged_quantiles, sliced_under

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def samples(n=60, m=45, d=5, shift=0.3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + shift).astype(dtype)


def directions(count, d, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


# -- by hand ------------------------------------------------------------------------------------------------


def test_by_hand_for_unequal_sizes():
    # Quantile functions: 0 on the first half and 6 on the second, against 0, 3, 9 on thirds. The merged pieces have
    # lengths 1/3, 1/6, 1/6, 1/3 and gaps 0, 3, 3, 3.
    xs, xt = [[0.0], [6.0]], [[9.0], [0.0], [3.0]]
    assert sliced_wasserstein(xs, xt, p=1) == pytest.approx(3 * 2 / 3)
    assert sliced_wasserstein(xs, xt, p=2) == pytest.approx(math.sqrt(9 * 2 / 3))
    left, right, weight = merged_quantiles(2, 3)
    assert left.tolist() == [0, 0, 1, 1] and right.tolist() == [0, 1, 1, 2]
    np.testing.assert_allclose(weight, [1 / 3, 1 / 6, 1 / 6, 1 / 3])


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize(("n", "m"), [(60, 60), (60, 45), (7, 61), (2, 2)])
def test_against_pot(n, m, p):
    xs, xt = samples(n, m)
    expected = ot.sliced_wasserstein_distance(xs, xt, projections=directions(40, 5, 3).T, p=p)
    assert sliced_wasserstein(xs, xt, p=p, projections=40, seed=3) == pytest.approx(expected, rel=1e-9)


def test_one_feature_against_scipy():
    xs, xt = samples(31, 50, 1)
    expected = wasserstein_distance(xs[:, 0], xt[:, 0])
    assert sliced_wasserstein(xs, xt, p=1, projections=3) == pytest.approx(expected, rel=1e-10)


def test_many_projections_and_points_pass_in_blocks(monkeypatch):
    xs, xt = samples(300, 200)
    whole = sliced_wasserstein(xs, xt)
    monkeypatch.setattr("dakit.metrics.sliced.ENTRIES", 1500)  # three directions at a time
    assert sliced_wasserstein(xs, xt) == pytest.approx(whole, rel=1e-12)


def test_translated_gaussians_in_closed_form():
    # Along u the same points are shifted by u'δ, so SW_2² = mean of (u'δ)².
    xs, _ = samples(200)
    delta = np.array([3.0, -1.0, 0.5, 0.0, 2.0])
    expected = math.sqrt(np.mean((directions(100, 5) @ delta) ** 2))
    assert sliced_wasserstein(xs, xs + delta) == pytest.approx(expected, rel=1e-9)
    assert sliced_wasserstein(xs, xs + delta, projections=20_000) == pytest.approx(
        np.linalg.norm(delta) / math.sqrt(5), rel=0.02
    )


def test_scaled_gaussians_in_closed_form():
    # Along every direction N(0, 1) against N(0, 9): W_2 = 2.
    rng = np.random.default_rng(1)
    xs, xt = rng.normal(size=(20_000, 3)), 3 * rng.normal(size=(30_000, 3))
    assert sliced_wasserstein(xs, xt) == pytest.approx(2, rel=0.02)


# -- limits and invariances ---------------------------------------------------------------------------------


def test_invariances():
    xs, xt = samples()
    value = sliced_wasserstein(xs, xt)
    assert sliced_wasserstein(xt, xs) == pytest.approx(value, rel=1e-12)
    assert sliced_wasserstein(xs[::-1], xt) == pytest.approx(value, rel=1e-12)
    assert sliced_wasserstein(xs + 5, xt + 5) == pytest.approx(value, rel=1e-10)
    assert sliced_wasserstein(xs * 7, xt * 7) == pytest.approx(7 * value, rel=1e-12)
    assert sliced_wasserstein(np.repeat(xs, 3, 0), xt) == pytest.approx(value, rel=1e-10)
    assert sliced_wasserstein(xs, xs) == 0
    assert sliced_wasserstein(xs, np.repeat(xs, 2, 0)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("n", "m"), [(500, 500), (500, 400)])
def test_precisions_devices_and_types_agree(n, m, device):
    xs, xt = samples(n, m)
    value = sliced_wasserstein(xs, xt)
    tensors = (torch.from_numpy(x).to(device) for x in (xs, xt))
    assert sliced_wasserstein(*tensors) == pytest.approx(value, rel=1e-10)
    far = (torch.from_numpy(x + 1000).float().to(device) for x in (xs, xt))
    assert sliced_wasserstein(*far) == pytest.approx(value, rel=1e-3)
    assert sliced_wasserstein(xs.astype(np.float32), xt.astype(np.float32)) == pytest.approx(value, rel=1e-5)


def test_the_torch_path_is_the_numpy_path():
    from dakit.metrics.sliced import _Line

    xs, xt = samples(30, 20)
    projected = torch.from_numpy(directions(10, 5) @ np.r_[xs, xt].T)
    group = [(np.arange(30), np.arange(30, 50))]
    for match in (None, merged_quantiles(30, 20)):
        if match is None:
            group = [(np.arange(25), np.arange(25, 50))]
        on_cpu = _Line(2.0, match, projected)
        elsewhere = _Line(2.0, match, projected)
        elsewhere.on_cpu = False
        elsewhere.match = match and tuple(torch.from_numpy(x) for x in match)
        assert elsewhere.powers(projected, group)[0] == pytest.approx(on_cpu.powers(projected, group)[0])
        group = [(np.arange(30), np.arange(30, 50))]


@pytest.mark.parametrize("size", [1e-30, 1e30, 3e38])
def test_sizes_at_the_ends_of_float32(size):
    xs, xt = samples(50, 40)
    scale = size / max(abs(xs).max(), abs(xt).max())
    small = [(x * scale).astype(np.float32) for x in (xs, xt)]
    assert sliced_wasserstein(*small) / scale == pytest.approx(sliced_wasserstein(xs, xt), rel=1e-4)


def test_relabelled_columns():
    xs, xt = samples(12, 9)
    pooled = np.r_[xs, xt]
    labels = np.random.default_rng(0).permuted(np.tile([1] * 12 + [0] * 9, (4, 1)), axis=1).T
    found = sliced_under(
        torch.from_numpy(xs), torch.from_numpy(xt), torch.from_numpy(labels.astype(np.uint8))
    )
    expected = [sliced_wasserstein(pooled[z == 1], pooled[z == 0]) for z in labels.T]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


# -- the worst direction ------------------------------------------------------------------------------------


def test_max_sliced_finds_a_translation():
    xs, _ = samples(150)
    delta = np.array([3.0, -1.0, 0.5, 0.0, 2.0])
    found = max_sliced_wasserstein(xs, xs + delta)
    assert float(found) == pytest.approx(np.linalg.norm(delta), rel=1e-6)
    assert abs(found.direction @ delta) == pytest.approx(np.linalg.norm(delta), rel=1e-6)


def test_max_sliced_finds_the_one_direction_that_is_stretched():
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(4000, 6)), rng.normal(size=(4000, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    xt[:, 0] *= 3
    found = max_sliced_wasserstein(xs @ turn, xt @ turn)
    assert abs(found.direction @ turn[0]) > 0.98  # row 0 of turn is the image of the first axis
    assert found.value == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_max_sliced_beats_random_directions_and_is_attained(p):
    xs, xt = samples(80, 60, 8, 0.1)
    found = max_sliced_wasserstein(xs, xt, p=p)
    tried = ot.max_sliced_wasserstein_distance(xs, xt, n_projections=2000, p=p, seed=0)
    assert found.value > tried
    assert np.linalg.norm(found.direction) == pytest.approx(1)
    along = sliced_wasserstein(xs @ found.direction[:, None], xt @ found.direction[:, None], p=p)
    assert along == pytest.approx(found.value, rel=1e-10)


def test_in_the_plane_no_direction_is_better():
    xs, xt = samples(40, 30, 2, 0.0, seed=5)
    angles = np.linspace(0, np.pi, 3000)
    grid = [
        sliced_wasserstein(xs @ u[:, None], xt @ u[:, None], projections=1)
        for u in np.stack([np.cos(angles), np.sin(angles)], 1)
    ]
    # The distance has kinks, so that the best of the grid may miss the top by about its step of 1e-3.
    assert max(grid) <= max_sliced_wasserstein(xs, xt).value <= max(grid) * (1 + 1e-3)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (20, 13)])
def test_its_gradient(n, m):
    xs, xt = samples(n, m)
    at = directions(3, 5)
    match = merged_quantiles(n, m)
    _, gradient = _power_and_gradient(xs, xt, at, match, 2.0)
    numeric = np.empty_like(at)
    for j in range(5):
        step = np.eye(5)[j] * 1e-6
        ends = [_power_and_gradient(xs, xt, at + sign * step, match, 2.0)[0] for sign in (1, -1)]
        numeric[:, j] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-7)


def test_max_sliced_of_equal_or_single_features():
    xs, xt = samples(20, 20, 1)
    assert max_sliced_wasserstein(xs, xt).value == pytest.approx(sliced_wasserstein(xs, xt))
    assert max_sliced_wasserstein(xs, xs).value == 0
    constant = max_sliced_wasserstein(np.full((3, 2), 0.1), np.full((4, 2), 0.1))
    assert constant.value == 0 and constant.direction.tolist() == [0, 0]


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [sliced_wasserstein, max_sliced_wasserstein])
def test_bad_input(function):
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match=r"p must be a finite number of at least 1, got 0\.5"):
        function(xs, xt, p=0.5)
    with pytest.raises(ValueError, match="NaN"):
        function(xs * np.nan, xt)
    with pytest.raises(ValueError, match="same features"):
        function(xs, xt[:, :2])
    with pytest.raises(ValueError, match="at least 2 examples"):
        function(xs[:1], xt)


def test_bad_counts():
    xs, xt = samples(5, 5)
    with pytest.raises(ValueError, match="projections must be at least 1, got 0"):
        sliced_wasserstein(xs, xt, projections=0)
    with pytest.raises(ValueError, match="restarts and steps must be at least 1"):
        max_sliced_wasserstein(xs, xt, steps=0)
