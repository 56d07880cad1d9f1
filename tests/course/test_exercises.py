"""Exercises: what a check says to right, wrong, constant and well-known wrong answers."""

import numpy as np
import pytest
import torch

from dakit import course
from dakit.course import CheckFailed, Exercise, Mistake, exercises


def spread(x):
    return float(np.mean((x - x.mean()) ** 2))


def without_centring(x):
    return float(np.mean(x**2))


def unbiased(x):
    return float(np.var(x, ddof=1))


SPREAD = Exercise(
    task="Mean squared distance of `x` from its mean.",
    answer=spread,
    fresh=lambda rng: (rng.normal(rng.uniform(1, 3), 1, size=rng.integers(4, 9)),),
    mistakes=(Mistake(without_centring, "You did not subtract the mean."),),
    hints=("What is the mean of `x`?", "Subtract it, square, average."),
    well_done="That is the variance.",
)


@pytest.fixture(autouse=True)
def nothing_tried_yet(monkeypatch):
    monkeypatch.setattr(exercises, "_attempts", {})
    monkeypatch.delenv("DAKIT_CHECKS", raising=False)


def said(answer, exercise=SPREAD, seed=0):
    feedback = course.check(exercise, answer, seed=seed)
    return feedback.status, " ".join(feedback.lines)


def test_right_answer_passes_whatever_way_it_is_written(capsys):
    assert said(lambda x: np.var(x)) == ("passed", "That is the variance.")
    assert said(lambda x: torch.from_numpy(x).var(correction=0))[0] == "passed"
    assert "✓ spread: passed" in capsys.readouterr().out


def test_fresh_inputs_at_every_check():
    inputs = []

    def remember(x):
        inputs.append(x.copy())
        return spread(x)

    course.check(SPREAD, remember)
    course.check(SPREAD, remember)
    first, second = inputs[:5], inputs[5:]
    assert not any(len(a) == len(b) and np.allclose(a, b) for a in first for b in second)


def test_returning_the_number_expected_last_time_does_not_pass():
    x = SPREAD.fresh(np.random.default_rng(0))[0]
    status, words = said(lambda _: spread(x), seed=0)
    assert status == "wrong"
    assert "the same whatever the inputs" in words


def test_known_mistake_is_named():
    assert said(without_centring)[1].startswith("You did not subtract the mean.")


def test_stub_is_open_not_wrong():
    def stub(x):
        raise NotImplementedError("your turn: the spread")

    status, words = said(stub)
    assert status == "open"
    assert "the spread" in words
    assert SPREAD.task in words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: None, "Did you forget `return`"),
        (lambda x: -spread(x), "but the sign"),
        (lambda x: 3 * spread(x), "3 times the right one"),
        (lambda x: (x - x.mean()) ** 2, "an array of shape"),
        (lambda x: float("nan"), "NaN"),
        (lambda x: x[99], "IndexError"),
        (lambda x, y: 0, "TypeError"),
        (unbiased, "the right one"),
        (3.5, "the function itself"),
    ],
)
def test_wrong_answers_are_told_why(answer, words):
    status, said_ = said(answer)
    assert status == "wrong"
    assert words in said_


def test_an_error_shows_the_line_of_the_reader():
    def broken(x):
        return x + undefined_name  # noqa: F821

    assert "undefined_name" in said(broken)[1]
    assert "x + undefined_name" in said(broken)[1]


def test_sometimes_right_is_counted():
    status, words = said(lambda x: spread(x) if len(x) % 2 else 0.0)
    assert status == "wrong"
    assert "of 5 fresh inputs" in words


def test_changing_the_inputs_cannot_fool_the_check_and_is_mentioned():
    def in_place(x):
        x -= x.mean()
        return float(np.mean(x**2))

    status, words = said(in_place)
    assert status == "passed"
    assert "in place" in words


def test_constant_is_fine_where_the_answer_is_constant():
    always = Exercise(task="One.", answer=lambda x: 1.0, fresh=lambda rng: (rng.normal(),))
    assert said(lambda x: 1.0, always)[0] == "passed"


def test_ask_can_look_at_a_gradient():
    def slope(answer, x):
        t = torch.tensor(x, requires_grad=True)
        answer(t).backward()
        return t.grad

    square = Exercise(task="x²", answer=lambda t: t**2, fresh=lambda rng: (float(rng.normal()),), ask=slope)
    assert said(lambda t: t * t + 5, square)[0] == "passed"  # the same gradient
    assert "4 times" in said(lambda t: 4 * t**2, square)[1]


def test_hints_come_one_by_one_and_the_solution_last(capsys):
    def out():
        return capsys.readouterr().out

    course.solution(SPREAD)
    assert "comes last" in out()
    course.hint(SPREAD)
    assert "hint 1 of 2" in out()
    course.hint(SPREAD)
    assert "Subtract it" in out()
    course.hint(SPREAD)
    assert "no more hints" in out()
    course.hint(SPREAD, 1)
    assert "What is the mean" in out()
    course.solution(SPREAD)
    assert "np.mean((x - x.mean()) ** 2)" in out()


def test_solution_after_a_pass_or_three_tries_or_anyway(capsys):
    course.solution(SPREAD, anyway=True)
    assert "def spread" in capsys.readouterr().out
    for _ in range(3):
        course.check(SPREAD, unbiased)
    capsys.readouterr()
    course.solution(SPREAD)
    assert "def spread" in capsys.readouterr().out


def test_bad_hint_step():
    with pytest.raises(ValueError, match="between 1 and 2, got 3"):
        course.hint(SPREAD, 3)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="no exercises of a chapter 'nowhere'"):
        course.check("nowhere.x", spread)


def test_strict_mode_raises(monkeypatch):
    monkeypatch.setenv("DAKIT_CHECKS", "strict")
    course.check(SPREAD, spread)
    with pytest.raises(CheckFailed, match="did not subtract"):
        course.check(SPREAD, without_centring)


def test_feedback_is_escaped_and_machine_readable():
    def broken(x):
        raise ValueError("<script>alert(1)</script>")

    feedback = course.check(SPREAD, broken)
    data, metadata = feedback._repr_mimebundle_()
    assert "<script>" not in data["text/html"]
    assert "&lt;script&gt;" in data["text/html"]
    assert metadata == {"dakit": {"check": "spread", "status": "wrong"}}
