"""Tasks: what trains and what judges never overlap, and impossible tasks are refused."""

import numpy as np
import pytest
import torch

from dakit.bench import make_task
from dakit.domains import Domain, load


def numbered(name, n=40, classes=("a", "b"), labels=True):
    """A domain in which every example is its own number."""
    y = torch.arange(n) % len(classes) if labels else None
    return Domain(name, torch.arange(n, dtype=torch.float32)[:, None], y, classes, {"row": np.arange(n)})


def test_parts_are_disjoint_and_complete():
    task = make_task(numbered("s"), numbered("t", 30), source_holdout=0.25, target_holdout=0.5, seed=3)
    for whole, train, test, held in (
        (40, task.source, task.source_test, 10),
        (30, task.target, task.target_test, 15),
    ):
        rows = np.concatenate([train.meta["row"], test.meta["row"]])
        assert sorted(rows) == list(range(whole))
        assert len(test) == held
    # the source keeps its class shares
    assert list(task.source_test.counts().values()) == [5, 5]


def test_target_is_split_without_a_look_at_its_labels():
    target = numbered("t")
    relabelled = Domain("t", target.x, 1 - target.y, target.classes, target.meta)
    rows = [
        make_task(numbered("s"), t).target_test.meta["row"].tolist()
        for t in (target, relabelled, target.unlabeled())
    ]
    assert rows[0] == rows[1] == rows[2]


def test_seed_draws_another_split_and_the_same_seed_the_same():
    rows = [
        make_task(numbered("s"), numbered("t"), seed=s).target_test.meta["row"].tolist() for s in (0, 0, 1)
    ]
    assert rows[0] == rows[1] != rows[2]


def test_concepts_of_emoji_never_meet():
    task = make_task(*load("emoji").pair("noto", "fluent-emoji-high-contrast", seed=5), seed=5)
    seen = [set(d.meta["concept"]) for d in (task.source, task.source_test, task.target, task.target_test)]
    for i, a in enumerate(seen):
        for b in seen[i + 1 :]:
            assert not a & b


def test_unlabelled_target_is_fine_and_unlabelled_source_is_not():
    assert make_task(numbered("s"), numbered("t", labels=False)).target_test.y is None
    with pytest.raises(ValueError, match="'s' has no labels"):
        make_task(numbered("s", labels=False), numbered("t"))


def test_refusals_say_what_is_wrong():
    one_class = Domain("s", torch.rand(9, 1), torch.zeros(9, dtype=torch.int64), ("a", "b"))
    with pytest.raises(ValueError, match=r"one class only \(a\)"):
        make_task(one_class, numbered("t"))
    with pytest.raises(ValueError, match="'t' holds 3 examples"):
        make_task(numbered("s"), numbered("t", 3))
    wide = Domain("t", torch.rand(9, 2))
    with pytest.raises(ValueError, match=r"\(1,\).*\(2,\)"):
        make_task(numbered("s"), wide)
    with pytest.raises(ValueError, match="unicorn"):
        make_task(numbered("s"), numbered("t", classes=("a", "unicorn")))


def test_several_sources_are_split_one_by_one_and_pooled():
    a, b, target = numbered("a"), numbered("b", 60), numbered("t", 50)
    task = make_task([a, b], target, seed=3)
    assert [len(d) for d in task.sources] == [32, 48]
    assert task.given == task.sources
    assert len(task.source) == 80 and len(task.source_test) == 20
    alone = make_task(b, target, seed=3)
    assert torch.equal(task.sources[1].x, alone.source.x)
    assert torch.equal(task.target_test.x, alone.target_test.x)
    one = make_task([a], target, seed=3)
    assert one.sources == () and one.given is one.source
    with pytest.raises(ValueError, match="share their classes"):
        make_task([a, numbered("c", classes=("up", "down"))], target)
