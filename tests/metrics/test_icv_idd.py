"""ICV and IDD: the definitions, and the acceptance list of the measures."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon

from dakit.metrics import icv, idd
from dakit.metrics.icv_idd import describe


def pictures(n, seed=0, channels=1, size=12, low=0.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, size=(n, channels, size, size))


def flat(values, size=4):
    """Grey pictures of one brightness each."""
    return np.ones((len(values), 1, size, size)) * np.reshape(values, (-1, 1, 1, 1))


# -- by hand ------------------------------------------------------------------------------------------------


def test_idd_by_hand():
    # Means (1/2, 1/2) against (1, 0): D = log 2 - (3/2 log 3/2 + 1/2 log 1/2 - log 1/2) / 2.
    value = idd(flat([0.1, 0.9]), flat([0.2, 0.3]), bins=2)
    assert value == pytest.approx(
        math.log(2) - (1.5 * math.log(1.5) + 0.5 * math.log(0.5) - math.log(0.5)) / 2
    )


def test_icv_by_hand():
    # Class "a": divergences 0, log 2, log 2. Class "b": one pair, 0. Class "c" has no pair.
    x, y = flat([0.1, 0.2, 0.9, 0.6, 0.7, 0.5]), ["a", "a", "a", "b", "b", "c"]
    assert icv(x, y, bins=2, stat="mean") == pytest.approx((2 / 3 * math.log(2) + 0) / 2)
    assert icv(x, y, bins=2) == pytest.approx((2 / 9 * math.log(2) ** 2 + 0) / 2)
    assert icv(x, y, bins=2, log_base=2) == pytest.approx(1 / 9)


def test_histograms_by_hand():
    x = np.zeros((1, 3, 1, 4))
    x[0, :, 0] = [[0.0, 1.0, 0.5, 0.49], [0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    np.testing.assert_allclose(describe(x, "rgb", 8)[0], [0.25, 0.25, 0, 0, 0.25, 0, 0, 0.25])
    luma = [0, 1, 0.299 * 0.5, 0.299 * 0.49 + 0.114]
    np.testing.assert_allclose(describe(x, "intensity", 10)[0], np.histogram(luma, 10, (0, 1))[0] / 4)
    np.testing.assert_allclose(describe([[0.0, math.log(3)]], "features", 64), [[0.25, 0.75]])


# -- independent references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("descriptor", ["intensity", "rgb", "features"])
def test_against_scipy(descriptor):
    xs, xt = pictures(30, 0, 3, high=0.8), pictures(20, 1, 3, low=0.3)
    if descriptor == "features":
        xs, xt = xs.reshape(30, -1)[:, :40] * 5, xt.reshape(20, -1)[:, :40] * 5
    hs, ht = describe(xs, descriptor, 27), describe(xt, descriptor, 27)
    assert idd(xs, xt, descriptor=descriptor, bins=27) == pytest.approx(
        jensenshannon(hs.mean(0), ht.mean(0)) ** 2
    )
    y = np.arange(30) % 3
    pairs = [
        [jensenshannon(hs[i], hs[j]) ** 2 for i in range(30) for j in range(i) if y[i] == y[j] == c]
        for c in range(3)
    ]
    kwargs = {"descriptor": descriptor, "bins": 27}
    assert icv(xs, y, **kwargs) == pytest.approx(np.mean([np.var(p) for p in pairs]), rel=1e-9)
    assert icv(xs, y, stat="mean", **kwargs) == pytest.approx(np.mean([np.mean(p) for p in pairs]), rel=1e-9)


def test_blocks_add_up():
    # Enough of one class for several blocks of rows.
    h = np.random.default_rng(0).dirichlet(np.ones(300), size=70)
    x = np.log(h)
    pairs = [jensenshannon(a, b) ** 2 for i, a in enumerate(h) for b in h[:i]]
    assert icv(x, np.zeros(70), descriptor="features") == pytest.approx(np.var(pairs), rel=1e-7)
    assert icv(x, np.zeros(70), descriptor="features", stat="mean") == pytest.approx(np.mean(pairs), rel=1e-9)


def test_histograms_against_numpy():
    x = pictures(5, 0, 3)
    for h, image in zip(describe(x, "rgb", 64), x):
        expected = np.histogramdd(image.reshape(3, -1).T, bins=4, range=[(0, 1)] * 3)[0]
        np.testing.assert_allclose(h, expected.ravel() / 144)


# -- acceptance list: IDD -----------------------------------------------------------------------------------


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(1), st.just(3), st.just(3))),
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(1), st.just(3), st.just(3))),
    st.integers(2, 64),
    st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_idd_properties(xs, xt, bins, seed):
    value = idd(xs, xt, bins=bins)
    assert 0 <= value <= math.log(2)
    assert idd(xt, xs, bins=bins) == pytest.approx(value, abs=1e-9)
    assert idd(xs, xs, bins=bins) == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(seed)
    assert idd(rng.permutation(xs), xt, bins=bins) == pytest.approx(value, abs=1e-9)
    moved = xs.reshape(len(xs), -1)[:, rng.permutation(9)].reshape(xs.shape)
    assert idd(moved, xt, bins=bins) == pytest.approx(value, abs=1e-9)
    assert idd(xs, xt, bins=bins, log_base=2) == pytest.approx(value / math.log(2), abs=1e-9)


def test_disjoint_supports_are_log_2_apart():
    assert idd(pictures(5, high=0.4), pictures(5, low=0.6), bins=10) == pytest.approx(math.log(2), abs=1e-9)


def test_idd_rises_with_severity():
    x = pictures(40)
    # A ramp of contrast: every pixel on its way to white.
    ladder = [idd(x, x + s * (1 - x)) for s in (0, 0.25, 0.5, 0.75, 1)]
    assert (np.diff(ladder) > 0).all()


# -- acceptance list: ICV -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stat", ["var", "mean"])
def test_icv_of_equal_pictures_is_zero(stat):
    x = np.repeat(pictures(3), 8, axis=0)
    assert icv(x, np.repeat([0, 1, 2], 8), stat=stat) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("stat", ["var", "mean"])
def test_icv_depends_on_classes_not_on_their_names_or_palettes(stat):
    rng = np.random.default_rng(0)
    x, y = pictures(30) ** np.linspace(0.5, 2, 30)[:, None, None, None], np.arange(30) % 3
    value = icv(x, y, stat=stat)
    assert icv(x, np.array(["c", "a", "b"])[y], stat=stat) == pytest.approx(value)
    assert icv(x, torch.from_numpy(7 - 2 * y), stat=stat) == pytest.approx(value)
    order = rng.permutation(30)
    assert icv(x[order], y[order], stat=stat) == pytest.approx(value)
    # Another palette for one class: the same histograms in other cells.
    other = x.copy()
    other[y == 1] = 1 - (x[y == 1] * 64 // 1 + 0.5) / 64
    assert icv(other, y, stat=stat) == pytest.approx(value)


def test_mean_icv_rises_with_contrast_jitter():
    rng = np.random.default_rng(0)
    x, y = np.repeat(pictures(1, low=0.4, high=0.6), 40, axis=0), np.zeros(40)
    jitter = rng.uniform(-1, 1, size=(40, 1, 1, 1))
    ladder = [icv(0.5 + (x - 0.5) * (1 + s * jitter), y, stat="mean") for s in (0, 0.25, 0.5, 0.75, 1)]
    assert (np.diff(ladder) > 0).all()


@pytest.fixture(scope="module")
def ink_and_photographs():
    """Digits in ink on white, the same digits on photographs, and bare photographs: 28 x 28, grey."""
    from sklearn.datasets import load_digits, load_sample_images
    from torch.nn import functional

    digits = load_digits()
    ink = torch.from_numpy(digits.images[:600] / 16).float()[:, None]
    # The layout of MNIST: 20 x 20, drawn with soft edges, in the middle of 28 x 28.
    ink = (
        functional.pad(functional.interpolate(ink, size=(20, 20), mode="bilinear"), (4,) * 4).double().numpy()
    )
    rng = np.random.default_rng(0)
    images = [image @ [0.299, 0.587, 0.114] / 255 for image in load_sample_images().images]
    photos = np.empty_like(ink)
    for photo in photos:
        image = images[rng.integers(2)]
        top, left = rng.integers(image.shape[0] - 28), rng.integers(image.shape[1] - 28)
        photo[0] = image[top : top + 28, left : left + 28]
    return 1 - ink, np.abs(photos - ink), photos, digits.target[:600]


def test_scale_of_the_published_values(ink_and_photographs):
    # What the reconstruction rests on. Drawn with hard edges, as two brightnesses only, the ink is further from the
    # photographs (0.66) than the published figure has sketches (0.52 to 0.57): soft edges belong to the reading.
    ink, on_photos, photos, y = ink_and_photographs
    assert icv(ink, y, bins=64) < 0.001 < icv(on_photos, y, bins=64)
    assert 0.3 <= idd(ink, photos, bins=64) <= 0.6
    # The plain mean is an order of magnitude above the published 0.01 to 0.04.
    assert icv(on_photos, y, bins=64, stat="mean") > 0.2


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((4, 9)), {}, "needs images of shape"),
        (np.zeros((4, 2, 3, 3)), {}, "1 or 3, height, width"),
        (np.zeros((4, 1, 3, 3)), {"descriptor": "rgb"}, r"\(n, 3, height, width\)"),
        (np.zeros((4, 3, 3, 3)), {"descriptor": "rgb", "bins": 60}, "must be a cube"),
        (np.full((4, 1, 3, 3), 1.2), {}, "runs from 1.2 to 1.2"),
        (np.full((4, 1, 3, 3), -0.2), {}, r"values in \[0, 1\]"),
        (np.full((4, 1, 3, 3), np.nan), {}, "NaN"),
        (np.zeros((4, 1, 3, 3)), {"bins": 1}, "bins must be at least 2"),
        (np.zeros((4, 1, 3, 3)), {"descriptor": "hue"}, "descriptor must be"),
        (np.zeros((4, 1, 3, 3)), {"log_base": 1}, "log_base must be greater than 1"),
        (np.zeros((0, 1, 3, 3)), {}, "at least 1 example, got 0"),
    ],
)
def test_bad_input(x, options, message):
    with pytest.raises(ValueError, match=message):
        idd(x, x, **options)
    with pytest.raises(ValueError, match=message):
        icv(x, np.zeros(len(x)), **options)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([0, 0, 1], {}, r"shape \(4,\), got \(3,\)"),
        ([0, 1, 2, 3], {}, "no class of y has two examples"),
        ([0, 0, np.nan, 1], {}, "missing labels"),
        (["a", None, "b", "b"], {}, "missing labels"),
        ([0, 0, 1, 1], {"stat": "median"}, "stat must be 'var' or 'mean'"),
    ],
)
def test_bad_labels(y, options, message):
    with pytest.raises(ValueError, match=message):
        icv(np.zeros((4, 1, 3, 3)), y, **options)


def test_domains_with_different_features():
    with pytest.raises(ValueError, match="same features, got 3 in xs and 4 in xt"):
        idd(np.zeros((2, 3)), np.zeros((2, 4)), descriptor="features")
