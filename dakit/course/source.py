"""``course.source``: the library's own code inside a chapter, so that no second copy can drift from it."""

from __future__ import annotations

import ast
import html
import importlib
import inspect
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any


class Source:
    """Code of an object, ready to be shown.

    Attributes
    ----------
    text : str
        The code itself.
    place : str
        Where it stands, as ``dakit/losses/mmd.py, lines 12-40``: a path inside the package, never of the machine.
    """

    def __init__(self, text: str, place: str) -> None:
        self.text, self.place = text, place

    def __str__(self) -> str:
        return f"# {self.place}\n{self.text}" if self.place else self.text

    __repr__ = __str__

    def html(self) -> str:
        head = f'<p style="margin:.3em 0"><code>{html.escape(self.place)}</code></p>' if self.place else ""
        return f'<div class="dakit-source">{head}{highlight(self.text)}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def source(obj: Any, *, docstring: bool = True) -> Source:
    """The code of a function, class or module of the library, highlighted.

    Parameters
    ----------
    obj : function, class, module, or str
        A string is a dotted name such as ``"dakit.methods.align.dann"``.
    docstring : bool
        Leave the docstring of the object itself out when False, where the chapter has just said it in words.

    Returns
    -------
    Source
        Shows itself at the end of a cell; ``str(...)`` is the plain text.

    Raises
    ------
    TypeError
        If Python keeps no source for the object (a number, an array, something compiled).

    Examples
    --------
    >>> print(source("dakit.course.exercises.apply", docstring=False).text)
    def apply(answer: Callable[..., Any], *inputs: Any) -> Any:
        return answer(*inputs)
    """
    if isinstance(obj, str):
        obj = _named(obj)
    obj = inspect.unwrap(obj) if callable(obj) and not inspect.isclass(obj) else obj
    try:
        lines, first = inspect.getsourcelines(obj)
        path = inspect.getsourcefile(obj)
    except (TypeError, OSError):
        raise TypeError(
            f"there is no source to show for {type(obj).__name__} {str(obj)[:60]!r}; "
            "give a function, a class, a module or a dotted name"
        ) from None
    text = textwrap.dedent("".join(lines)).rstrip() + "\n"
    if not docstring:
        text = _without_docstring(text)
    return Source(text.rstrip("\n"), _place(path, first, len(lines), isinstance(obj, ModuleType)))


def highlight(code: str) -> str:
    """``code`` as escaped HTML, coloured where Pygments is there; nothing in it is ever interpreted."""
    frame = (
        "background:#f7f7f7;color:#1a1a1a;padding:.6em .8em;border-radius:4px;"
        "overflow-x:auto;white-space:pre;line-height:1.35"
    )
    try:
        from pygments import highlight as colour
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
    except ModuleNotFoundError:
        return f'<pre style="{frame}">{html.escape(code)}</pre>'
    inner = colour(code, PythonLexer(), HtmlFormatter(noclasses=True, style="default", nowrap=True))
    return f'<pre style="{frame}">{inner}</pre>'


def _named(name: str) -> Any:
    """The module or the member of a module that a dotted name means."""
    module, rest = name, []
    while module:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
            continue
        for part in rest:
            if not hasattr(found, part):
                raise TypeError(f"{module} has no {part!r}, so there is no source of {name!r}")
            found = getattr(found, part)
        return found
    raise TypeError(f"there is no module or object named {name!r}")


def _without_docstring(text: str) -> str:
    tree = ast.parse(text)
    holder = tree
    if len(tree.body) == 1 and isinstance(
        tree.body[0], ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef
    ):
        holder = tree.body[0]
    if ast.get_docstring(holder) is None:
        return text
    said = holder.body[0]
    lines = text.splitlines(keepends=True)
    after = "".join(lines[said.end_lineno :]).lstrip("\n")
    return "".join(lines[: said.lineno - 1]) + after


def _place(path: str | None, first: int, count: int, whole: bool) -> str:
    if path is None:
        return ""
    parts = Path(path).parts
    shown = "/".join(parts[len(parts) - parts[::-1].index("dakit") - 1 :]) if "dakit" in parts else ""
    if not shown.endswith(".py") or not shown.startswith("dakit/"):
        return ""
    return shown if whole else f"{shown}, lines {first}-{first + count - 1}"
