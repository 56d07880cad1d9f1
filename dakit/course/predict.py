"""Predict first: a reader commits to a guess before the cell that answers it, and sees both afterwards."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from dakit.course.card import Card, inline, show

_predictions: dict[str, Prediction] = {}


class Prediction:
    """A question, and the guess that a reader committed to.

    Made by :func:`predict`. In a notebook it shows the question with a slider or choices and a button; without
    widgets :meth:`commit` does the same.

    Attributes
    ----------
    guess : float, str or None
        None until the reader commits.
    late : bool
        True if the guess was made or changed after the answer had been shown.
    """

    def __init__(
        self,
        name: str,
        question: str,
        *,
        options: Sequence[str] | None = None,
        between: tuple[float, float] | None = None,
        step: float | None = None,
        unit: str = "",
    ) -> None:
        if (options is None) == (between is None):
            raise ValueError(f"prediction {name!r} needs either options=[…] or between=(low, high)")
        if options is not None and len(set(options)) < 2:
            raise ValueError(f"prediction {name!r} needs at least two different options")
        if between is not None and not between[0] < between[1]:
            raise ValueError(
                f"prediction {name!r}: between must be (low, high) with low < high, got {between}"
            )
        self.name, self.question, self.unit = name, question, unit
        self.options = None if options is None else tuple(options)
        self.between = None if between is None else (float(between[0]), float(between[1]))
        self.step = step if step is not None or between is None else (self.between[1] - self.between[0]) / 100
        self.guess: float | str | None = None
        self.late = False
        self._answered = False

    def commit(self, guess: float | str) -> None:
        """Settle on a guess.

        Raises
        ------
        ValueError
            If the guess is not one of the options, or lies outside the range.
        """
        if self.options is not None and guess not in self.options:
            raise ValueError(
                f"{guess!r} is not among the options of {self.name!r}: {', '.join(self.options)}"
            )
        if self.between is not None:
            low, high = self.between
            if isinstance(guess, str) or not low <= float(guess) <= high:
                raise ValueError(
                    f"a guess for {self.name!r} lies between {low:g} and {high:g}, got {guess!r}"
                )
            guess = float(guess)
        self.late = self.late or (self._answered and guess != self.guess)
        self.guess = guess

    def compare(self, truth: float | str, *, close: float | None = None, because: str = "") -> Card:
        """The guess beside what was measured.

        Parameters
        ----------
        truth : float or str
        close : float, optional
            Distance that counts as a good guess; a tenth of the range by default.
        because : str
            The reason, in a sentence.
        """
        if self.options is not None and truth not in self.options:
            raise ValueError(
                f"the answer {truth!r} of {self.name!r} is not among its options: {', '.join(self.options)}"
            )
        self._answered = True
        measured = self._say(truth)
        reason = [because] if because else []
        facts = {"predict": self.name, "committed": self.guess is not None}
        if self.guess is None:
            say = "You have not committed to a guess. Choose one above, then run this cell again."
            return Card("open", f"Measured: {measured}", [say, *reason], facts=facts)
        if self.options is not None:
            good = self.guess == truth
            verdict = "You saw that coming." if good else f"You said {self.guess}: worth a second look."
        else:
            off = self.guess - float(truth)
            limit = (self.between[1] - self.between[0]) / 10 if close is None else close
            good = abs(off) <= limit
            side = "too high" if off > 0 else "too low"
            far = f"{self._say(abs(off))} {side}"
            verdict = f"You said {self._say(self.guess)}: " + ("close." if good else f"{far}.")
        late = ["This guess was made after the answer was shown."] if self.late else []
        return Card(
            "passed" if good else "note", f"Measured: {measured}", [verdict, *reason, *late], facts=facts
        )

    def _say(self, value: float | str) -> str:
        if isinstance(value, str):
            return value
        decimals = 0 if self.step >= 1 else 1 if self.step >= 0.1 else 2 if self.step >= 0.01 else 3
        return f"{value:.{decimals}f}{' ' + self.unit if self.unit else ''}"

    # -- faces ----------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        choices = (
            " / ".join(self.options)
            if self.options
            else f"{self._say(self.between[0])} to {self._say(self.between[1])}"
        )
        state = "no guess yet" if self.guess is None else f"your guess: {self._say(self.guess)}"
        return f"▸ Predict: {self.question}\n  {choices}   ({state})"

    __repr__ = __str__

    def widget(self) -> Any:
        """The question as an ipywidgets box: choices or a slider, a button, and what was committed."""
        import ipywidgets as w

        ask = w.HTML(
            f'<strong>Predict.</strong> <span style="line-height:1.4">{inline(self.question)}</span>'
        )
        wide = w.Layout(width="auto", max_width="44em")
        if self.options is not None:
            choose = w.RadioButtons(options=self.options, value=None, layout=wide)
        else:
            low, high = self.between
            form = (
                ".0f"
                if self.step >= 1
                else ".1f"
                if self.step >= 0.1
                else ".2f"
                if self.step >= 0.01
                else ".3f"
            )
            choose = w.FloatSlider(
                value=low, min=low, max=high, step=self.step, readout_format=form, layout=wide
            )
            choose.description, choose.style.description_width = self.unit or "guess", "initial"
        button = w.Button(description="Commit", button_style="primary", tooltip="Commit to this guess")
        said = w.HTML(
            "no guess yet" if self.guess is None else f"committed: {html.escape(self._say(self.guess))}"
        )
        if self.guess is not None:
            choose.value = self.guess

        def settle(_: Any) -> None:
            if choose.value is None:
                said.value = "choose one first"
                return
            self.commit(choose.value)
            said.value = f"committed: {html.escape(self._say(self.guess))}"

        button.on_click(settle)
        box = w.VBox([ask, choose, w.HBox([button, said])], layout=w.Layout(padding="2px 10px"))
        box.layout.border_left = "4px solid #0072B2"
        box.choose, box.button, box.said = choose, button, said
        return box

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        words = {"text/plain": str(self), "text/html": self._still()}
        try:
            live = self.widget()._repr_mimebundle_()
        except Exception:  # no widget front end is ever a reason to stop a chapter
            return words
        return {**live, **words}

    def _still(self) -> str:
        choices = self.options or (f"{self._say(self.between[0])} to {self._say(self.between[1])}",)
        listed = "".join(f"<li>{html.escape(c)}</li>" for c in choices)
        return (
            '<div style="border-left:4px solid #0072B2;padding:.2em .8em;max-width:60em">'
            f"<p><strong>Predict.</strong> {inline(self.question)}</p><ul>{listed}</ul></div>"
        )


def predict(
    name: str,
    question: str,
    *,
    options: Sequence[str] | None = None,
    between: tuple[float, float] | None = None,
    step: float | None = None,
    unit: str = "",
    guess: float | str | None = None,
) -> Prediction:
    """Ask the reader for a guess; put it last in its cell, :func:`reveal` compares.

    Parameters
    ----------
    name : str
        Under which :func:`reveal` finds it.
    question : str
        `` `code` `` in backticks is set as code; everything is escaped.
    options : sequence of str
        Choices; or give ``between``.
    between : (low, high)
        Range of a slider.
    step : float, optional
        Of the slider; a hundredth of its range by default.
    unit : str
        Shown behind numbers, for example ``"points"``.
    guess : float or str, optional
        Commits at once: for readers without widgets.

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        If neither or both of ``options`` and ``between`` are given, or the guess does not fit them.

    Examples
    --------
    >>> p = predict("gap", "How many points are lost?", between=(0, 100), unit="points", guess=10)
    >>> p.guess
    10.0
    """
    made = Prediction(name, question, options=options, between=between, step=step, unit=unit)
    if guess is not None:
        made.commit(guess)
    _predictions[name] = made
    return made


def reveal(name: str, truth: float | str, *, close: float | None = None, because: str = "") -> None:
    """Show what was measured beside the guess. A missing guess does not stop anything; it is only mentioned.

    Parameters
    ----------
    name : str
        Of a prediction made before with :func:`predict`.
    truth : float or str
        The measured value, or the right option.
    close : float, optional
        Distance that counts as a good guess.
    because : str
        The reason, in a sentence.

    Raises
    ------
    ValueError
        If nothing was asked under this name, or the answer is not among the options.
    """
    if name not in _predictions:
        known = ", ".join(sorted(_predictions)) or "none yet"
        raise ValueError(
            f"there is no prediction {name!r} to reveal (asked: {known}); run the cell with course.predict first"
        )
    show(_predictions[name].compare(truth, close=close, because=because))
