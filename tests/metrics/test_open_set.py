"""OS, OS*, UNK and HOS: known classes and the unknown one."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score

from dakit.metrics import open_set_scores


def answers(n=300, k=4, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k + 1, n)
    return y, np.where(rng.random(n) < 0.6, y, rng.integers(0, k + 1, n))


def test_by_hand():
    # Class 0: 3 of 4; class 1: 1 of 2; unknown: 2 of 5.
    y = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    predicted = [0, 0, 0, 2, 1, 0, 2, 2, 0, 1, 1]
    s = open_set_scores(y, predicted, 2)
    assert s.known == pytest.approx(4 / 6)
    assert s.unknown == pytest.approx(0.4)
    assert s.os_star == pytest.approx((0.75 + 0.5) / 2)
    assert s.os == pytest.approx((0.75 + 0.5 + 0.4) / 3)
    assert s.hos == pytest.approx(2 * 0.625 * 0.4 / 1.025)


def test_against_scikit_learn():
    for seed in range(5):
        y, predicted = answers(seed=seed)
        s = open_set_scores(y, predicted, 4)
        assert s.os == pytest.approx(balanced_accuracy_score(y, predicted))
        recall = recall_score(y, predicted, average=None)
        assert s.os_star == pytest.approx(recall[:4].mean())
        assert s.unknown == pytest.approx(recall[4])
        assert s.known == pytest.approx((predicted == y)[y < 4].mean())
        assert s.hos == pytest.approx(2 / (1 / s.os_star + 1 / s.unknown))


def test_limits():
    y, _ = answers()
    right = dataclasses.astuple(open_set_scores(y, y, 4))
    assert right == (1, 1, 1, 1, 1)
    never = open_set_scores(y, np.where(y == 4, 0, y), 4)  # no "unknown" among the answers
    assert (never.known, never.unknown, never.os_star, never.os, never.hos) == (1, 0, 1, 0.8, 0)
    always = open_set_scores(y, np.full_like(y, 4), 4)
    assert (always.known, always.unknown, always.os_star, always.os, always.hos) == (0, 1, 0, 0.2, 0)
    assert open_set_scores(y, (y + 1) % 5, 4).hos == 0  # neither: 0, not 0 / 0


def test_os_hides_a_missed_unknown_class_the_more_the_more_classes_are_known():
    os = []
    for k in (2, 10, 50):
        y = np.arange(k + 1)
        s = open_set_scores(y, np.where(y == k, 0, y), k)
        assert s.hos == 0
        os.append(s.os)
    assert os == pytest.approx([2 / 3, 10 / 11, 50 / 51])


def test_order_of_the_rows_and_names_of_the_known_classes_do_not_matter():
    y, predicted = answers()
    s = dataclasses.astuple(open_set_scores(y, predicted, 4))
    order = np.random.default_rng(1).permutation(len(y))
    assert dataclasses.astuple(open_set_scores(y[order], predicted[order], 4)) == pytest.approx(s)
    other = np.array([2, 0, 3, 1, 4])
    assert dataclasses.astuple(open_set_scores(other[y], other[predicted], 4)) == pytest.approx(s)


def test_known_classes_weigh_alike_in_os_star_and_by_size_in_known():
    y, predicted = [0, 0, 0, 1, 2], [0, 0, 0, 0, 2]
    s = open_set_scores(y, predicted, 2)
    assert (s.known, s.os_star) == (0.75, 0.5)


def test_known_classes_without_target_examples_do_not_count():
    """Private classes of the source, in universal adaptation."""
    y, predicted = np.array([0, 0, 3, 9]), np.array([0, 1, 3, 9])
    few = open_set_scores(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), 2)
    assert dataclasses.astuple(open_set_scores(y, predicted, 9)) == pytest.approx(dataclasses.astuple(few))


@pytest.mark.parametrize(
    "convert", [list, torch.tensor, lambda a: a.astype(np.uint8), lambda a: a.astype(float)]
)
def test_any_kind_of_whole_numbers(convert):
    y, predicted = answers()
    assert open_set_scores(convert(y), convert(predicted), 4) == open_set_scores(y, predicted, 4)


@pytest.mark.parametrize(
    ("y", "predicted", "k", "error", "sentence"),
    [
        ([0, 1], [0, 1], 2, ValueError, "y holds no example of the unknown class 2"),
        ([2, 2], [0, 2], 2, ValueError, "y holds no example of a known class, 0 to 1"),
        (
            [0, 3],
            [0, 2],
            2,
            ValueError,
            "y must hold classes from 0 to 2, where 2 is every unknown one, got 0 to 3",
        ),
        ([0, 2], [-1, 2], 2, ValueError, "predicted must hold classes from 0 to 2, .* got -1 to 2"),
        ([0, 2], [0, 2, 1], 2, ValueError, "one class an example each, got 2 and 3"),
        ([], [], 2, ValueError, r"y must hold one class an example, shape \(n,\)"),
        ([[0, 2]], [0, 2], 2, ValueError, r"got \(1, 2\)"),
        (["a", "b"], [0, 2], 2, TypeError, "y must hold classes as whole numbers from 0 to 2, got dtype <U1"),
        ([0, 2], [0.5, 2.0], 2, TypeError, "predicted must hold .* got fractions, NaN or infinity"),
        ([0, np.nan], [0, 2], 2, TypeError, "y must hold .* got fractions, NaN or infinity"),
        ([0, 2], [True, False], 2, TypeError, "got dtype bool"),
        ([0, 1], [0, 1], 0, ValueError, "num_known must be a whole number of at least 1, got 0"),
        ([0, 1], [0, 1], 1.0, TypeError, r"num_known must be a whole number of at least 1, got 1\.0"),
        ([0, 1], [0, 1], True, TypeError, "num_known must be a whole number of at least 1, got True"),
    ],
)
def test_bad_input_is_told(y, predicted, k, error, sentence):
    with pytest.raises(error, match=sentence):
        open_set_scores(y, predicted, k)
