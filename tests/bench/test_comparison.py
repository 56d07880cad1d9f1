"""Comparisons: the numbers in the table are those of the runs, and the gain is paired by seed."""

import numpy as np
import pytest
import torch

from dakit import training
from dakit.bench import compare, make_task
from dakit.bench.comparison import spread
from dakit.bench.tables import accuracy_rows, comparison_tables, plus_minus, shift_rows
from dakit.domains import Domain

CLASSES = ("left", "right")


def shifted(seed=0, move=1.5, n=120):
    rng = np.random.default_rng(seed)
    y = torch.arange(n) % 2
    x = torch.tensor(rng.normal(size=(n, 4)), dtype=torch.float32)
    x[:, 0] += 4 * y
    source = Domain("here", x, y, CLASSES)
    return source, Domain("there", x.flip(0) + torch.tensor([move, 0, 0, 0]), y.flip(0), CLASSES)


@pytest.fixture(scope="module")
def comparison():
    return compare(
        lambda seed: make_task(*shifted(seed), seed=seed),
        ["source_only", "dan", "oracle"],
        seeds=2,
        steps=40,
        progress=False,
        precision="float32",
    )


def test_results_are_what_evaluate_says_on_held_out_examples(comparison):
    for name in ("source_only", "dan"):
        run, task = comparison.runs[name, 0], comparison.tasks[0]
        first = comparison.of(name)[0]
        assert first.target_accuracy == training.evaluate(run, task.target_test).accuracy
        expected = (run.predict(task.target_test) == task.target_test.y.numpy()).mean()
        assert first.target_accuracy == pytest.approx(expected)


def test_gain_is_paired_by_seed(comparison):
    a, b = (comparison.accuracy(m)["per_seed"] for m in ("dan", "source_only"))
    got = comparison.gain("dan")
    assert got["per_seed"] == pytest.approx([a[0] - b[0], a[1] - b[1]])
    assert got["sd"] == pytest.approx(np.std(got["per_seed"], ddof=1))


def test_pvalue_of_several_seeds_is_the_largest(comparison):
    shift = comparison.shift("source_only")
    assert shift["mmd_pvalue"] == max(r["mmd_pvalue"] for r in shift["per_seed"])
    assert shift["mmd"] == pytest.approx(np.mean([r["mmd"] for r in shift["per_seed"]]))


def test_same_call_same_numbers(comparison):
    again = compare(
        lambda seed: make_task(*shifted(seed), seed=seed),
        ["source_only", "dan", "oracle"],
        seeds=2,
        steps=40,
        progress=False,
        precision="float32",
    )
    assert [r.target_accuracy for r in again.results] == [r.target_accuracy for r in comparison.results]
    assert [r.shift for r in again.results] == [r.shift for r in comparison.results]


def test_methods_share_the_split_and_the_start(comparison):
    """A difference between methods is the method's, not that of another initial network."""
    starts = [
        training.fit(
            name, *shifted()[:2], steps=1, lr=1e-12, seed=7, progress=False
        ).method.backbone.state_dict()
        for name in ("source_only", "dan")
    ]
    for key, value in starts[0].items():
        assert torch.allclose(value, starts[1][key], atol=1e-8)


def test_table_and_rows_have_a_line_a_method(comparison):
    table = comparison.table()
    assert list(table.index) == ["source_only", "dan", "oracle"]
    assert table.loc["dan", "target_accuracy"] == comparison.accuracy("dan")["mean"]
    rows = accuracy_rows(comparison)
    mean, sd = comparison.accuracy("dan")["mean"], comparison.accuracy("dan")["sd"]
    assert rows[1]["target"] == f"{100 * mean:.1f} ± {100 * sd:.1f}"


def test_shift_rows_show_every_measure(comparison):
    row = shift_rows(comparison)[0]
    a = [r.shift["a_distance"] for r in comparison.of("source_only")]
    assert row["A-distance"] == plus_minus(spread(a))
    assert row["p (MMD)"] == f"{comparison.shift('source_only')['mmd_pvalue']:.3f}"


def test_terminal_tables_fit_80_columns(comparison):
    from rich.console import Console

    console = Console(width=80, record=True)
    console.print(*comparison_tables(comparison, title="here → there"))
    assert "…" not in console.export_text()


def test_unlabelled_target_has_no_accuracy_and_still_a_shift():
    source, target = shifted()
    got = compare(make_task(source, target.unlabeled()), ["source_only"], seeds=1, steps=5, progress=False)
    assert got.accuracy("source_only") is None
    assert got.gain("source_only") is None
    assert got.shift("source_only")["icv_target"] is None
    assert got.shift("source_only")["a_distance"] is not None


def test_spread_by_hand():
    assert spread([1, 2, 6]) == {"mean": 3, "sd": pytest.approx(np.sqrt(7)), "per_seed": [1, 2, 6]}
    assert spread([5])["sd"] is None
    assert plus_minus(spread([0.5, 0.7]), scale=100, digits=1) == "60.0 ± 14.1"
    assert plus_minus(spread([0.5])) == "0.500"
    assert plus_minus(spread([0.01, 0.03])) == "0.0200 ± 0.0141"


def test_no_seed_is_refused():
    with pytest.raises(ValueError, match="at least one seed"):
        compare(make_task(*shifted()), ["source_only"], seeds=0)


@pytest.mark.parametrize(
    "names", [("source_only", "adabn"), ("adabn", "source_only"), ("source_only", "dann")]
)
def test_automatic_backbones_are_the_same_for_all_methods(names):
    result = compare(
        make_task(*shifted()), names, seeds=1, steps=2, batch_size=8, permutations=10, progress=False
    )
    specs = [result.runs[name, 0].method.backbone.spec for name in names]
    assert specs[0] == specs[1]
    assert specs[0]["norm"] == ("batch" if "adabn" in names else "none")
