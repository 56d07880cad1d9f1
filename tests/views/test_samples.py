import numpy as np
import pytest
import torch

from dakit import views
from dakit.domains import Domain, DomainSet

CLASSES = ("cat", "dog")


def pictures(name="a", channels=3, labels=True, n=8):
    """Images that are as bright as their class: cats 0.25, dogs 0.75."""
    y = torch.arange(n) % 2
    x = (0.25 + 0.5 * y.float())[:, None, None, None].expand(n, channels, 6, 6).clone()
    return Domain(name, x, y if labels else None, CLASSES)


def bands(view):
    return [ax.get_images()[0].get_array() for ax in view.figure().axes]


def test_columns_hold_their_class():
    band = bands(views.samples(pictures(), pictures("b", channels=1), per_class=3))[1]
    assert band.shape[0] == 3 * 7
    left, right = band[:, :7], band[:, 7:]
    assert set(np.unique(left)) == {0.25, 1.0}
    assert set(np.unique(right)) == {0.75, 1.0}


def test_a_set_is_shown_domain_by_domain_and_named():
    view = views.samples(DomainSet("both", [pictures("x"), pictures("y")]), per_class=1)
    figure = view.figure()
    assert [ax.get_ylabel() for ax in figure.axes] == ["x", "y"]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["cat", "dog"]


def test_alt_text():
    alt = views.samples(pictures("x"), pictures("y", labels=False), per_class=2).alt
    assert alt == (
        "A grid of 6×6 pixel images from x (8 images) and y (8 images, no labels): "
        "2 classes in columns (cat and dog), 2 examples of each."
    )


def test_the_seed_chooses_and_too_few_examples_leave_gaps():
    first, again = (views.samples(pictures(), per_class=2, seed=3).png() for _ in range(2))
    assert first == again
    band = bands(views.samples(pictures(n=2), per_class=3))[0]
    assert (band[7:] == 1).all()


@pytest.mark.parametrize(
    ("domains", "options", "words"),
    [
        ((), {}, "at least one domain"),
        ((Domain("flat", torch.zeros(2, 3)),), {}, r"domain 'flat' holds \(3,\)"),
        ((Domain("deep", torch.zeros(2, 9, 4, 4)),), {}, "1 or 3 channels"),
        ((pictures(),), {"per_class": 0}, "per_class must be at least 1"),
    ],
)
def test_bad_input_is_named(domains, options, words):
    with pytest.raises(ValueError, match=words):
        views.samples(*domains, **options)
