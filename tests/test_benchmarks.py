"""The benchmark of the metrics: its parts fit together, and what it extrapolates is right on a straight line."""

import argparse
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not (Path(__file__).parent.parent / "benchmarks").exists(), reason="benchmarks/ is not in the wheel"
)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
    monkeypatch.delitem(sys.modules, "metrics", raising=False)
    import metrics

    return metrics


def test_sections_name_entries(benchmark):
    for section in benchmark.SECTIONS.values():
        names = {section.ours, *section.others, section.exact} - {""}
        assert names <= set(benchmark.ENTRIES)
        assert not benchmark.ENTRIES[section.ours].library


@pytest.mark.parametrize("section", ["mmd", "test", "sliced", "energy", "frechet"])
def test_what_comes_with_dakit_agrees(benchmark, monkeypatch, section):
    from entries import worker

    section = benchmark.SECTIONS[section]
    monkeypatch.setattr(
        benchmark, "measured", lambda name, case, repeats: worker.measure(name, case, repeats)
    )
    monkeypatch.setattr(benchmark, "in_own_process", lambda *arguments: {})
    here = ("sklearn_mmd", "matrix_test", "pot_sliced", "cdist_energy", "sqrtm_frechet", "pot_frechet")
    section = benchmark.replace(section, others=tuple(name for name in section.others if name in here))
    case = benchmark.Case(60, 5, 100)
    found = benchmark.run(section, case, argparse.Namespace(patience=30, memory=500, device="cpu"))
    assert set(found["entries"]) == {section.ours, *section.others}
    for row in found["entries"].values():
        assert row["agrees"]
    assert benchmark.faults("here", found) == []
    found["entries"][section.ours] = {"failed": "no memory"}
    assert benchmark.faults("here", found) == [f"here: {section.ours}: no memory"]


def test_another_value_is_a_fault(benchmark):
    section, case = benchmark.SECTIONS["mmd"], benchmark.Case(100, 3)
    row = {"value": 0.25, "own_bar": None}
    benchmark.judge(row, lambda case, value: value, section, case, 0.2501)
    assert not row["agrees"]
    assert benchmark.faults("mmd", {"entries": {"sklearn_mmd": row}}) == [
        "mmd: sklearn_mmd gives another value"
    ]
    # A definition that is known to differ is compared with what it should give.
    row = {"value": 0.5 + 2 / 99, "own_bar": None}
    benchmark.judge(row, benchmark.ENTRIES["torchdrift_mmd"].expected, section, case, 0.5)
    assert row["agrees"]


def test_few_draws_are_scaled_along_a_line(benchmark, monkeypatch):
    from entries import launch

    def process(python, module, name, n, d, draws, device, repeats, threads=1):
        return {"cpu": 3 + 2 * int(draws), "wall": 1.0, "value": 0.0}

    monkeypatch.setattr(launch, "in_own_process", process)
    row = launch.measured("frouros_test", benchmark.Case(100, 3, 200), 1)
    assert (row["cpu"], row["wall"], row["scaled_from"]) == (403, 1, [3, 10])


def test_long_runs_are_skipped_and_named(benchmark):
    from entries.launch import reason_to_skip

    case = benchmark.Case(100_000, 64)
    assert reason_to_skip("alibi_mmd", case, 30, 2000) == "about 1,600 s"
    assert reason_to_skip("alibi_mmd", case, 1e9, 2000) == "about 500,000 MiB"
    assert reason_to_skip("dakit_mmd", case, 30, 2000) is None
    assert reason_to_skip("sklearn_mmd", benchmark.Case(10, 2, device="cuda"), 30, 2000) == "CPU only"
