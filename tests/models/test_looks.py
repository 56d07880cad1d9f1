import pytest
import torch

from dakit.models.looks import sixteen_views, windows


def photo(n=2, c=3, h=18, w=18, seed=0):
    return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mirror(x):
    return x.flip(-1)


def same_set(a, b):
    """Whether two stacks of views (v, c, h, w) hold the same pictures, in any order."""
    far = (a[:, None] - b[None]).abs().amax((2, 3, 4))
    return bool((far.min(0).values < 1e-9).all() and (far.min(1).values < 1e-9).all())


@pytest.mark.parametrize("size", [(18, 18), (17, 16), (24, 16)])
def test_sixteen_views_closed_under_mirroring(size):
    """Acceptance 5: mirroring every view, or the picture itself, gives the same set."""
    x = photo(h=size[0], w=size[1])
    views = sixteen_views(x)
    assert views.shape == (2, 16, 3, *size)
    torch.testing.assert_close(views[:, 8:], mirror(views[:, :8]))
    torch.testing.assert_close(views[:, 0], x)
    for v, m in zip(views, sixteen_views(mirror(x))):
        assert same_set(v, mirror(v))
        assert same_set(v, m)
    different = (views[0, :, None] - views[0, None]).abs().amax((2, 3, 4)) > 1e-3
    assert different.sum() == 16 * 15  # no view twice


def test_crops_are_four_ninths_at_the_corners_and_the_centre():
    """A picture of nine equal squares: a corner crop sees the four squares of its corner."""
    levels = torch.arange(9.0).view(3, 3)
    x = levels.repeat_interleave(6, 0).repeat_interleave(6, 1)[None, None]
    views = sixteen_views(x)[0, :, 0]
    for i, seen in enumerate(([0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]), start=1):
        corners = [views[i, r, c].item() for r in (2, -3) for c in (2, -3)]
        assert corners == pytest.approx(seen, abs=1e-4)
    assert views[5, 9, 9].item() == pytest.approx(4)
    # The centre crop covers half of each neighbouring square.
    assert views[5, 0, 0].item() == pytest.approx(0, abs=0.5)
    assert views[5, 9, 0].item() == pytest.approx(3, abs=1e-4)


def test_rotations_turn_by_the_angle_also_in_pictures_that_are_not_square():
    for h, w in ((41, 41), (41, 61)):
        x = torch.zeros(1, 1, h, w)
        x[..., h // 2, :] = 1  # a level line through the centre
        turned = sixteen_views(x)[0, 6:8, 0]
        for view, sign in zip(turned, (1, -1)):
            column = w // 2 + 12
            rows = torch.arange(h) - h // 2
            height = (view[:, column] * rows).sum() / view[:, column].sum()
            assert height.item() == pytest.approx(sign * -12 * 0.2679, abs=0.3)  # tan 15 degrees


def test_no_rotation_is_the_picture():
    x = photo()
    views = sixteen_views(x, degrees=0)
    torch.testing.assert_close(views[:, 6], x)
    torch.testing.assert_close(views[:, 7], x)


def test_windows_are_squares_of_the_levels_and_cover_the_picture():
    x = photo(n=1, c=1, h=24, w=24)
    for h in (1, 2, 3, 4):
        assert windows(x, h).shape == (1, sum(i * i for i in range(1, h + 1)), 1, 24, 24)
    torch.testing.assert_close(windows(x, 1)[:, 0], x)
    torch.testing.assert_close(windows(x, 2)[:, :1], windows(x, 1))
    # Coordinates as a picture: windows of level 3 reach from one border to the other, in steps of a quarter.
    across = ((torch.arange(24) + 0.5) / 24).expand(1, 1, 24, 24)
    left, middle, right = windows(across, 3)[0, 5:8, 0, 12]
    assert left[0] == pytest.approx(1 / 48, abs=0.02)
    assert left.mean() == pytest.approx(0.25, abs=0.01)
    assert middle.mean() == pytest.approx(0.5, abs=0.01)
    assert right[-1] == pytest.approx(47 / 48, abs=0.02)


def test_bad_pictures():
    with pytest.raises(
        ValueError, match=r"floating-point tensor \(n, channels, height, width\), got torch.uint8"
    ):
        sixteen_views(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"of shape \(8, 8\)"):
        windows(torch.zeros(8, 8), 2)
    with pytest.raises(ValueError, match="levels must be at least 1"):
        windows(photo(), 0)
