import pytest
import torch

from dakit.training import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loop_shift_flip(x, g, shift, flip):
    """The same, one picture and one pixel at a time, from the same draws in the same order."""
    b, _, h, w = x.shape
    mirrored = torch.rand(b, 1, generator=g) < 0.5 if flip else torch.zeros(b, 1, dtype=torch.bool)
    up, left = round(shift * h), round(shift * w)
    rows = torch.randint(-up, up + 1, (b, 1), generator=g) if up or left else torch.zeros(b, 1)
    columns = torch.randint(-left, left + 1, (b, 1), generator=g) if up or left else torch.zeros(b, 1)
    out = torch.empty_like(x)
    for i in range(b):
        for r in range(h):
            for k in range(w):
                row = min(max(r + int(rows[i]), 0), h - 1)
                at = w - 1 - k if mirrored[i] else k
                column = min(max(at + int(columns[i]), 0), w - 1)
                out[i, :, r, k] = x[i, :, row, column]
    return out


@pytest.mark.parametrize(("shift", "flip"), [(0.25, False), (0.0, True), (0.25, True)])
def test_shift_and_flip_equal_the_explicit_loop(shift, flip):
    x = torch.rand(6, 3, 8, 9)
    got = augment.shift_flip(x, generator(), shift=shift, flip=flip)
    assert torch.equal(got, loop_shift_flip(x, generator(), shift, flip))


def test_an_affine_draw_of_nothing_changes_nothing():
    x = torch.rand(4, 2, 8, 8)
    assert torch.allclose(augment.affine(x, generator(), degrees=0, zoom=0), x, atol=1e-5)


def test_an_affine_mirror_is_the_picture_or_its_flip():
    x = torch.rand(20, 1, 8, 8)
    got = augment.affine(x, generator(), degrees=0, zoom=0, flip=True)
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(got, x)]
    flipped = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(got, x)]
    assert all(s != f for s, f in zip(same, flipped))
    assert any(same)
    assert any(flipped)


def test_a_rotation_keeps_distances_from_the_centre():
    # A bright dot right of the centre stays on its circle.
    x = torch.zeros(40, 1, 33, 33)
    x[:, :, 16, 28] = 1.0
    got = augment.affine(x, generator(), degrees=45, zoom=0)
    mass = got.flatten(1) / got.flatten(1).sum(dim=1, keepdim=True)
    grid = torch.arange(33.0) - 16
    right, down = (mass @ grid.repeat(33)), (mass @ grid.repeat_interleave(33))
    assert torch.allclose(torch.hypot(right, down), torch.full((40,), 12.0), atol=0.6)
    angles = torch.rad2deg(torch.atan2(down, right))
    assert angles.abs().max() <= 46
    assert angles.std() > 10


@pytest.mark.parametrize("name", ["shift", "flip", "rotate", "zoom", "shift+flip", "flip+rotate+zoom"])
def test_each_name_changes_pictures_by_the_generator_alone(name):
    change = augment.resolve(name)
    x = torch.rand(8, 3, 16, 16)
    before = torch.get_rng_state()
    a, b, c = change(x, generator(1)), change(x, generator(1)), change(x, generator(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a, x)
    assert torch.equal(torch.get_rng_state(), before)
    assert a.shape == x.shape
    assert a.min() >= -1e-6
    assert a.max() <= 1 + 1e-6


def test_channels_last_pictures_give_the_same():
    x = torch.rand(4, 3, 8, 8)
    for name in ("shift+flip", "rotate+zoom"):
        change = augment.resolve(name)
        last = change(x.contiguous(memory_format=torch.channels_last), generator())
        assert torch.allclose(last, change(x, generator()), atol=1e-6)


def test_none_and_functions_pass_through_and_unknown_names_are_told():
    assert augment.resolve(None) is None
    assert augment.resolve(len) is len
    for bad in ("cutmix", "", "shift,flip", 3):
        with pytest.raises(ValueError, match="unknown augmentation"):
            augment.resolve(bad)
