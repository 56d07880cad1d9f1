"""What counts as probabilities, logits and labels, and the sentences for everything else."""

import numpy as np
import pytest
import torch

from dakit.metrics.probabilities import as_class_indices, as_logits, as_probabilities


def test_rows_are_made_to_sum_to_one():
    probs = as_probabilities(np.array([[0.2, 0.8004], [1 + 1e-7, -1e-7]], dtype=np.float32))
    assert probs.dtype == np.float64
    assert probs.min() == 0
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-15)
    np.testing.assert_allclose(as_probabilities(torch.tensor([[0.25, 0.75]]).half()), [[0.25, 0.75]])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[2.0, -1.0]], "softmax"),
        ([[0.2, 0.2]], "row 0 sums to 0.4"),
        ([[0.5, 0.5], [0.5, 0.502]], "row 1 sums to 1.002"),
        ([0.2, 0.8], "one column for each of k >= 2 classes"),
        ([[1.0]], "one column for each of k >= 2 classes"),
        (np.empty((0, 3)), "at least 1 example"),
        ([[np.nan, 1.0]], "NaN"),
        ([[np.inf, 1.0]], "NaN or infinite"),
        ([[1e30, -1e30]], "logits become probabilities"),
        (np.ones((2, 2, 2)) / 2, "got \\(2, 2, 2\\)"),
    ],
)
def test_what_is_not_a_probability(given, words):
    with pytest.raises(ValueError, match=words):
        as_probabilities(given)
    with pytest.raises(TypeError, match="numeric"):
        as_probabilities([["a", "b"]])


def test_columns_must_match():
    with pytest.raises(ValueError, match="must have 3 columns, one for each class, got 2"):
        as_probabilities([[0.5, 0.5]], classes=3)


def test_logits_are_shifted_and_may_be_huge():
    np.testing.assert_array_equal(as_logits([[1e30, 0.0], [3.0, 5.0]]), [[0, -1e30], [-2, 0]])
    with pytest.raises(ValueError, match="NaN"):
        as_logits([[np.nan, 1.0]])


def test_labels_by_number_and_by_name():
    np.testing.assert_array_equal(as_class_indices([2, 0], 2, 3), [2, 0])
    np.testing.assert_array_equal(as_class_indices(torch.tensor([True, False]), 2, 2), [1, 0])
    np.testing.assert_array_equal(as_class_indices([1.0, 0.0], 2, 2), [1, 0])
    np.testing.assert_array_equal(as_class_indices(["dog", "cat", "dog"], 3, 2), [1, 0, 1])
    np.testing.assert_array_equal(as_class_indices([3, 1, 2], 3, 3), [2, 0, 1])
    np.testing.assert_array_equal(as_class_indices(["b", "c"], 2, 3, classes=["c", "a", "b"]), [2, 0])
    np.testing.assert_array_equal(as_class_indices([7, 5], 2, 2, classes=np.array([7, 5])), [0, 1])
    np.testing.assert_array_equal(as_class_indices(np.array([1, 0], dtype=object), 2, 3), [1, 0])


@pytest.mark.parametrize(
    ("y", "classes", "words"),
    [
        ([0, 3], None, "column numbers 0 to 2, or 3 different labels"),
        (["a", "b"], None, "holds 2: a, b; name the columns with classes"),
        ([0.5, 1.0], None, "column numbers"),
        ([-1, 0], None, "column numbers"),
        (["a", "z"], ["a", "b", "c"], "label 'z', which classes does not name"),
        (["a", "b"], ["a", "b"], "name each of the 3 columns once"),
        (["a", "b"], ["a", "b", "b"], "name each of the 3 columns once"),
        ([0, 1, 2], None, "one label for each of 2 rows"),
        ([0, np.nan], None, "missing"),
        (["a", None], None, "missing"),
    ],
)
def test_labels_that_do_not_fit(y, classes, words):
    with pytest.raises(ValueError, match=words):
        as_class_indices(y, 2, 3, classes=classes)
