"""From lines of trainings to tables and a page."""

import pytest

from dakit.bench.methods_page import complete, frame, methods_page, summary


def row(
    method: str, task: str, seed: int, target: float, *, world="emoji", moments=((0.0, 0.2), (1.0, 0.6))
) -> dict:
    """``moments``: pairs of a validator's score and an accuracy, before the last one."""
    seen = [{"information_maximisation": s, "target": t} for s, t in (*moments, (0.5, target))]
    head = {"world": world, "task": task, "method": method, "seed": seed, "source": 0.9, "target": target}
    return head | {"moments": seen if method != "coral" else []}


ROWS = [
    row(method, task, seed, base + 0.01 * seed + 0.1 * (task == "a → b"))
    for method, base in (("source_only", 0.3), ("dann", 0.4), ("coral", 0.35), ("oracle", 0.8))
    for task in ("a → b", "b → a", "a → c")
    for seed in (0, 1)
]
ROWS.append(
    {"world": "emoji", "task": "a → b", "method": "ibn", "seed": 0, "error": "ValueError: needs <pictures>"}
)


def test_each_rule_keeps_its_moment():
    trainings = frame(ROWS).set_index(["method", "task", "seed"])
    assert "ibn" not in trainings.index.get_level_values("method")
    one = trainings.loc["dann", "b → a", 0]
    assert (one["last"], one["validator"], one["labels"]) == (0.4, 0.6, 0.6)
    assert trainings.loc["oracle", "b → a", 0]["labels"] == 0.8
    one = trainings.loc["coral", "b → a", 1]  # no moments: every rule keeps what there is
    assert (one["last"], one["validator"], one["labels"]) == (0.36, 0.36, 0.36)


def test_spread_is_over_seeds_of_the_mean_over_tasks():
    cells = summary(frame(ROWS))
    assert cells.loc["dann", ("emoji", "mean")] == pytest.approx(100 * (0.4 + 0.005 + 0.1 / 3))
    assert cells.loc["dann", ("emoji", "sd")] == pytest.approx(100 * 0.01 / 2**0.5)


def test_a_method_that_misses_a_task_is_left_out_of_the_ranks():
    scores, missing = complete(frame([r for r in ROWS if (r["method"], r["task"]) != ("coral", "a → c")]))
    assert missing == ["coral"]
    assert list(scores) == ["dann", "oracle", "source_only"]


def test_the_page_says_what_was_measured_and_what_failed():
    text, html = methods_page(ROWS, {"dann": {"ratio": 2.04}}, settings={"emoji": {"steps": 300}})
    assert "| dann | 43.8 ± 0.7 | 1.0 [1.0, 1.0] | 43.8 | 60.0 | 60.0 | 2.0 |" in text
    assert "| oracle (bound) |" in text
    assert "Not trained: ibn: ValueError: needs <pictures>" in text
    assert "needs &lt;pictures&gt;" in html
    assert "<script src" not in html
    assert "Friedman: chi² 6 over 3 tasks" in text
