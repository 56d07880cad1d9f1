import sys
from types import SimpleNamespace

import pytest

from dakit.training import fit, progress
from tests.training.toys import QUICK, blobs


class _Screen:
    """A terminal that remembers what was written to it."""

    def __init__(self, terminal: bool) -> None:
        self.text, self.terminal = "", terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return self.terminal


def test_nothing_is_written_where_nobody_watches(monkeypatch, capsys):
    screen = _Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    fit("dann", blobs(), blobs(), **{**QUICK, "progress": True})
    assert screen.text == ""
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("show", [True, False])
def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch, capsys, show):
    screen = _Screen(terminal=True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress.Progress, "EVERY", 0.0)
    fit("dann", blobs(), blobs(), **{**QUICK, "progress": show})
    assert ("dann, seed 0" in screen.text) == show
    assert capsys.readouterr().out == "", "standard output is for results"
    if show:
        assert "\x1b[2K" in screen.text, "the bar is wiped at the end"


def test_a_notebook_gets_one_output_that_ends_empty(monkeypatch):
    shown = []

    class Handle:
        def update(self, html):
            shown.append(html.data)

    def display(html, display_id):
        assert display_id is True
        shown.append(html.data)
        return Handle()

    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    screen = SimpleNamespace(HTML=lambda text: SimpleNamespace(data=text), display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", screen)
    with progress.Progress("<b>dann</b>", 10) as bar:
        bar.EVERY = 0.0
        for step in range(1, 11):
            bar.update(step, "a & b")
    assert len(shown) == 12
    assert 'value="0"' in shown[0]
    assert 'value="10"' in shown[-2]
    assert "&lt;b&gt;dann&lt;/b&gt;" in shown[3]
    assert "a &amp; b" in shown[3]
    assert "<b>" not in shown[3]
    assert shown[-1] == ""


def test_the_bar_goes_away_when_training_fails(monkeypatch):
    closed = []
    bar = SimpleNamespace(open=lambda step: None, draw=lambda *_: None, close=lambda: closed.append(True))
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "_Notebook", lambda *_: bar)
    with pytest.raises(RuntimeError), progress.Progress("x", 3):
        raise RuntimeError
    assert closed == [True]
