import numpy as np
import pytest
import torch

from dakit import views


def test_images_stand_in_rows_with_their_captions():
    images = torch.linspace(0, 1, 10)[:, None, None, None].expand(10, 1, 4, 4)
    view = views.gallery({"far": (images, [f"c{i}" for i in range(10)])}, title="Extremes")
    drawn = [ax for ax in view.figure().axes if ax.images]
    assert len(drawn) == 10
    np.testing.assert_allclose([ax.images[0].get_array()[0, 0] for ax in drawn], np.linspace(0, 1, 10))
    assert [ax.texts[0].get_text() for ax in drawn] == [f"c{i}" for i in range(10)]
    assert view.alt.startswith("10 images. far: c0, c1")


def test_narrow_has_four_across():
    view = views.gallery({"far": (np.zeros((6, 3, 4, 4)), list("abcdef"))}, title="x")
    columns = {round(ax.get_subplotspec().colspan.start) for ax in view.figure(narrow=True).axes if ax.images}
    assert columns == {0, 1, 2, 3}


def test_bad_input():
    with pytest.raises(ValueError, match="2 images and 1 captions"):
        views.gallery({"a": (np.zeros((2, 1, 4, 4)), ["x"])}, title="x")
    with pytest.raises(ValueError, match=r"shape \(k, 1 or 3, height, width\)"):
        views.gallery({"a": (np.zeros((2, 4)), ["x", "y"])}, title="x")
    with pytest.raises(ValueError, match="at least one image"):
        views.gallery({}, title="x")
