import numpy as np
import pytest
import torch

from dakit.domains import Domain
from dakit.views import scene
from tests.views.moments import CLASSES, training


def domain(name="a", n=6, labels=True, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3 if labels else None
    return Domain(name, torch.rand(n, 4, generator=g), y, CLASSES)


def test_a_run_with_labels():
    run, ys, yt = training()
    made = scene(run, ys=ys, yt=yt, classes=CLASSES)
    assert made.domains == ("source", "target")
    assert made.counts() == [60, 70]
    assert made.steps == (0, 100, 200, 300)
    np.testing.assert_array_equal(made.labels, np.concatenate([ys, yt]))
    np.testing.assert_array_equal(made.features[2][60:], run.snapshots[2].target_features)


def test_a_run_with_its_domains_takes_labels_and_names_from_them():
    run, _, _ = training()
    run.source_index, run.target_index = np.arange(60)[::-1], np.arange(70)
    source, target = domain("noto", 60), domain("mono", 70, labels=False)
    made = scene(run, source, target)
    assert made.domains == ("noto", "mono")
    assert made.labels[:60].tolist() == source.y.numpy()[::-1].tolist()
    assert set(made.labels[60:]) == {-1}
    assert made.classes == CLASSES


def test_two_domains_and_two_arrays():
    made = scene(domain("a"), domain("b", 5))
    assert made.domains == ("a", "b")
    assert made.steps == (None,)
    assert scene(np.zeros((3, 2)), np.ones((4, 2))).domains == ("source", "target")
    assert scene(domain("a"), domain("a", 5)).domains == ("a (source)", "a (target)")


def test_any_number_of_named_domains():
    made = scene({"x": domain(), "y": np.ones((2, 4)), "z": domain(n=3, labels=False)})
    assert made.counts() == [6, 2, 3]
    assert made.labels.tolist() == [0, 1, 2, 0, 1, 2, -1, -1, -1, -1, -1]


def test_images_are_flattened():
    assert scene(torch.zeros(3, 1, 4, 4), torch.zeros(2, 1, 4, 4)).features[0].shape == (5, 16)


def test_labels_as_names():
    made = scene(np.zeros((2, 2)), np.ones((3, 2)), ys=["dog", "cat"], yt=["cat", "fish", "dog"])
    assert made.classes == ("cat", "dog", "fish")
    assert made.labels.tolist() == [1, 0, 0, 2, 1]


def test_accuracy_and_mixing_by_hand():
    run, ys, yt = training()
    made = scene(run, ys=ys, yt=yt)
    predicted = run.snapshots[-1].target_logits.argmax(1)
    assert made.accuracy(3, 1) == pytest.approx((predicted == yt).mean())
    assert made.mixing(0) == 0.0
    assert made.mixing(3) > 0.3
    assert scene(run).accuracy(0, 0) is None


def test_thinning_keeps_proportions_and_rows_together():
    run, ys, yt = training(n=300)
    made = scene(run, ys=ys, yt=yt).thin(100, seed=1)
    assert made.counts() == [49, 51]
    again = scene(run, ys=ys, yt=yt).thin(100, seed=1)
    np.testing.assert_array_equal(made.features[3], again.features[3])
    full = scene(run, ys=ys, yt=yt)
    assert full.thin(10_000) is full
    place = {tuple(row): i for i, row in enumerate(full.features[0])}
    rows = [place[tuple(row)] for row in made.features[0]]
    np.testing.assert_array_equal(full.labels[rows], made.labels)
    np.testing.assert_array_equal(full.features[2][rows], made.features[2])


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        ((), {}, TypeError, "expected a run"),
        ((np.zeros((3, 2)),), {}, TypeError, "expected a run"),
        ((np.zeros((3, 2)), np.zeros((3, 4))), {}, ValueError, "same number of features.*source 2, target 4"),
        (
            (np.zeros((3, 2)), np.zeros((3, 2))),
            {"ys": [0, 1]},
            ValueError,
            r"source: 3 examples need labels of shape \(3,\)",
        ),
        ((np.zeros((3, 2)), np.zeros((3, 2))), {"ys": [0.5, 1, 2]}, ValueError, "class indices or names"),
        (
            (np.zeros((3, 2)), np.zeros((3, 2))),
            {"ys": [0, 1, 5], "classes": CLASSES},
            ValueError,
            "only 3 class names",
        ),
        (
            (np.zeros((1, 2)), np.zeros((1, 2))),
            {"ys": ["ox"], "classes": CLASSES},
            ValueError,
            "'ox' is not among",
        ),
        ((np.array([["a", "b"]]), np.zeros((1, 2))), {}, TypeError, "numeric array"),
        (({},), {}, ValueError, "mapping is empty"),
    ],
)
def test_bad_input_is_named(data, options, error, words):
    with pytest.raises(error, match=words):
        scene(*data, **options)


def test_a_run_without_snapshots_says_how_to_get_some():
    run, _, _ = training()
    run.snapshots = []
    with pytest.raises(ValueError, match="train with snapshots=10"):
        scene(run)


def test_snapshots_alone_cannot_be_matched_with_domains():
    run, _, _ = training()
    with pytest.raises(TypeError, match="pass ys and yt"):
        scene(run.snapshots, domain(n=60), domain(n=70))
