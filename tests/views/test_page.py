import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from dakit import views
from dakit.views.page import _plotly_js, _static
from tests.views.moments import CLASSES, recorded, training

NASTY = "</script><img src=x onerror=alert(1)>"


def embedding(**options):
    run, ys, yt = training()
    return views.embedding(run, **({"ys": ys, "yt": yt, "classes": CLASSES, "layout": "pca"} | options))


class Elements(HTMLParser):
    """All start tags of a page with their attributes, and whether every element was closed."""

    VOID = ("meta", "link", "img", "input", "source", "br")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def demo():
    return views.page(
        "Demo",
        views.heading("Pair"),
        "First.\n\nSecond <b>.",
        views.table([{"method": "dann", "accuracy": 0.7123}], caption="Results"),
        embedding(),
        views.shift_bars({"mmd": 0.2}, {"mmd": 0.1}),
        views.history([recorded(0), recorded(1)]),
        lead="A lead.",
    )


def test_a_page_is_well_formed_with_language_heading_and_captions():
    page = Elements(demo().html())
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == 1
    assert len(page.all("h3")) == 3, "views stand below the page's headings"
    assert len(page.all("figure")) == len(page.all("figcaption")) == 3
    assert all(image["alt"] for image in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [
        attributes[k]
        for _, attributes in page.found
        for k in ("aria-labelledby", "aria-describedby")
        if k in attributes
    ]
    assert set(named) <= set(ids)


def test_nothing_is_fetched():
    text = demo().html()
    page = Elements(text)
    assert not [s for s in page.all("script") if "src" in s]
    addresses = [
        v for _, attributes in page.found for k, v in attributes.items() if k in ("src", "href", "srcset")
    ]
    assert addresses
    assert all(a.startswith("data:") for a in addresses)
    policy = page.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in policy["content"]
    assert "http" not in policy["content"]
    own = text.replace(_plotly_js(), "")
    assert not re.findall(r"https?://", own)


def test_plotly_is_in_the_page_once_and_only_where_it_is_needed():
    assert demo().html().count(_plotly_js()) == 1
    still = views.page("Still", views.shift_bars({"mmd": 0.2}, {"mmd": 0.1})).html()
    assert len(still) < 300_000
    assert _static("page.js") not in still


def test_without_scripts_the_still_picture_and_its_words_are_there():
    view = embedding()
    text = view.html()
    fallback = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL).group(1)
    assert "data:image/png;base64," in fallback
    assert 'media="(max-width: 640px)"' in fallback
    assert f'alt="{view.alt}"' in fallback
    assert f"<p>{view.alt}" in text or f">{view.alt}</p>" in text


def test_the_slider_and_the_legend_are_real_controls():
    page = Elements(embedding().html())
    slider = next(i for i in page.all("input") if i["type"] == "range")
    assert (slider["min"], slider["max"], slider["step"]) == ("0", "3", "1")
    assert slider["aria-label"] == "Training snapshot"
    assert slider["aria-valuetext"].startswith("step 0")
    keys = [b["data-key"] for b in page.all("button") if "data-key" in b]
    assert keys == ["d0", "d1", "c0", "c1", "c2"]


def test_data_are_complete_and_cannot_end_their_script():
    text = embedding(classes=(NASTY, "b", "c")).html()
    block = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL).group(1)
    spec = json.loads(block)
    assert len(spec["panels"][0]["frames"]) == 4
    assert spec["config"]["showSendToCloud"] is False
    assert "<img src=x" not in text
    assert Elements(text).open == []


def test_tables_are_semantic():
    frame = pd.DataFrame(
        {"accuracy": [0.7123, None], "note": ["fine", NASTY]}, index=pd.Index(["dann", "dan"], name="method")
    )
    text = views.page("T", views.table(frame, caption="Results", note="A note.")).html()
    page = Elements(text)
    assert [h.get("scope") for h in page.all("th")] == ["col"] * 3 + ["row"] * 2
    assert '<td class="number">0.712</td>' in text
    assert '<td class="number">–</td>' in text
    assert NASTY not in text
    region = next(d for d in page.all("div") if d.get("role") == "region")
    assert region["tabindex"] == "0"


def test_rows_without_names_need_columns():
    made = views.table([("a", 1), ("b", 2)], columns=["x", "n"], caption="c")
    assert made.rows == (("a", 1), ("b", 2))
    with pytest.raises(ValueError, match="needs columns"):
        views.table([("a", 1)], caption="c")
    with pytest.raises(ValueError, match="must have 2 cells, got one with 1"):
        views.table([("a",)], columns=["x", "n"], caption="c")


def test_prose_is_escaped_and_cut_into_paragraphs():
    text = demo().html()
    assert "<p>First.</p>\n<p>Second &lt;b&gt;.</p>" in text
    assert '<p class="lead">A lead.</p>' in text


def test_saving(tmp_path):
    path = demo().save(tmp_path / "out" / "demo.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(ValueError, match=r"saved as \.html"):
        demo().save(tmp_path / "demo.pdf")


def test_other_parts_are_named():
    with pytest.raises(TypeError, match="not int"):
        views.page("T", 3)
