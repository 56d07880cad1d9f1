"""The moons of the DANN paper: the data of the authors' program, Algorithm 1 to its last pass, and an honest table."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_moons

from tests.test_amazon_reviews import by_the_formulas

TABLES = Path(__file__).parent.parent / "benchmarks" / "tables"
pytestmark = pytest.mark.skipif(not TABLES.exists(), reason="benchmarks/ is not in the wheel")


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(TABLES))
    import moons

    return moons


def test_a_quarter_turn_by_hand(table):
    (xs, ys), (xt, yt) = table.turned_moons(90)
    first, second = (make_moons(150, noise=0.05, random_state=k)[0] for k in (1, 2))
    assert np.allclose(xs, 2 * (first - first.mean(0)))
    moved = 2 * (second - first.mean(0))
    assert np.allclose(xt, np.stack([-moved[:, 1], moved[:, 0]], 1))  # against the clock
    assert len(ys) == len(yt) == 150


@pytest.mark.slow  # the first call compiles
@pytest.mark.parametrize("lambda_", [0.0, 6.0])
def test_without_held_out_examples_the_last_pass_counts(table, lambda_):
    source, (xt, _) = table.turned_moons(35, (40, 30))
    predict = table.train(source, xt, lambda_, 5, passes=6)
    # A held-out label of no class makes all passes equally bad, so that the reference keeps the last.
    options = {"lambda_": lambda_, "rate": table.RATE, "seed": 5, "passes": 6, "hidden": table.UNITS}
    expected = by_the_formulas(*source, xt, xt[:1], np.array([-1]), **options)
    x = 2 * np.random.default_rng(0).normal(size=(2000, 2))
    assert 0.2 < expected(x).mean() < 0.8
    assert (predict(x) == expected(x)).mean() > 0.999


def test_nothing_published_is_claimed_and_misses_are_marked(table, monkeypatch, capsys):
    monkeypatch.setattr(table, "train", lambda *_: lambda x: np.zeros(len(x), int))
    rows = table.cells([35.0, 50.0], [42, 7], ["nn", "dann"])
    assert {row["published"] for row in rows} == {None}
    known = [row for row in rows if row["authors_program"] is not None]
    assert [(row["method"], row["pair"]) for row in known] == [("nn", "35/42"), ("dann", "35/42")]
    assert all(table.missed(row) == (row in known) for row in rows)  # half right: far from both
    assert "0.500 (0.827)*" in table.table(rows)
    monkeypatch.setattr(sys, "argv", ["moons.py", "--quick", "--json"])
    assert table.main() == 0
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 2


@pytest.mark.slow
def test_the_mean_error_at_50_degrees_falls_by_a_tenth(table):
    """The shallow network as published, 15 units, λ = 6, 300 passes, over 5 draws of moons and weights."""
    falls = []
    for seed in range(5):
        draws = (3 * seed, 3 * seed + 1, 3 * seed + 2)
        source, (xt, _), (test, y) = table.turned_moons(50, (300, 300, 1000), draws, 0.1)
        errors = [np.mean(table.train(source, xt, lambda_, seed, 300)(test) != y) for lambda_ in (0.0, 6.0)]
        falls.append(errors[0] - errors[1])
    print(f"fall of the error: {np.mean(falls):.3f} ± {np.std(falls, ddof=1):.3f}")
    assert np.mean(falls) >= 0.10, falls
