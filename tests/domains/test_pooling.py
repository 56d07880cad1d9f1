"""Several domains as one."""

import numpy as np
import pytest
import torch

from dakit.domains import Domain, DomainSet, pool

A = Domain(
    "a", torch.zeros(2, 3), torch.tensor([0, 1]), ("no", "yes"), {"w": np.array([1, 2])}, ("p", "q", "r")
)
B = Domain("b", torch.ones(1, 3), torch.tensor([1]), ("no", "yes"), {"w": np.array([3]), "v": np.array([0])})


def test_rows_follow_each_other_and_say_where_they_come_from():
    both = pool([A, B])
    assert both.name == "a + b"
    assert both.x[:, 0].tolist() == [0, 0, 1]
    assert both.y.tolist() == [0, 1, 1]
    assert both.meta["domain"].tolist() == ["a", "a", "b"]
    assert both.meta["w"].tolist() == [1, 2, 3]
    assert "v" not in both.meta  # only some examples have it
    assert both.features == ()  # and only one domain names its features
    assert pool(DomainSet("set", [A, B]), name="c").name == "c"


def test_one_domain_is_returned_as_it_is():
    assert pool([A]) is A


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Domain("c", torch.ones(1, 2), torch.tensor([1]), ("no", "yes")), r"'a' has \(3,\), 'c' has \(2,\)"),
        (Domain("c", torch.ones(1, 3), torch.tensor([1]), ("yes", "no")), "share their classes"),
        (B.unlabeled(), "'a' has labels and 'b' has none"),
    ],
)
def test_what_does_not_go_together_is_told(other, words):
    with pytest.raises(ValueError, match=words):
        pool([A, other])
    with pytest.raises(ValueError, match="at least one domain"):
        pool([])
