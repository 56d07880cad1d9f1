"""How a domain looks in a notebook: complete, escaped, and with pictures that can be seen and read out."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from dakit.domains import Domain, DomainSet, from_arrays

EVIL = "<img src=x onerror=alert(1)>\"'&"


class Page(HTMLParser):
    """Collects tags, attributes and text, and fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.tags, self.images, self.text = [], [], [], ""
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def picture(attributes) -> np.ndarray:
    head, code = attributes["src"].split(",", 1)
    assert head == "data:image/png;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
    assert pixels.shape[:2] == (int(attributes["height"]), int(attributes["width"]))
    return pixels


def pictures(n=20, size=16, channels=3, classes=("owl", "cat")) -> Domain:
    x = np.zeros((n, channels, size, size), dtype=np.float32)
    y = np.arange(n) % len(classes)
    x[:, 0] = y[:, None, None] / max(1, len(classes) - 1)
    return from_arrays(x, y, name="zoo", classes=classes)


def test_flat_domain_shows_shape_classes_and_counts():
    d = from_arrays(
        np.zeros((1500, 4)), ["yes"] * 1200 + ["no"] * 300, name="shop", meta={"town": ["x"] * 1500}
    )
    page = Page(d._repr_html_())
    for part in ("shop", "1,500 examples", "flat (4,)", "2 classes", "no300", "yes1,200", "town"):
        assert part in page.text
    assert not page.images


def test_images_show_a_strip_a_class_enlarged_without_smoothing():
    page = Page(pictures()._repr_html_())
    assert [i["alt"] for i in page.images] == ["8 examples of zoo: owl", "8 examples of zoo: cat"]
    owl, cat = map(picture, page.images)
    assert owl.shape == (48, 8 * 48 + 7 * 2, 4)  # 16 pixels enlarged three times, gaps of two
    assert {tuple(p) for p in owl.reshape(-1, 4)} == {(0, 0, 0, 255), (0, 0, 0, 0)}
    assert {tuple(p) for p in cat.reshape(-1, 4)} == {(255, 0, 0, 255), (0, 0, 0, 0)}


@pytest.mark.parametrize(("size", "height"), [(1, 48), (32, 64), (64, 64), (224, 112)])
def test_thumbnails_are_neither_tiny_nor_huge(size, height):
    assert picture(Page(pictures(size=size)._repr_html_()).images[0]).shape[0] == height


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels(channels):
    assert len(Page(pictures(channels=channels)._repr_html_()).images) == 2


def test_values_outside_the_unit_interval_are_stretched():
    x = torch.linspace(-2, 3, 4).view(1, 1, 2, 2)
    shown = picture(Page(Domain("d", x)._repr_html_()).images[0])
    assert shown[..., 0].min() == 0 and shown[..., 0].max() == 255


def test_few_many_missing_and_no_labels():
    one = Page(pictures(n=1)._repr_html_())
    assert [i["alt"] for i in one.images] == ["1 examples of zoo: owl"] and "cat0none" in one.text
    many = Page(pictures(n=36, classes=[f"k{i}" for i in range(12)])._repr_html_())
    assert len(many.images) == 10 and "and 2 more classes" in many.text
    blind = Page(pictures().unlabeled()._repr_html_())
    assert len(blind.images) == 1 and "no labels20" in blind.text


def test_a_set_is_a_table_of_domains_and_classes():
    s = DomainSet(
        "animals",
        [pictures(), from_arrays(np.ones((3, 3, 8, 8)), [0, 0, 0], name="farm", classes=["owl", "cat"])],
        card="licence: <MIT>",
    )
    page = Page(s._repr_html_())
    assert [i["alt"] for i in page.images] == [
        "an example of zoo: owl",
        "an example of zoo: cat",
        "an example of farm: owl",
    ]
    for part in ("animals", "2 domains", "2 classes", "zoo20 examples", "farm3 examples", "licence: <MIT>"):
        assert part in page.text
    bare = DomainSet("bare", [from_arrays(np.ones((3, 2)), name="a"), from_arrays(np.ones((4, 2)), name="b")])
    assert "no labels" in Page(bare._repr_html_()).text


def test_names_from_anywhere_stay_text():
    d = from_arrays(
        np.zeros((2, 3, 8, 8)), [0, 1], name=EVIL, classes=[EVIL, "<script>"], meta={EVIL: [1, 2]}
    )
    for html in (d._repr_html_(), DomainSet(EVIL, [d], card=EVIL)._repr_html_()):
        page = Page(html)
        assert set(page.tags) <= {
            "style",
            "div",
            "b",
            "span",
            "table",
            "tr",
            "td",
            "th",
            "br",
            "img",
            "details",
            "summary",
            "pre",
        }
        assert all(set(i) == {"src", "alt", "width", "height"} for i in page.images)
        assert EVIL in page.text and any(EVIL in i["alt"] for i in page.images)


def test_nothing_is_fetched():
    html = pictures()._repr_html_()
    assert not re.search(r"https?:|url\(", html)
