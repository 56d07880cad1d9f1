"""Partial, open and universal pairs: which examples stay, and what they are called."""

import dataclasses

import numpy as np
import pytest
import torch

from dakit import domains
from dakit.domains import Domain, category_gap

CLASSES = ("ant", "bee", "cat", "dog", "eel")


def animals(name="one", n=20, seed=0, **changes):
    """x holds the class and the row."""
    y = torch.tensor(np.random.default_rng(seed).permutation(np.arange(n) % 5))
    x = torch.stack([y.float(), torch.arange(n).float()], 1)
    return dataclasses.replace(Domain(name, x, y, CLASSES, {"row": np.arange(n)}), **changes)


SOURCE, TARGET = animals(), animals("two", 30, seed=1)


def true_classes(domain):
    return [CLASSES[int(c)] for c in domain.x[:, 0]]


def test_universal_by_hand():
    x = torch.arange(6.0)[:, None]
    d = Domain("d", x, torch.tensor([4, 0, 1, 2, 3, 0]), CLASSES)
    s, t = category_gap(d, d, shared=["dog", "ant"], source_private=["bee"], target_private=["eel", "cat"])
    assert s.classes == ("ant", "bee", "dog")  # their old order
    assert s.x[:, 0].tolist() == [1, 2, 4, 5] and s.y.tolist() == [0, 1, 2, 0]
    assert t.classes == ("ant", "bee", "dog", "unknown")
    assert t.x[:, 0].tolist() == [0, 1, 3, 4, 5] and t.y.tolist() == [3, 0, 3, 2, 0]
    assert t.meta["class"].tolist() == ["eel", "ant", "cat", "dog", "ant"]


def test_labels_go_with_their_examples_and_rows_keep_their_order():
    s, t = category_gap(SOURCE, TARGET, shared=[1, 3], source_private=[0], target_private=[4, 2])
    assert [s.classes[c] for c in s.y] == true_classes(s)
    known = [c if c in ("bee", "dog") else "unknown" for c in true_classes(t)]
    assert [t.classes[c] for c in t.y] == known
    assert t.meta["class"].tolist() == true_classes(t)
    for before, after, left_out in ((SOURCE, s, (2, 4)), (TARGET, t, (0,))):
        rows = [r for r in range(len(before)) if int(before.y[r]) not in left_out]
        assert after.meta["row"].tolist() == after.x[:, 1].tolist() == rows
        assert after.name == before.name
    assert t.num_classes == s.num_classes + 1 and t.classes[:-1] == s.classes


def test_partial_gives_both_one_list():
    s, t = category_gap(SOURCE, TARGET, shared=["bee", "dog"], source_private=["ant", "cat", "eel"])
    assert s.classes == t.classes == CLASSES and torch.equal(s.x, SOURCE.x) and torch.equal(s.y, SOURCE.y)
    assert t.counts() == {"ant": 0, "bee": 6, "cat": 0, "dog": 6, "eel": 0}
    assert domains.align_classes(s, t)[1].classes == CLASSES
    assert "class" not in t.meta


def test_all_shared_changes_nothing():
    s, t = category_gap(SOURCE, TARGET, shared=range(5))
    for before, after in ((SOURCE, s), (TARGET, t)):
        assert torch.equal(before.x, after.x) and torch.equal(before.y, after.y)
        assert before.classes == after.classes


def test_names_and_indices_mean_the_same_also_where_names_are_numbers():
    by_name = category_gap(SOURCE, TARGET, shared=["ant", "bee"], target_private=["eel"])
    by_index = category_gap(SOURCE, TARGET, shared=np.array([0, 1]), target_private=(4,))
    assert all(torch.equal(a.y, b.y) and a.classes == b.classes for a, b in zip(by_name, by_index))
    numbers = animals(classes=("5", "6", "7", "8", "9"))
    assert category_gap(numbers, numbers, shared=["5", "6"])[0].classes == ("5", "6")
    assert category_gap(numbers, numbers, shared=[0, 1])[0].classes == ("5", "6")
    with pytest.raises(ValueError, match="shared: there is no class 5 among the 5 classes '5', '6'"):
        category_gap(numbers, numbers, shared=[5, 6])


def test_the_domains_given_stay_as_they_are():
    before = SOURCE.x.clone(), SOURCE.y.clone(), dict(SOURCE.meta)
    category_gap(SOURCE, TARGET, shared=[0, 1], target_private=[2])
    assert torch.equal(SOURCE.x, before[0]) and torch.equal(SOURCE.y, before[1])
    assert SOURCE.meta.keys() == before[2].keys() and TARGET.classes == CLASSES


def test_a_column_called_class_is_kept():
    column = np.arange(len(TARGET))
    target = dataclasses.replace(TARGET, meta={"class": column})
    t = category_gap(SOURCE, target, shared=[0, 1], target_private=[2])[1]
    assert t.meta["class"].tolist() == [r for r in column if int(TARGET.y[r]) < 3]


@pytest.mark.parametrize(
    ("source", "target", "options", "sentence"),
    [
        (SOURCE.unlabeled(), TARGET, {"shared": [0, 1]}, "source 'one' has no labels"),
        (SOURCE, TARGET.unlabeled(), {"shared": [0, 1]}, "target 'two' has no labels"),
        (
            SOURCE,
            animals(classes=CLASSES[::-1]),
            {"shared": [0, 1]},
            "classes disagree: source 'one' has 'ant'",
        ),
        (
            SOURCE,
            animals("two", x=torch.zeros(20, 3)),
            {"shared": [0, 1]},
            r"of shape \(2,\) but target 'two'",
        ),
        (SOURCE, TARGET, {"shared": []}, "shared names no class"),
        (
            SOURCE,
            TARGET,
            {"shared": "ant"},
            r"shared must be a list of classes, got the text 'ant'; write \['ant'\]",
        ),
        (
            SOURCE,
            TARGET,
            {"shared": ["fox"]},
            "shared: there is no class 'fox' among the 5 classes 'ant', 'bee'",
        ),
        (SOURCE, TARGET, {"shared": [-1, 0]}, "shared: there is no class -1"),
        (
            SOURCE,
            TARGET,
            {"shared": [0, 1], "target_private": [1]},
            "'bee' is named in shared and in target_private",
        ),
        (SOURCE, TARGET, {"shared": [0, "ant"]}, "'ant' is named twice in shared"),
        (SOURCE, TARGET, {"shared": [0]}, "the source would keep the class 'ant' alone"),
        (SOURCE.subset(SOURCE.y != 1), TARGET, {"shared": [0, 1]}, "source 'one' has no example of 'bee'"),
        (
            SOURCE,
            TARGET.subset(TARGET.y < 3),
            {"shared": [0, 1], "target_private": [3, 4]},
            "target 'two' has no example of 'dog', 'eel', which it is to keep",
        ),
        (
            animals(classes=("unknown", *CLASSES[1:])),
            animals(classes=("unknown", *CLASSES[1:])),
            {"shared": [0, 1]},
            "a class of the source is called 'unknown'",
        ),
    ],
)
def test_bad_input_is_told(source, target, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        category_gap(source, target, **options)
