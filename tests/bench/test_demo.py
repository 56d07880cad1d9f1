"""The demo, whole but short: every pair, every method, the page and the numbers."""

import json
from html.parser import HTMLParser

import pytest

from dakit.bench.demo import METHODS, PAIRS, run_demo


class Pictures(HTMLParser):
    """The alt text of every picture of a page; None where there is none."""

    def __init__(self):
        super().__init__()
        self.alts = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("out"), seeds=1, quick=True)


def test_pairs_are_emoji_and_digits():
    assert [p.set.split("_")[0] for p in PAIRS] == ["emoji", "digits"]
    assert METHODS == ("source_only", "dann", "dan", "deep_coral", "oracle")


def test_numbers_on_disk_are_those_returned(demo):
    saved = json.loads((demo.page.parent / "demo.json").read_text())
    assert saved == json.loads(json.dumps(demo.as_dict()))
    for pair in saved["pairs"]:
        assert list(pair["methods"]) == list(METHODS)
        for measured in pair["methods"].values():
            assert 0 <= measured["target_accuracy"]["mean"] <= 1
            assert 0 < measured["shift"]["mmd_pvalue"] <= 1
    assert saved["seconds"] > 0
    assert saved["peak_memory_mib"] > 100


def test_page_is_whole_and_fetches_nothing(demo):
    page = demo.page.read_text()
    for pair in PAIRS:
        assert f"{pair.source} → {pair.target}" in page
    for method in METHODS:
        assert method in page
    pictures = Pictures()
    pictures.feed(page)
    assert len(pictures.alts) >= 8
    assert all(pictures.alts)
    assert "<script src" not in page
    assert "A domain gap opens" in page


def test_oracle_alone_sees_target_labels(demo):
    for c in demo.comparisons:
        seen = {name: type(run.method).needs_target_labels for (name, _), run in c.runs.items()}
        assert seen == {m: m == "oracle" for m in METHODS}
