"""Comparing answers with what is right."""

import numpy as np
import pytest
import torch

from dakit.course.compare import close, constant, describe, factor


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (1.0, 1.00001, True),
        (1.0, 1.01, False),
        (1, 1.0, True),
        (torch.ones(2), np.ones(2), True),
        (np.ones(2), np.ones((2, 1)), False),
        ([1.0, 2.0], (1.0, 2.0), True),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        (float("nan"), float("nan"), False),
        ("yes", "yes", True),
        ("yes", "no", False),
        (None, 0.0, False),
        (True, 1.0, False),
        (torch.tensor([1, 2]), [1, 2], False),  # one leaf against two
    ],
)
def test_close(a, b, same):
    assert close(a, b) is same
    assert close(b, a) is same


def test_constant():
    assert constant([1.0, 1.0, 1.0])
    assert not constant([1.0, 1.0, 1.1])


def test_factor_needs_the_same_ratio_everywhere():
    assert factor([2.0, 4.0], [1.0, 2.0]) == pytest.approx(2)
    assert factor([2.0, 5.0], [1.0, 2.0]) is None
    assert factor([0.0, 0.0], [1.0, 2.0]) is None
    assert factor(["a", "b"], ["a", "c"]) is None


def test_describe():
    assert describe(torch.zeros(2, 3)) == "a tensor of shape (2, 3)"
    assert describe(np.array([np.nan])) == "an array of shape (1,) with NaN or infinite values"
    assert describe(float("inf")) == "a number that is NaN or infinite"
    assert describe((1.0, np.zeros(2)), short=True) == "(1, array of shape (2,))"


def test_arrays_of_names_are_compared_as_they_are():
    assert close(np.array(["a", "b"]), np.array(["a", "b"]))
    assert not close(np.array(["a", "b"]), np.array(["a", "c"]))
    assert not close(np.array(["1", "2"]), np.array([1, 2]))
