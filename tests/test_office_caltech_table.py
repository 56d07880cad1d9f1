"""The published tables on Office-Caltech: cells of the pairs that take seconds, to the last printed digit."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data"
SCRIPT = ROOT / "benchmarks" / "tables" / "office_caltech_surf.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="benchmarks/ is not in the wheel")
with_data = pytest.mark.skipif(
    not (DATA / "office_caltech10_surf.npz").exists(),
    reason="no office_caltech10_surf.npz: the SURF histograms have no stated licence and are not part of dakit",
)


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import office_caltech_surf

    return office_caltech_surf


@with_data
@pytest.mark.parametrize("method", ["1nn", "pca30", "tca30", "jda30", "jda100", "gfk"])
def test_cells_are_as_published(script, method):
    data = script.read(DATA / script.FILE)
    assert [len(y) for _, y in data.values()] == [1123, 958, 295, 157]
    for cell in script.cells(data, [method], ["W-D", "D-W"]):
        assert abs(cell["measured"] - cell["published"]) <= cell["tolerance"], cell


@with_data
def test_a_detail_that_no_paper_states_decides(script):
    """With components of equal variance instead of eigenvectors of unit length JDA loses several points."""
    from dakit.methods import JDA

    data = script.read(DATA / script.FILE)
    (xs, ys), (xt, yt) = data["D"], data["W"]
    xs, xt = script.standardised(xs), script.standardised(xt)
    unit, equal = (
        np.mean(JDA(unit_eigenvectors=flag).fit_domains(xs, ys, xt).predict(xt) == yt)
        for flag in (True, False)
    )
    assert unit > equal + 0.02


def test_without_the_data_it_says_what_it_needs(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["office_caltech_surf.py", "--data", str(tmp_path)])
    assert script.main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "needs Office-Caltech's SURF histograms" in said.err
    assert len(said.err.strip().splitlines()) == 1


@with_data
def test_json_holds_the_cells(script, monkeypatch, capsys):
    arguments = ["--data", str(DATA), "--methods", "1nn", "sa20", "--pairs", "D-W", "--json"]
    monkeypatch.setattr(sys, "argv", ["office_caltech_surf.py", *arguments])
    assert script.main() == 0
    nearest, aligned = json.loads(capsys.readouterr().out)["cells"]
    assert set(nearest) == {"method", "pair", "measured", "published", "tolerance"}
    assert nearest["method"] == "1nn"
    assert nearest["measured"] == pytest.approx(63.39, abs=0.005)
    assert aligned["published"] is None


def test_a_miss_is_called_a_miss(script):
    cell = {"method": "tca30", "pair": "D-W", "measured": 87.4576, "published": 87.5, "tolerance": 0.055}
    assert not script.missed(cell)
    assert script.missed({**cell, "measured": 87.1})
    assert not script.missed({**cell, "published": None})
    text = script.table([cell, {**cell, "pair": "W-D", "measured": 10.0}])
    assert "1 of 2 cells as published" in text
    assert text.count("miss") == 1


def test_every_published_row_has_twelve_cells(script):
    assert all(len(row) == len(script.PAIRS) for row in script.PUBLISHED.values())
    assert set(script.TOLERANCE) == set(script.PUBLISHED)
