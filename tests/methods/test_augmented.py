"""Views of a batch: what may change in them and what may not."""

import pytest
import torch

from dakit.methods import augmented


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_jitter_is_in_units_of_each_features_spread():
    x = torch.randn(4000, 3) * torch.tensor([1.0, 10.0, 0.0]) + torch.tensor([5.0, 0.0, 2.0])
    noise = augmented.jittered(x, 0.3) - x
    assert noise.std(dim=0)[:2].tolist() == pytest.approx([0.3, 3.0], rel=0.05)
    assert torch.equal(noise[:, 2], torch.zeros(4000))
    assert torch.equal(augmented.jittered(x, 0.0), x)
    series = torch.randn(8, 2, 5)
    assert augmented.weak(series).shape == series.shape
    assert torch.equal(augmented.strong(series[:1]), series[:1])  # one example has no spread


def test_a_moved_picture_is_a_shift_with_its_border_repeated():
    x = torch.rand(40, 2, 16, 24)
    y = augmented.moved(x)
    found = set()
    for before, after in zip(x, y):
        padded = torch.nn.functional.pad(before[None], (3, 3, 2, 2), mode="replicate")[0]
        fits = [
            (i, j)
            for i in range(5)
            for j in range(7)
            if torch.equal(padded[:, i : i + 16, j : j + 24], after)
        ]
        assert len(fits) == 1
        found.add(fits[0])
    assert len(found) > 15  # every picture has its own draw


def test_about_half_of_the_pictures_are_mirrored():
    x = torch.arange(16.0).expand(400, 1, 16, 16)
    slope = augmented.moved(x, flip=True)[:, 0, 8].diff(dim=1).sum(dim=1)
    assert 150 < int((slope < 0).sum()) < 250
    assert bool((augmented.moved(x)[:, 0, 8].diff(dim=1) >= 0).all())


def test_colour_changes_are_affine_for_each_picture_and_channel_up_to_noise():
    x = torch.rand(60, 3, 16, 16)
    y = augmented.recoloured(x)
    for before, after in zip(x, y):
        slopes = []
        for a, b in zip(before.flatten(1), after.flatten(1)):
            slope = torch.cov(torch.stack([a, b]))[0, 1] / a.var()
            slopes.append(slope.item())
            left = b - slope * a
            assert left.std().item() == pytest.approx(augmented.NOISE, rel=0.2)
        assert max(slopes) - min(slopes) < 0.1  # one contrast a picture
        assert 0.4 < slopes[0] < 1.6
    moved = (y - x).mean(dim=(2, 3))
    assert moved.std() > 0.1
    assert (moved - moved.mean(dim=1, keepdim=True)).std() > 0.05  # channels move apart
    grey = augmented.recoloured(x[:, :1]) - x[:, :1]
    assert grey.mean(dim=(1, 2, 3)).abs().max() <= 0.22


def test_the_cover_is_a_square_of_half_the_side_in_the_mean_colour():
    x = torch.rand(200, 2, 16, 16)
    y = augmented.covered(x)
    changed = (x != y).any(dim=1)
    assert bool(changed.flatten(1).any(dim=1).all())
    for i in range(20):
        rows, columns = changed[i].any(dim=1).nonzero()[:, 0], changed[i].any(dim=0).nonzero()[:, 0]
        assert rows.max() - rows.min() <= 8
        assert columns.max() - columns.min() <= 8
        inside = y[i][:, changed[i]]
        torch.testing.assert_close(inside, x[i].mean(dim=(1, 2))[:, None].expand_as(inside))
    assert 0.12 < changed.float().mean() < 0.29  # (9/16)^2 where the square does not leave the picture


def test_views_of_one_seed_agree_and_leave_the_input_alone():
    x = torch.rand(6, 3, 16, 16)
    kept = x.clone()
    views = []
    for _ in range(2):
        torch.manual_seed(3)
        views.append((augmented.weak(x, flip=True), augmented.strong(x)))
    assert torch.equal(x, kept)
    for a, b in zip(*views):
        assert torch.equal(a, b)
        assert a.shape == x.shape
        assert not torch.equal(a, x)
    assert (views[0][1] - x).abs().mean() > (views[0][0] - x).abs().mean() / 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_views_stay_on_their_device():
    x = torch.rand(6, 3, 16, 16, device="cuda")
    assert augmented.strong(x).device == augmented.weak(x).device == x.device
