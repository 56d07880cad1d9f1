"""Predict first: committing, comparing, and running through without a guess."""

import pytest

from dakit import course
from dakit.course import predict as make_prediction


def test_close_and_far_guesses(capsys):
    course.predict("gap", "How many points?", between=(0, 100), unit="points", guess=35)
    course.reveal("gap", 41.2, because="Textures differ.")
    out = capsys.readouterr().out
    assert out.startswith("✓ Measured: 41 points")
    assert "You said 35 points: close." in out
    assert "Textures differ." in out
    course.reveal("gap", 80.0)
    assert "You said 35 points: 45 points too low." in capsys.readouterr().out


def test_options(capsys):
    course.predict("which", "Which one?", options=["emoji", "digits"], guess="emoji")
    course.reveal("which", "emoji")
    assert "You saw that coming." in capsys.readouterr().out
    course.reveal("which", "digits")
    assert "You said emoji" in capsys.readouterr().out


def test_no_guess_does_not_stop_anything_but_is_said(capsys):
    made = course.predict("q", "How many?", between=(0, 1))
    course.reveal("q", 0.25)
    out = capsys.readouterr().out
    assert "○ Measured: 0.25" in out
    assert "not committed" in out
    assert made.compare(0.25).facts == {"predict": "q", "committed": False}


def test_a_guess_made_after_the_answer_is_called_late(capsys):
    made = course.predict("q", "How many?", between=(0, 10), guess=2)
    course.reveal("q", 7)
    made.commit(7)
    capsys.readouterr()
    course.reveal("q", 7)
    assert "after the answer was shown" in capsys.readouterr().out


def test_the_widget_commits_on_its_button():
    made = course.predict("q", "How many?", between=(0, 10))
    box = made.widget()
    box.choose.value = 4
    assert made.guess is None  # moving the slider is not yet a commitment
    box.button.click()
    assert made.guess == 4
    assert "committed: 4" in box.said.value


def test_choices_start_empty_and_want_one():
    made = course.predict("q", "Which?", options=["a", "b"])
    box = made.widget()
    box.button.click()
    assert made.guess is None
    assert "choose" in box.said.value
    box.choose.value = "b"
    box.button.click()
    assert made.guess == "b"


def test_shown_with_a_still_face_and_escaped():
    made = course.predict("q", "Is <b>x</b> `> 0`?", options=["<i>yes</i>", "no"])
    bundle = made._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "<b>" not in bundle["text/html"]
    assert "<i>" not in bundle["text/html"]
    assert "<code>&gt; 0</code>" in bundle["text/html"]
    assert "<b>" not in made.widget().children[0].value
    assert "Is <b>x</b>" in bundle["text/plain"]


def test_without_widgets_the_words_remain(monkeypatch):
    made = course.predict("q", "Which?", options=["a", "b"])

    def broken(self):
        raise ModuleNotFoundError("No module named 'ipywidgets'")

    monkeypatch.setattr(course.Prediction, "widget", broken)
    assert set(made._repr_mimebundle_()) == {"text/plain", "text/html"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either options"),
        ({"options": ["a", "b"], "between": (0, 1)}, "either options"),
        ({"options": ["a"]}, "two different options"),
        ({"between": (1, 0)}, "low < high"),
        ({"between": (0, 1), "guess": 2}, "between 0 and 1, got 2"),
        ({"between": (0, 1), "guess": "a"}, "between 0 and 1"),
        ({"options": ["a", "b"], "guess": "c"}, "not among the options"),
    ],
)
def test_bad_questions(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_prediction("q", "?", **arguments)


def test_revealing_what_was_never_asked():
    with pytest.raises(ValueError, match="no prediction 'never asked'"):
        course.reveal("never asked", 1)


def test_answer_outside_the_options():
    course.predict("q", "?", options=["a", "b"])
    with pytest.raises(ValueError, match="'c' of 'q' is not among its options"):
        course.reveal("q", "c")
