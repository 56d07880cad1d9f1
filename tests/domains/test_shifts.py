"""Controlled shifts: identity at 0, growth with severity, the truth about what moved, and the seed."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dakit.domains import Domain, from_arrays, shifts


def scene(n: int = 30, channels: int = 3, size: int = 16) -> Domain:
    """Bright shapes on dark paper, no two alike."""
    rng = np.random.default_rng(0)
    x = np.full((n, channels, size, size), 0.1, dtype=np.float32)
    for i in range(n):
        top, left = rng.integers(2, 7, size=2)
        height, width = rng.integers(3, 7, size=2)
        x[i, :, top : top + height, left : left + width] = rng.uniform(0.5, 1.0, size=(channels, 1, 1))
    return from_arrays(x, rng.permutation(np.arange(n) % 3), name="scene", classes=("a", "b", "c"))


def cloud(n: int = 60, d: int = 4) -> Domain:
    rng = np.random.default_rng(1)
    return from_arrays(rng.normal(1, [1, 2, 3, 4][:d], size=(n, d)), np.arange(n) % 3, name="cloud")


def signal() -> Domain:
    return from_arrays(np.random.default_rng(2).normal(size=(12, 2, 9)), np.arange(12) % 3, name="signal")


DOMAINS = {"image": scene(), "grey": scene(channels=1), "flat": cloud(), "series": signal()}
CASES = [(form, kind) for form, d in DOMAINS.items() for kind in shifts.kinds_for(d)]
COVARIATE = [(form, kind) for form, kind in CASES if shifts.KINDS[kind].startswith("covariate")]


def moved(a: Domain, b: Domain) -> float:
    """How far apart: of inputs where rows correspond, of class shares, of labels, whichever the shift moves."""
    if len(a) != len(b):
        p, q = (np.array(list(d.counts().values())) / len(d) for d in (a, b))
        return float(np.abs(p - q).sum() / 2)
    return float((a.x - b.x).flatten(1).norm(dim=1).mean()) + float((a.y != b.y).float().mean())


# -- the contract that all share ----------------------------------------------------------------------------


def test_every_kind_says_what_it_moves_and_is_tried_here():
    assert {text.split()[0] for text in shifts.KINDS.values()} == {"covariate", "label", "concept"}
    assert {kind for _, kind in CASES} == set(shifts.KINDS)


@pytest.mark.parametrize(("form", "kind"), CASES)
def test_severity_zero_is_the_identity_bit_for_bit(form, kind):
    d = DOMAINS[form]
    same = shifts.apply(d, kind, 0.0)
    assert torch.equal(same.x, d.x) and torch.equal(same.y, d.y)
    assert same.name == f"{d.name}, {kind} 0"


@pytest.mark.parametrize(("form", "kind"), CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_effect_grows_with_severity(form, kind, seed):
    d = DOMAINS[form]
    rungs = list(shifts.ladder(d, kind, steps=5, seed=seed).values())
    effect = [moved(d, rung) for rung in rungs]
    assert effect[0] == 0 and effect[-1] > 0
    assert all(b > a for a, b in pairwise(effect)), effect


@pytest.mark.parametrize(("form", "kind"), CASES)
def test_the_seed_fixes_everything(form, kind):
    d = DOMAINS[form]
    a, b, c = (shifts.apply(d, kind, 0.7, seed=s) for s in (3, 3, 4))
    assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y)
    before = torch.random.get_rng_state()
    shifts.apply(d, kind, 0.7, seed=9)
    assert torch.equal(torch.random.get_rng_state(), before)  # nor does it touch the global one
    if kind in ("inversion", "noise", "background", "translation", "scaling"):
        assert not torch.equal(a.x, c.x)


@pytest.mark.parametrize(("form", "kind"), COVARIATE)
def test_covariate_shifts_keep_labels_shape_and_range(form, kind):
    d = DOMAINS[form]
    inputs = d.x.clone()
    shifted = shifts.apply(d, kind, 1.0)
    assert torch.equal(shifted.y, d.y) and shifted.x.shape == d.x.shape and shifted.x.dtype == torch.float32
    assert torch.equal(d.x, inputs)  # the original is not written to
    if d.kind == "image":
        assert shifted.x.min() >= 0 and shifted.x.max() <= 1


@settings(max_examples=40, deadline=None)
@given(case=st.sampled_from(CASES), severity=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_any_severity_gives_a_valid_domain(case, severity, seed):
    form, kind = case
    shifted = shifts.apply(DOMAINS[form], kind, severity, seed)
    assert torch.isfinite(shifted.x).all() and len(shifted) >= 1 and shifted.classes == DOMAINS[form].classes


def test_ladder_names_carry_the_severity():
    rungs = shifts.ladder(scene(), "blur", steps=3)
    assert rungs.names == ("scene, blur 0", "scene, blur 0.5", "scene, blur 1")
    assert len(shifts.ladder(scene(), "blur", steps=400)) == 400  # no two rungs share a name


@pytest.mark.parametrize("kind", [k for k in shifts.KINDS if k in shifts.kinds_for(scene(n=1))])
def test_one_example_is_enough(kind):
    assert len(shifts.apply(scene(n=1), kind, 1.0)) == 1


# -- each by hand -------------------------------------------------------------------------------------------


def test_rotation_by_90_degrees_turns_right_to_top():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 4] = 1  # right of the centre
    turned = shifts.rotation(Domain("d", x), 90).x
    torch.testing.assert_close(turned, torch.rot90(x, 1, dims=(2, 3)), atol=1e-5, rtol=0)
    assert turned[0, 0, 0, 2] > 0.99
    flat = shifts.rotation(Domain("d", torch.tensor([[1.0, 0.0, 7.0]])), 90).x
    torch.testing.assert_close(flat, torch.tensor([[0.0, 1.0, 7.0]]))


def test_rotation_of_an_oblong_picture_is_no_shear():
    x = torch.zeros(1, 1, 9, 21)
    x[0, 0, 4, 14] = 1  # 4 to the right of the centre
    turned = shifts.rotation(Domain("d", x), 90).x
    assert turned[0, 0, 0, 10] > 0.99  # 4 above it


def test_rotation_fills_corners_with_paper():
    x = torch.full((1, 3, 8, 8), 0.8)
    x[:, :, 3:5, 3:5] = 0.2
    assert shifts.rotation(Domain("d", x), 45).x[0, :, 0, 0].tolist() == pytest.approx([0.8] * 3)


def test_rotation_there_and_back_for_flat_data():
    d = cloud()
    torch.testing.assert_close(shifts.rotation(shifts.rotation(d, 33), -33).x, d.x, atol=1e-5, rtol=1e-5)


def test_colour_cast_by_hand():
    d = Domain("white", torch.ones(1, 3, 2, 2))
    cast = shifts.colour_cast(d, 0.5, colour=(1, 0.5, 0))
    assert cast.x[0, :, 0, 0].tolist() == [1, 0.75, 0.5]


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    d, low = scene(), shifts.contrast(scene(), 0.75)
    torch.testing.assert_close(low.x.mean(dim=(1, 2, 3)), d.x.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(low.x.flatten(1).std(dim=1), 0.25 * d.x.flatten(1).std(dim=1))


def test_inversion_is_nested_and_its_own_inverse():
    d = scene()
    changed = [
        (shifts.inversion(d, f, seed=5).x != d.x).flatten(1).any(dim=1).nonzero().flatten().tolist()
        for f in (0.2, 0.5, 1.0)
    ]
    assert [len(c) for c in changed] == [6, 15, 30]
    assert set(changed[0]) < set(changed[1]) < set(changed[2])
    twice = shifts.inversion(shifts.inversion(d, 0.5, seed=5), 0.5, seed=5)
    torch.testing.assert_close(twice.x, d.x)


def test_blur_agrees_with_scipy_and_keeps_constants():
    from scipy.ndimage import gaussian_filter

    d = scene()
    expected = gaussian_filter(d.x.numpy(), sigma=(0, 0, 2, 2), mode="nearest", truncate=4)
    # Ours integrates over each pixel, which adds a twelfth of a pixel of variance to scipy's.
    ours = shifts.blur(d, math.sqrt(4 - 1 / 12)).x.numpy()
    np.testing.assert_allclose(ours, expected, atol=0.01)
    grey = Domain("grey", torch.full((1, 3, 9, 9), 0.3))
    torch.testing.assert_close(shifts.blur(grey, 3).x, grey.x)
    assert shifts.blur(grey, 1e6).x.isfinite().all()


def test_noise_has_the_standard_deviation_asked_for():
    grey = Domain("grey", torch.full((20, 3, 16, 16), 0.5))
    assert float((shifts.noise(grey, 0.05).x - grey.x).std()) == pytest.approx(0.05, rel=0.05)
    d = cloud(n=4000)
    ratio = (shifts.noise(d, 0.5).x - d.x).std(dim=0) / d.x.std(dim=0)
    np.testing.assert_allclose(ratio, 0.5, rtol=0.05)


def test_background_is_the_recipe_of_mnist_m():
    photos = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))  # one crop a photo
    d = scene()
    full = shifts.background(d, 1.0, photos=photos, seed=2)
    for x, made in zip(d.x, full.x):
        assert any(torch.equal((photo - x).abs(), made) for photo in photos)
    half = shifts.background(d, 0.5, photos=photos, seed=2)
    torch.testing.assert_close(half.x, (d.x + full.x) / 2)
    grey = shifts.background(scene(channels=1), 1.0, photos=photos)
    assert grey.x.shape == (30, 1, 16, 16)
    real = shifts.background(d, 1.0)  # the photographs that scikit-learn ships
    assert len({tuple(p.flatten()[:9].tolist()) for p in real.x}) == len(d)


def test_stroke_width_agrees_with_grey_morphology():
    from scipy.ndimage import grey_dilation, grey_erosion

    d = scene()
    thick = shifts.stroke_width(d, 1).x.numpy()
    thin = shifts.stroke_width(d, -1).x.numpy()
    np.testing.assert_array_equal(thick, grey_dilation(d.x.numpy(), size=(1, 1, 3, 3), mode="nearest"))
    np.testing.assert_array_equal(thin, grey_erosion(d.x.numpy(), size=(1, 1, 3, 3), mode="nearest"))
    negative = Domain("negative", 1 - d.x)  # dark ink on bright paper is found out
    torch.testing.assert_close(shifts.stroke_width(negative, 1.5).x, 1 - shifts.stroke_width(d, 1.5).x)


def test_translation_and_scaling_by_hand():
    d = cloud(n=500)
    step = (shifts.translation(d, 2.0, seed=1).x - d.x) / d.x.std(dim=0, correction=0)
    torch.testing.assert_close(step.norm(dim=1), torch.full((500,), 2.0), rtol=1e-3, atol=0)
    factor = shifts.scaling(d, math.log(4), seed=1).x / d.x
    torch.testing.assert_close(factor, factor[:1].expand_as(factor))
    assert factor.min() >= 0.25 and factor.max() <= 4 and len(set(factor[0].tolist())) == 4


def test_label_priors_are_met_within_one_example():
    d = cloud(n=600)
    wanted = np.array([0.7, 0.2, 0.1])
    got = shifts.label_priors(d, wanted)
    counts = np.array(list(got.counts().values()))
    assert counts.max() == 200  # as many as the rarest class relative to its share allows
    assert (np.abs(counts - wanted * counts.sum()) <= 1).all()
    # A subsample: each example once, with its own label, in the order of the rows.
    at = [int((d.x == x).all(dim=1).nonzero()) for x in got.x]
    assert at == sorted(set(at)) and torch.equal(d.y[at], got.y)
    assert shifts.label_priors(d, [2, 2, 0]).counts() == {"0": 200, "1": 200, "2": 0}
    assert shifts.label_priors(d, [1, 1, 1]).counts() == d.counts()


def test_label_priors_at_severity_one_are_a_long_tail():
    d = from_arrays(np.zeros((4000, 1)), np.arange(4000) % 4)
    counts = sorted(shifts.label_priors(d, severity=1.0, seed=3).counts().values())
    assert counts[-1] == 1000 and counts[-1] / counts[0] == pytest.approx(100, rel=0.05)


def test_dirichlet_concentration():
    d = from_arrays(np.zeros((3000, 1)), np.arange(3000) % 3)

    def spread(concentration):
        shares = []
        for seed in range(30):
            made = shifts.label_priors(d, concentration=concentration, seed=seed)
            shares.append(np.array(list(made.counts().values())) / len(made))
        return np.std(shares)

    # The variance of a symmetric Dirichlet share over k classes is (k-1) / (k² (k·a + 1)).
    assert spread(100.0) == pytest.approx(math.sqrt(2 / (9 * 301)), rel=0.3)
    assert spread(0.5) == pytest.approx(math.sqrt(2 / (9 * 2.5)), rel=0.3)


def test_concept_flip_moves_labels_only_by_one_rule_and_nested():
    d = cloud(n=300)
    flips = [shifts.concept_flip(d, f, seed=1) for f in (0.25, 0.5, 1.0)]
    changed = [set((f.y != d.y).nonzero().flatten().tolist()) for f in flips]
    assert [len(c) for c in changed] == [75, 150, 300] and changed[0] < changed[1] < changed[2]
    assert all(torch.equal(f.x, d.x) for f in flips)
    rule = {int(a): int(b) for a, b in zip(d.y, flips[-1].y)}
    assert sorted(rule) == sorted(rule.values()) == [0, 1, 2] and all(a != b for a, b in rule.items())
    assert all(rule[int(a)] == int(b) for a, b in zip(d.y, flips[-1].y))


# -- bad input ----------------------------------------------------------------------------------------------

NORMALISED = Domain("normalised", torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: shifts.apply(scene(), "wobble", 0.5), "no shift 'wobble'; the kinds are rotation, "),
        (lambda: shifts.apply(scene(), "blur", 1.5), r"severity must be a number in \[0, 1\], got 1.5"),
        (lambda: shifts.apply(scene(), "blur", math.nan), r"severity must be a number in \[0, 1\], got nan"),
        (lambda: shifts.apply(scene(), "blur", "high"), "severity must be a number"),
        (
            lambda: shifts.apply(cloud(), "blur", 0.5),
            r"blur changes image inputs; domain 'cloud' is flat of shape \(4,\)",
        ),
        (lambda: shifts.apply(cloud(), "blur", 0.0), "blur changes image inputs"),
        (lambda: shifts.apply(scene(), "scaling", 0.5), "scaling changes flat inputs"),
        (lambda: shifts.apply(scene(channels=1), "colour_cast", 0.5), "3 channels; those of 'scene' have 1"),
        (lambda: shifts.apply(cloud(d=1), "rotation", 0.5), "rotation needs two coordinates"),
        (lambda: shifts.apply(scene().unlabeled(), "label_priors", 0.5), "domain 'scene' has none"),
        (lambda: shifts.apply(scene().unlabeled(), "concept_flip", 0.5), "domain 'scene' has none"),
        (lambda: shifts.concept_flip(from_arrays([[1.0]], ["only"]), 1), "at least two classes"),
        (lambda: shifts.ladder(scene(), "blur", steps=1), "at least 2 steps, got 1"),
        (lambda: shifts.contrast(NORMALISED, 0.5), r"values in \[0, 1\]; those of 'normalised' run from -"),
        (lambda: shifts.blur(scene(), -1), "sigma must be a number at least 0, got -1"),
        (lambda: shifts.blur(cloud(), 1), "blur changes images; domain 'cloud' is flat"),
        (lambda: shifts.colour_cast(scene(), 1, colour=(2, 0, 0)), "colour must be three numbers"),
        (lambda: shifts.stroke_width(scene(), 1, ink="blue"), "ink must be 'auto', 'bright' or 'dark'"),
        (lambda: shifts.background(scene(), 1, photos=torch.zeros(1, 3, 4, 4)), "at least 16×16 pixels"),
        (lambda: shifts.label_priors(cloud()), "exactly one of priors, severity and concentration"),
        (lambda: shifts.label_priors(cloud(), [0.5, 0.5]), "priors must be 3 shares"),
        (lambda: shifts.label_priors(cloud(), [1, 1, -1]), "priors must be 3 shares"),
        (lambda: shifts.label_priors(cloud(), [0, 0, 0]), "priors must be 3 shares"),
        (lambda: shifts.label_priors(cloud(), concentration=0), "concentration must be above 0"),
        (
            lambda: shifts.label_priors(from_arrays([[1.0]], ["a"], classes=["a", "b"]), [1, 1]),
            "has no examples of 'b' to draw from",
        ),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_shifts_close_no_gap_by_accident():
    """A blurred picture keeps its brightness: the ladder of one shift is no hidden ladder of another."""
    d = scene(size=24)
    padded = Domain("padded", F.pad(d.x, (8, 8, 8, 8), value=0.1), d.y, d.classes)
    blurred = shifts.apply(padded, "blur", 1.0)
    torch.testing.assert_close(blurred.x.mean(dim=(1, 2, 3)), padded.x.mean(dim=(1, 2, 3)), atol=1e-3, rtol=0)
