"""The published values of ICV and IDD."""

import dataclasses
import math
from collections import Counter

import pandas as pd
import pytest

from dakit.metrics import published_icv_idd


def test_rows():
    rows = published_icv_idd()
    assert Counter(r.benchmark for r in rows) == {
        "ImageNet": 1,
        "SuperMarioDomains": 4,
        "PACS": 4,
        "OfficeHome": 4,
        "DomainNet": 6,
        "VLCS": 4,
        "TerraIncognita": 4,
    }
    assert len({(r.benchmark, r.domain) for r in rows}) == len(rows) == 27
    assert sum(r.certain for r in rows) == 11
    assert not any(r.certain for r in rows if r.domain.startswith("other"))
    by_name = {(r.benchmark, r.domain): r for r in rows}
    sketch = by_name["PACS", "Sketch"]
    assert (sketch.icv, sketch.idd, sketch.certain) == (0.0002, 0.517, True)
    assert not by_name["PACS", "Cartoon"].certain
    assert by_name["ImageNet", "ImageNet1K"].idd == 0  # against itself


def test_values_lie_where_such_measures_can():
    for r in published_icv_idd():
        assert 0 <= r.icv <= math.log(2) ** 2 / 4  # a variance of numbers in [0, log 2]
        assert 0 <= r.idd <= math.log(2)
        assert (r.icv_error, r.idd_error) == (0.0003, 0.004)


def test_strokes_are_consistent_and_far_from_photographs():
    rows = {(r.benchmark, r.domain): r for r in published_icv_idd()}
    for stroke in (rows["PACS", "Sketch"], rows["DomainNet", "QuickDraw"]):
        assert stroke.icv < rows["PACS", "Photo"].icv / 10
        assert stroke.idd > 10 * rows["PACS", "Photo"].idd


def test_a_table_and_a_fresh_list_each_time():
    table = pd.DataFrame(published_icv_idd())
    assert list(table.columns) == ["domain", "benchmark", "icv", "idd", "certain", "icv_error", "idd_error"]
    published_icv_idd().clear()
    assert len(published_icv_idd()) == 27
    with pytest.raises(dataclasses.FrozenInstanceError):
        published_icv_idd()[0].icv = 1.0
