import pytest

from dakit.views.labels import counted, enumerate_words, number, numbers_line, plotly_text, shortened
from dakit.views.palette import CLASSES, DOMAINS, MARKERS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (0.21349, "0.213"),
        (-0.004, "−0.004"),
        (12345.6, "12,346"),
        (1.2e-5, "1.2e−5"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_the_pvalue_stands_beside_its_statistic():
    line = numbers_line({"mmd": 0.0213, "mmd_pvalue": 1 / 201, "idd": None, "source_accuracy": 0.5})
    assert line.replace("\xa0", " ") == "MMD² 0.0213 (p 0.005) · source accuracy 50 %"


def test_words():
    assert enumerate_words([]) == ""
    assert enumerate_words(["a"]) == "a"
    assert enumerate_words("abc", limit=2) == "a, b and 1 more"
    assert counted(1, "class") == "1 class"
    assert counted(2, "class") == "2 classes"
    assert shortened("a  very\nlong label indeed", 11) == "a very lon…"


def test_tags_and_entities_are_plain_for_plotly():
    assert plotly_text('<a href="x">&lt;') == '&lt;a href="x"&gt;&amp;lt;'


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_colours_are_distinct_and_seen_on_white():
    for palette in (CLASSES, DOMAINS):
        assert len(set(palette)) == len(palette)
        assert all(1.05 / (luminance(c) + 0.05) > 1.9 for c in palette)


def test_source_and_target_differ_in_grey_too():
    source, target = MARKERS[:2]
    assert source.matplotlib != target.matplotlib
    assert source.filled != target.filled
