"""Judging an answer: right, a known mistake, or what can be said of a wrong answer without knowing the exercise."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dakit.course.compare import close, constant, describe, factor

if TYPE_CHECKING:
    from dakit.course.exercises import Exercise


def judge(exercise: Exercise, answer: Any, rng: np.random.Generator) -> tuple[str, list[str]]:
    """``("passed" | "wrong" | "open", what to say)`` for an answer, with inputs drawn from ``rng``."""
    if not callable(answer):
        return "wrong", [f"Hand over the function itself, not its result: got {type(answer).__name__}."]
    trials = [_Trial(exercise, exercise.fresh(rng)) for _ in range(exercise.trials)]
    for trial in trials:
        try:
            trial.run(answer)
        except NotImplementedError as stub:
            return "open", [
                exercise.task,
                f"Still a stub: {str(stub).removeprefix('your turn: ') or 'write it'}.",
            ]
        except Exception as error:  # whatever a reader's code may raise
            return "wrong", [_stopped(error, trial)]
    right = [close(t.given, t.expected, exercise.rtol, exercise.atol) for t in trials]
    if all(right):
        changed = any(t.changed for t in trials)
        warning = ["One thing: your function changes its inputs in place; callers will not expect that."]
        said = [exercise.well_done] if exercise.well_done else []
        return "passed", said + (warning if changed else [])
    for mistake in exercise.mistakes:
        if all(t.agrees_with(mistake.answer) for t in trials):
            return "wrong", [mistake.says]
    return "wrong", _general(trials, right)


@dataclass
class _Trial:
    exercise: Exercise
    inputs: tuple
    given: Any = None
    changed: bool = False
    expected: Any = field(init=False)

    def __post_init__(self) -> None:
        self.expected = self.exercise.ask(self.exercise.answer, *copy.deepcopy(self.inputs))

    def run(self, answer: Callable[..., Any]) -> None:
        mine = copy.deepcopy(self.inputs)
        self.given = self.exercise.ask(answer, *mine)
        self.changed = not close(mine, self.inputs, 0, 0)

    def agrees_with(self, other: Callable[..., Any]) -> bool:
        try:
            wrong = self.exercise.ask(other, *copy.deepcopy(self.inputs))
        except Exception:
            return False
        return close(self.given, wrong, self.exercise.rtol, self.exercise.atol)


def _general(trials: list[_Trial], right: list[bool]) -> list[str]:
    """What can be said of a wrong answer without knowing the exercise."""
    first = trials[right.index(False)]
    given, expected = [t.given for t in trials], [t.expected for t in trials]
    if first.given is None:
        return ["Your function returns None. Did you forget `return`?"]
    if type(first.given).__name__ != type(first.expected).__name__ and describe(first.given) != describe(
        first.expected
    ):
        return [f"Your function returns {describe(first.given)}; the answer is {describe(first.expected)}."]
    if constant(given) and not constant(expected):
        return [
            "Your answer is the same whatever the inputs are. The inputs are new at every check: compute from them."
        ]
    if describe(first.given) != describe(first.expected):
        return [f"Your function returns {describe(first.given)}; the answer is {describe(first.expected)}."]
    ratio = factor(given, expected)
    if ratio is not None and abs(ratio + 1) < 1e-3:
        return ["Everything is right but the sign."]
    if ratio is not None:
        return [
            f"You are off by the same factor on every input: your answer is {ratio:.4g} times the right one."
        ]
    lines = [f"Right on {sum(right)} of {len(right)} fresh inputs."] if any(right) else []
    if np.ndim(first.given) == 0 and np.ndim(first.expected) == 0:
        at = ", ".join(describe(i, short=True) for i in first.inputs)
        lines.append(
            f"For the inputs ({at}) your answer is {_number(first.given)}, the right one {_number(first.expected)}."
        )
    else:
        lines.append(
            f"Your answer has the right form ({describe(first.given)}), but its values differ from the right ones."
        )
    return lines


def _number(value: Any) -> str:
    try:
        return f"{float(value):.5g}"
    except (TypeError, ValueError):
        return repr(value)


def _stopped(error: Exception, trial: _Trial) -> str:
    """One sentence about an exception: what, where in the reader's code, and on which inputs."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if "dakit/course" not in f.filename.replace("\\", "/")
    ]
    where = f" in `{frames[0].line}`" if frames and frames[0].line else ""
    at = ", ".join(describe(i, short=True) for i in trial.inputs)
    return f"Your code stopped with `{type(error).__name__}: {error}`{where}, called with ({at})."
