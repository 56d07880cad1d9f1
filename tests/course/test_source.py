"""The library's own code, shown and escaped; what a chapter ran on."""

import subprocess
import sys

import numpy as np
import pytest

from dakit import course
from dakit.course.card import Card
from dakit.course.provenance import git_commit, peak_memory_mb
from dakit.course.source import highlight


def danger(x):
    """Not <b>bold</b>."""
    return "<script>alert(1)</script>" if x < 1 else x


def test_text_is_the_code_itself():
    assert str(course.source(danger).text).startswith('def danger(x):\n    """Not <b>bold</b>."""')
    assert '"""' not in course.source(danger, docstring=False).text
    compile(course.source(danger, docstring=False).text, "danger", "exec")


def test_html_is_escaped_with_and_without_pygments(monkeypatch):
    coloured = course.source(danger).html()
    monkeypatch.setitem(sys.modules, "pygments", None)
    plain = course.source(danger).html()
    for shown in (coloured, plain):
        assert "<script>" not in shown
        assert "<b>" not in shown
        assert "&lt;script&gt;" in shown
    assert "<span" in coloured
    assert "<span" not in plain


def test_place_is_inside_the_package_never_on_the_machine():
    whole = course.source("dakit.methods.method")
    assert whole.place == "dakit/methods/method.py"
    one = course.source("dakit.course.profile.setup")
    assert one.place.startswith("dakit/course/profile.py, lines ")
    first, last = one.place.rsplit(" ", 1)[1].split("-")
    with open(course.profile.__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert "\n".join(lines[int(first) - 1 : int(last)]) == one.text
    assert course.source(np.load).place == ""  # not ours: no path at all


def test_module_without_its_docstring():
    text = course.source("dakit.course.card", docstring=False).text
    assert text.startswith("from __future__")


@pytest.mark.parametrize(
    ("thing", "words"), [(3, "no source to show for int"), ("no.such.thing", "no module or object")]
)
def test_no_source(thing, words):
    with pytest.raises(TypeError, match=words):
        course.source(thing)


def test_missing_member():
    with pytest.raises(TypeError, match="has no 'nothing'"):
        course.source("dakit.course.card.nothing")


def test_highlight_keeps_every_character():
    code = 'x = {"a": "<&>"}  # é\n'
    import html
    import re

    assert html.unescape(re.sub("<[^>]+>", "", highlight(code))) == code


def test_card_sets_backticks_as_code_and_escapes_the_rest():
    assert "<code>a &lt; b</code>" in Card("note", "t", ["Is `a < b`?"]).html()


def test_provenance_tells_versions_but_no_names(monkeypatch):
    shown = course.provenance()
    assert {"profile", "device", "seconds", "dakit", "torch", "seed"} <= set(shown.facts)
    data, metadata = shown._repr_mimebundle_()
    assert metadata["dakit"]["provenance"] == shown.facts
    import getpass
    import socket

    assert socket.gethostname() not in data["text/plain"]
    assert f"/{getpass.getuser()}" not in data["text/plain"]


def test_commit_of_a_checkout(tmp_path):
    assert git_commit(tmp_path) is None

    def git(*words):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    assert git_commit(tmp_path) == git("rev-parse", "--short", "HEAD")
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path).endswith("+changes")


def test_peak_memory_is_plausible():
    assert 20 < peak_memory_mb() < 100_000
