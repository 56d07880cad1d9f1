"""Exercises: a check that teaches, hints one step at a time, the solution last.

An exercise knows the right answer as a function and makes fresh inputs for every check, so an answer that
returns the number expected last time does not pass. A common mistake is declared as the function that makes
it: an answer that agrees with that function on every fresh input is told which mistake it is.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dakit.course.card import Card, show
from dakit.course.judge import judge


class CheckFailed(AssertionError):
    """An answer did not pass while ``DAKIT_CHECKS=strict`` (how chapters are tested with their solutions)."""


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that many people give, and what to tell them.

    Parameters
    ----------
    answer : callable
        Makes the mistake; same signature as the right answer.
    says : str
        What to say to whoever made it: names the mistake and points at the way out, without the solution.
    """

    answer: Callable[..., Any]
    says: str


def apply(answer: Callable[..., Any], *inputs: Any) -> Any:
    """The plain question: what does the answer return for these inputs."""
    return answer(*inputs)


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter.

    Parameters
    ----------
    task : str
        What to do, in one sentence.
    answer : callable
        The right answer.
    fresh : callable, Generator -> tuple
        New inputs for one trial.
    mistakes : tuple of Mistake
    hints : tuple of str
        From a nudge to nearly everything.
    ask : callable, (answer, *inputs) -> result
        How an answer is questioned; calls it with the inputs by default. Give another one to look at
        something that the answer does not return, for example its gradient.
    well_done : str
        Said after a pass: what to take away.
    trials : int
        Fresh inputs per check.
    rtol, atol : float
        How close a number must be.
    """

    task: str
    answer: Callable[..., Any]
    fresh: Callable[[np.random.Generator], tuple]
    mistakes: tuple[Mistake, ...] = ()
    hints: tuple[str, ...] = ()
    ask: Callable[..., Any] = apply
    well_done: str = ""
    trials: int = 5
    rtol: float = 1e-4
    atol: float = 1e-6


@dataclass(frozen=True)
class Feedback(Card):
    """What a check found: ``status`` is ``"passed"``, ``"wrong"`` or ``"open"`` (not tried yet)."""

    exercise: str = ""

    @property
    def status(self) -> str:
        return self.kind

    @property
    def passed(self) -> bool:
        return self.kind == "passed"

    def _ipython_display_(self) -> None:
        """Nothing: ``check`` has shown it already, so the value of its cell is not shown twice."""


@dataclass
class _Attempt:
    tries: int = 0
    hints: int = 0
    passed: bool = False


_attempts: dict[str, _Attempt] = {}


def check(exercise: str | Exercise, answer: Any, *, seed: int | None = None) -> Feedback:
    """Try an answer on fresh inputs and say what it does well or wrong.

    Parameters
    ----------
    exercise : str or Exercise
        ``"chapter.exercise"`` for those declared in ``dakit/course/answers/chapter.py``.
    answer : callable
        The reader's function.
    seed : int, optional
        Makes the same fresh inputs again; new ones at every call by default.

    Returns
    -------
    Feedback

    Raises
    ------
    ValueError
        If there is no such exercise.
    CheckFailed
        Only while the environment variable ``DAKIT_CHECKS`` is ``strict``, if the answer does not pass.
    """
    name, found = find(exercise)
    attempt = _attempts.setdefault(name, _Attempt())
    kind, lines = judge(found, answer, np.random.default_rng(seed))
    if kind != "open":
        attempt.tries += 1
    attempt.passed = attempt.passed or kind == "passed"
    if kind == "wrong" and found.hints and attempt.hints < len(found.hints):
        lines = [*lines, f'Stuck? `course.hint("{name}")` gives one step.']
    title = {"passed": f"{name}: passed", "wrong": f"{name}: not yet", "open": f"{name}: your turn"}[kind]
    feedback = Feedback(kind, title, lines, facts={"check": name, "status": kind}, exercise=name)
    _display(feedback)
    if not feedback.passed and os.environ.get("DAKIT_CHECKS") == "strict":
        raise CheckFailed(str(feedback))
    return feedback


def hint(exercise: str | Exercise, step: int | None = None) -> None:
    """Show the next hint; ``step=2`` shows the second one again.

    Parameters
    ----------
    exercise : str or Exercise
        Its name, ``"chapter.exercise"``.
    step : int, optional
        Which hint, from 1; by default the next one.

    Raises
    ------
    ValueError
        If there is no such exercise or no such step.
    """
    name, found = find(exercise)
    attempt = _attempts.setdefault(name, _Attempt())
    total = len(found.hints)
    if step is not None and not 1 <= step <= total:
        raise ValueError(f"{name} has {total} hints; step must lie between 1 and {total}, got {step}")
    at = step if step is not None else min(attempt.hints + 1, total)
    if total == 0 or (step is None and attempt.hints >= total):
        show(Card("note", f"{name}: no more hints", [f'`course.solution("{name}")` shows a solution.']))
        return
    attempt.hints = max(attempt.hints, at)
    show(Card("note", f"{name}: hint {at} of {total}", [found.hints[at - 1]]))


def solution(exercise: str | Exercise, *, anyway: bool = False) -> None:
    """Show a solution: after a pass, after three tries or when the hints are used up; at once with ``anyway=True``.

    Parameters
    ----------
    exercise : str or Exercise
        Its name, ``"chapter.exercise"``.
    anyway : bool
        Do not wait for tries or hints.

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    name, found = find(exercise)
    attempt = _attempts.setdefault(name, _Attempt())
    earned = attempt.passed or attempt.tries >= 3 or attempt.hints >= len(found.hints)
    if not (earned or anyway):
        left = len(found.hints) - attempt.hints
        lines = [f'{left} hint{"s" if left > 1 else ""} left: `course.hint("{name}")`.']
        lines.append(f'Or look now: `course.solution("{name}", anyway=True)`.')
        show(Card("note", f"{name}: the solution comes last", lines))
        return
    show(
        Card(
            "note", f"{name}: a solution", [found.task], code=textwrap.dedent(inspect.getsource(found.answer))
        )
    )


def find(exercise: str | Exercise) -> tuple[str, Exercise]:
    """Name and exercise; a name ``chapter.exercise`` is looked up in ``dakit/course/answers/chapter.py``."""
    if isinstance(exercise, Exercise):
        return exercise.answer.__name__, exercise
    chapter, _, name = str(exercise).partition(".")
    from dakit.course import answers

    chapters = sorted(m.name for m in pkgutil.iter_modules(answers.__path__))
    if chapter not in chapters:
        raise ValueError(
            f"no exercises of a chapter {chapter!r}; there are those of {', '.join(chapters) or 'none'}"
        )
    declared: Mapping[str, Exercise] = importlib.import_module(f"dakit.course.answers.{chapter}").EXERCISES
    if name not in declared:
        raise ValueError(f"{chapter!r} has no exercise {name!r}; it has {', '.join(declared)}")
    return f"{chapter}.{name}", declared[name]


def _display(feedback: Feedback) -> None:
    # A plain card with the same content: Feedback itself stays silent as the value of a cell.
    show(Card(feedback.kind, feedback.title, feedback.lines, feedback.code, feedback.facts))
