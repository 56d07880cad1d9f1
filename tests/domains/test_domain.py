"""Domain and DomainSet: what they accept, what they refuse, and how they are cut."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dakit.domains import Domain, DomainSet


def toy(name="toy", counts=(6, 4, 2), d=3, meta=None) -> Domain:
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    x = torch.arange(len(y) * d, dtype=torch.float32).view(len(y), d)
    return Domain(
        name, x, y, tuple("abcdefgh"[: len(counts)]), {"row": np.arange(len(y))} if meta is None else meta
    )


# -- what it is ---------------------------------------------------------------------------------------------


def test_facts():
    d = toy()
    assert len(d) == 12 and d.shape == (3,) and d.kind == "flat" and d.labeled and d.num_classes == 3
    assert d.counts() == {"a": 6, "b": 4, "c": 2} and toy().unlabeled().counts() == {}
    assert repr(d) == "Domain 'toy': 12 examples, flat (3,), a 6, b 4, c 2"
    assert repr(d.unlabeled()) == "Domain 'toy': 12 examples, flat (3,), no labels"
    kinds = [Domain("d", torch.zeros([2] * n)).kind for n in (2, 3, 4, 5)]
    assert kinds == ["flat", "series", "image", "5-d"]


def test_labels_become_int64_and_names_text():
    d = Domain("d", torch.zeros(2, 1), torch.tensor([0, 1], dtype=torch.uint8), (1, 2))
    assert d.y.dtype == torch.int64 and d.classes == ("1", "2")


def test_a_domain_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy().name = "other"


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"x": np.zeros((2, 2))}, TypeError, "must be a floating-point tensor"),
        ({"x": torch.zeros(2, 2, dtype=torch.int64)}, TypeError, "must be a floating-point tensor"),
        ({"x": torch.zeros(2)}, ValueError, r"at least 2 axes, got \(2,\)"),
        ({"x": torch.zeros(0, 2)}, ValueError, "'d' is empty; it needs at least one example"),
        ({"x": torch.tensor([[1.0], [torch.nan]])}, ValueError, "1 of 2 examples hold NaN or infinite"),
        ({"x": torch.tensor([[torch.inf], [1.0]])}, ValueError, "1 of 2 examples hold NaN or infinite"),
        ({"y": torch.tensor([0.0, 1.0])}, TypeError, "must be an integer tensor"),
        ({"y": torch.tensor([True, False])}, TypeError, "must be an integer tensor"),
        ({"y": [0, 1]}, TypeError, "must be an integer tensor"),
        (
            {"y": torch.tensor([0])},
            ValueError,
            r"y must have shape \(2,\), one entry per example, not \(1,\)",
        ),
        ({"y": torch.tensor([[0], [1]])}, ValueError, r"not \(2, 1\)"),
        ({"y": torch.tensor([0, 2])}, ValueError, "labels run from 0 to 2, but 2 class names allow 0 to 1"),
        ({"y": torch.tensor([-1, 0])}, ValueError, "labels run from -1 to 0"),
        ({"y": torch.tensor([0, 0]), "classes": ()}, ValueError, "0 class names"),
        ({"meta": {"town": ["Bonn"]}}, ValueError, "'town' has 1 entries for 2 examples"),
    ],
)
def test_refusals(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        Domain(**({"name": "d", "x": torch.zeros(2, 2), "classes": ("a", "b")} | arguments))


# -- what one makes of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [[2, 0, 5], np.array([2, 0, 5]), torch.tensor([2, 0, 5]), np.array([2, 0, 5], dtype=np.uint8)],
)
def test_subset_keeps_rows_together(index):
    d = toy().subset(index, name="part")
    assert d.name == "part" and d.meta["row"].tolist() == [2, 0, 5]
    assert d.x[:, 0].tolist() == [6, 0, 15] and d.y.tolist() == [0, 0, 0]


def test_subset_by_mask_slice_and_without_labels():
    d = toy()
    assert d.subset(d.y == 2).meta["row"].tolist() == [10, 11]
    assert d.subset(slice(None, None, -5)).meta["row"].tolist() == [11, 6, 1]
    assert d.unlabeled().subset([1]).y is None
    with pytest.raises(ValueError, match="mask needs one entry per example: 12"):
        d.subset([True, False])
    with pytest.raises(ValueError, match="is empty"):
        d.subset([])


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(lambda c: sum(c) >= 2),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_split_is_a_partition_that_keeps_class_shares(counts, fraction, seed):
    d = toy(counts=counts)
    first, second = d.split(fraction, seed)
    rows = np.concatenate([first.meta["row"], second.meta["row"]])
    assert sorted(rows.tolist()) == list(range(len(d)))
    assert len(first) == min(len(d) - 1, max(1, round(fraction * len(d))))
    for c, n in enumerate(counts):
        assert abs(int((first.y == c).sum()) - fraction * n) <= 2
    again = d.split(fraction, seed)[0]
    assert torch.equal(first.x, again.x)


def test_split_depends_on_the_seed_and_not_on_the_global_state():
    d = toy(counts=(50, 50))
    a, b = d.split(0.5, 0)[0].meta["row"], d.split(0.5, 1)[0].meta["row"]
    assert a.tolist() != b.tolist()
    np.random.seed(7)  # noqa: NPY002 - the legacy state must not matter
    torch.manual_seed(7)
    assert a.tolist() == d.split(0.5, 0)[0].meta["row"].tolist()


def test_unstratified_split_does_not_look_at_labels():
    d = toy(counts=(20, 10, 10))
    other = dataclasses.replace(d, y=d.y.flip(0))
    rows = [e.split(0.4, 5, stratify=False)[0].meta["row"].tolist() for e in (d, other, d.unlabeled())]
    assert rows[0] == rows[1] == rows[2] and len(rows[0]) == 16
    cut = [[e.split(0.4, seed)[0].meta["row"].tolist() for seed in range(9)] for e in (d, other)]
    assert cut[0] != cut[1]  # the default does look


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, float("nan")])
def test_split_needs_a_fraction(fraction):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        toy().split(fraction)


def test_one_example_cannot_be_split():
    with pytest.raises(ValueError, match="holds one example and cannot be split"):
        toy(counts=(1,)).split()


def test_to_moves_inputs_and_labels():
    d = toy().to("cpu")
    assert d.x.device.type == d.y.device.type == "cpu" and toy().unlabeled().to("cpu").y is None


# -- sets ---------------------------------------------------------------------------------------------------


def test_a_set_is_an_ordered_mapping():
    s = DomainSet("s", [toy("z"), toy("a")])
    assert s.names == ("z", "a") and list(s) == ["z", "a"] and len(s) == 2 and s.classes == ("a", "b", "c")
    assert s["a"].name == "a" and "z" in s and [d.name for d in s.values()] == ["z", "a"]
    assert repr(s).splitlines()[0] == "DomainSet 's' of 2 domains" and "Domain 'z'" in repr(s)
    with pytest.raises(KeyError, match="'s' has no domain 'q'; it has z, a"):
        s["q"]


def test_sets_that_cannot_be():
    with pytest.raises(ValueError, match="needs at least one domain"):
        DomainSet("s", [])
    with pytest.raises(
        ValueError, match=r"share their classes: 'p' has \['a', 'b', 'c'\], 'q' has \['a', 'b'\]"
    ):
        DomainSet("s", [toy("p"), toy("q", counts=(1, 1))])
    with pytest.raises(ValueError, match="has two domains called 'p'"):
        DomainSet("s", [toy("p"), toy("q"), toy("p")])


def drawn(name: str, order, labels) -> Domain:
    """One drawing of each concept in ``order``; x is the concept's number."""
    order = np.asarray(order)
    return Domain(
        name,
        torch.tensor(order, dtype=torch.float32)[:, None],
        torch.tensor([labels[c] for c in order]),
        ("a", "b"),
        {"concept": np.array([f"c{c:02d}" for c in order])},
    )


def test_pair_keeps_concepts_apart_and_covers_them():
    labels = {c: c % 2 for c in range(40)}
    s = DomainSet("s", [drawn("one", range(40), labels), drawn("two", range(39, -1, -1), labels)])
    source, target = s.pair("one", "two", seed=3)
    cs, ct = set(source.meta["concept"]), set(target.meta["concept"])
    assert not cs & ct and len(cs | ct) == 40 and len(cs) == 20
    assert source.counts() == {"a": 10, "b": 10} and target.counts() == {"a": 10, "b": 10}
    assert len(s.pair("one", "two", fraction=0.75)[0]) == 30
    assert set(s.pair("one", "two", seed=4)[0].meta["concept"]) != cs
    assert (
        set(s.pair("two", "one", seed=3)[0].meta["concept"]) == cs
    )  # the seed's concepts, whatever the style


def test_paired_gives_shared_concepts_row_by_row():
    labels = {c: c % 2 for c in range(10)}
    s = DomainSet("s", [drawn("one", range(8), labels), drawn("two", range(9, 1, -1), labels)])
    source, target = s.pair("one", "two", paired=True)
    assert (
        source.meta["concept"].tolist()
        == target.meta["concept"].tolist()
        == [f"c{c:02d}" for c in range(2, 8)]
    )
    assert torch.equal(source.x, target.x) and torch.equal(source.y, target.y)


def test_pair_without_concepts_is_the_two_domains():
    s = DomainSet("s", [toy("p"), toy("q")])
    source, target = s.pair("p", "q")
    assert source is s["p"] and target is s["q"]
    with pytest.raises(ValueError, match="no concepts shared between domains"):
        s.pair("p", "q", paired=True)


def test_feature_names_travel_and_must_fit():
    d = Domain("toy", torch.zeros(4, 2), features=("age", "spent"))
    assert d.subset([0, 1]).features == d.unlabeled().features == d.split()[0].features == ("age", "spent")
    assert Domain("series", torch.zeros(4, 3, 9), features=("x", "y", "z")).features == ("x", "y", "z")
    for x in (torch.zeros(4, 3), torch.zeros(4, 2, 8, 8)):
        with pytest.raises(ValueError, match=r"2 feature names do not fit examples of shape"):
            Domain("toy", x, features=("age", "spent"))
