"""The widget behind ``views.knobs``; apart from it, so that ipywidgets loads on first use only."""

import base64
import html
import inspect
import io
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from numbers import Real
from typing import Any

import anywidget
import ipywidgets as widgets

FAST = 0.3  # seconds; a picture drawn faster follows the slider while it moves, a slower one waits for the release


class HandleNames(anywidget.AnyWidget):
    """Tells screen readers what each slider moves: the handles of ipywidgets have no name of their own."""

    _esm = files("dakit.views").joinpath("static", "handle_names.js").read_text(encoding="utf-8")


class Knobs(widgets.VBox):
    """Sliders above a picture. Made by :func:`dakit.views.knobs`."""

    def __init__(self, draw: Callable[..., Any], ranges: Mapping[str, Any]) -> None:
        if not ranges:
            raise ValueError("knobs needs at least one range, for example severity=(0, 1, 0.1)")
        self._draw = draw
        self._png: bytes | None = None
        self.alt = ""
        starts = _defaults(draw)
        self.sliders = {name: _control(name, form, starts.get(name)) for name, form in ranges.items()}
        # The picture is an <img> in an HTML widget, so it is part of the saved state and needs no kernel.
        self.picture = widgets.HTML(layout=widgets.Layout(width="100%"))
        self.message = widgets.HTML()
        super().__init__([*self.sliders.values(), self.picture, self.message, HandleNames()])
        began = time.perf_counter()
        self.redraw()
        slow = time.perf_counter() - began > FAST
        for slider in self.sliders.values():
            if slow and hasattr(slider, "continuous_update"):
                slider.continuous_update = False
            slider.observe(lambda _: self.redraw(), names="value")

    @property
    def values(self) -> dict[str, Any]:
        """Present values, by name."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def png(self) -> bytes | None:
        """The picture as PNG; None if ``draw`` gave text or has failed so far."""
        return self._png

    def redraw(self) -> None:
        """Draw the picture for the present values."""
        said = ", ".join(f"{name.replace('_', ' ')} {_spoken(value)}" for name, value in self.values.items())
        try:
            made, alt = _picture(self._draw(**self.values))
        except Exception as error:  # whatever the reader's function raises belongs below the picture
            sentence = " ".join(f"{type(error).__name__}: {error}".split())
            self.message.value = (
                f'<p role="alert">No picture for {html.escape(said)}. {html.escape(sentence)}</p>'
            )
            return
        self.message.value = ""
        if isinstance(made, str):
            self._png, self.alt = None, made
            self.picture.value = f'<p role="status" style="white-space:pre-wrap">{html.escape(made)}</p>'
            return
        self._png = made
        self.alt = f"{alt} Drawn for {said}." if alt else f"Picture for {said}."
        code = base64.b64encode(made).decode()
        self.picture.value = (
            f'<img src="data:image/png;base64,{code}" alt="{html.escape(self.alt)}" style="max-width:100%;height:auto">'
            f'<p role="status" style="margin:0;color:#5f5f5f;line-height:1.4">{html.escape(said)}</p>'
        )

    def _repr_mimebundle_(self, **kwargs: Any):
        data = super()._repr_mimebundle_(**kwargs) or {}
        data["text/plain"] = f"Knobs: {self.alt or ', '.join(self.sliders)}"
        if self._png is None:
            return data
        # Seen where no widgets run: a notebook opened without its kernel, a page, a repository.
        data["image/png"] = base64.b64encode(self._png).decode()
        return data, {"image/png": {"alt": self.alt}}


def _defaults(draw: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(draw).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _control(name: str, form: Any, start: Any) -> widgets.Widget:
    """The widget for one range."""
    if isinstance(form, widgets.Widget):
        return form
    words = name.replace("_", " ")
    shared = {
        "description": words,
        "description_allow_html": False,
        "tooltip": words,
        "style": {"description_width": "8em"},
        "layout": widgets.Layout(width="min(100%, 34em)"),
    }
    if isinstance(form, bool):
        return widgets.Checkbox(value=form if start is None else bool(start), indent=False, **shared)
    if isinstance(form, list) and form:
        return widgets.Dropdown(options=form, value=form[0] if start is None else start, **shared)
    numbers = isinstance(form, tuple) and len(form) in (2, 3) and all(isinstance(v, Real) for v in form)
    if not numbers or not form[0] < form[1] or (len(form) == 3 and form[2] <= 0):
        raise ValueError(
            f"{name} must be (low, high), (low, high, step), a list of choices, or True or False, got {form!r}"
        )
    low, high = form[:2]
    if all(isinstance(v, int) for v in form) and (len(form) == 3 or high - low > 1):
        step = form[2] if len(form) == 3 else 1
        return widgets.IntSlider(
            value=low if start is None else start, min=low, max=high, step=step, **shared
        )
    step = form[2] if len(form) == 3 else (high - low) / 20
    digits = len(f"{step:.6f}".rstrip("0").split(".")[1])
    value = low if start is None else start
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=step, readout_format=f".{max(1, digits)}f", **shared
    )


def _spoken(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _picture(made: Any) -> tuple[bytes | str, str]:
    """What ``draw`` gave, as PNG with its alt text, or as text."""
    from dakit.views.view import View

    if isinstance(made, View):
        return made.png(), made.alt
    if isinstance(made, str):
        return made, ""
    out = io.BytesIO()
    made = getattr(made, "figure", made) if hasattr(made, "get_xlim") else made
    if hasattr(made, "savefig"):
        made.savefig(out, format="png", dpi=110)
    elif hasattr(made, "convert") and hasattr(made, "save"):
        made.save(out, format="PNG")
    else:
        raise TypeError(
            f"draw must give a View, a matplotlib figure, a PIL image or text, not {type(made).__name__}"
        )
    return out.getvalue(), ""
