"""One source, two notebooks: from a percent file with solutions to the student's notebook, and back to compare.

A source is a jupytext percent file. In a code cell, what stands between ``# solution`` and ``# end solution``
(or the end of the cell) becomes ``raise NotImplementedError("your turn: …")``; the words after
``# solution:`` say what to do. A cell tagged ``solution`` is left out. ``<!-- badges -->`` in the first cell
becomes the links to Binder and Colab. The same source always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from dakit.course.listing import HOME, Chapter, checkout_root, find_chapters, list_chapters

INSTALL = 'pip install "dakit[dev]"'
BADGES = "<!-- badges -->"
KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_METADATA = ("jupyter", "mystnb", "tags")

_START = re.compile(r"^(?P<indent>[ \t]*)# solution(?::[ \t]*(?P<task>.*\S))?[ \t]*$")
_END = re.compile(r"^[ \t]*# end solution[ \t]*$")


@dataclass
class Built:
    """What a build did: ``written`` and ``differ`` hold chapter names, ``stale`` notebooks without a source.

    Iterating gives a line for each of them; empty means that there was nothing to do.
    """

    written: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if nothing differs from its source and no notebook lacks one."""
        return not self.differ and not self.stale

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines())

    def __len__(self) -> int:
        return len(self._lines())

    def __str__(self) -> str:
        return "\n".join(self._lines()) or "every notebook agrees with its source"

    def _lines(self) -> list[str]:
        lines = [f"{name}: written" for name in self.written]
        lines += [f"{name}: differs from its source; run `dakit chapters build`" for name in self.differ]
        return lines + [f"{name}: has no source; remove it or write one" for name in self.stale]


def build_chapters(check: bool = False, *, root: Path | None = None, names: list[str] | None = None) -> Built:
    """Write the student notebooks, or with ``check=True`` only compare them byte for byte.

    Parameters
    ----------
    check : bool
        Write nothing; report what differs.
    root : Path, optional
        A checkout; found by itself by default.
    names : list of str, optional
        Only these chapters.

    Returns
    -------
    Built

    Raises
    ------
    FileNotFoundError
        If there is no checkout.
    ModuleNotFoundError
        If jupytext is not installed.
    ValueError
        If a source is malformed, naming the chapter and what is wrong.
    """
    root = checkout_root() if root is None else Path(root)
    built = Built()
    for chapter in find_chapters(names, root):
        text = student_text(chapter)
        old = chapter.notebook.read_bytes() if chapter.notebook.exists() else None
        if text.encode() == old:
            continue
        if check:
            built.differ.append(chapter.name)
            continue
        chapter.notebook.parent.mkdir(parents=True, exist_ok=True)
        chapter.notebook.write_bytes(text.encode())
        built.written.append(chapter.name)
    if not names:
        known = {c.notebook for c in list_chapters(root)}
        found = (
            p
            for p in (root / "notebooks").rglob("*.ipynb")
            if not {".ipynb_checkpoints", "apps"} & set(p.parts)
        )
        built.stale = sorted(p.relative_to(root).as_posix() for p in found if p not in known)
    return built


def student_text(chapter: Chapter) -> str:
    """The student's notebook as the text of an ``.ipynb`` file."""
    nbformat = need("nbformat")
    return (
        nbformat.writes(notebook(chapter), version=nbformat.NO_CONVERT, indent=1, sort_keys=True).rstrip("\n")
        + "\n"
    )


def notebook(chapter: Chapter, *, solutions: bool = False) -> Any:
    """A chapter as a notebook without outputs: the student's, or with ``solutions`` the one that runs through.

    Raises
    ------
    ValueError
        If the source cannot be read, or a solution region has no beginning or covers nothing.
    """
    jupytext, nbformat = need("jupytext"), need("nbformat")
    try:
        read = jupytext.reads(chapter.source.read_text(encoding="utf-8"), fmt="py:percent")
    except Exception as error:  # jupytext raises whatever its YAML and its own code raise
        raise ValueError(
            f"{chapter.name} cannot be read; look at the YAML block at its head ({error})"
        ) from None
    made = nbformat.v4.new_notebook(metadata=KERNEL)
    made.nbformat_minor = 5
    seen: dict[str, int] = {}
    for number, cell in enumerate(read.cells):
        tags = cell.metadata.get("tags", [])
        if not solutions and "solution" in tags:
            continue
        text = cell.source
        if cell.cell_type == "markdown" and number == 0:
            text = text.replace(BADGES, badges(chapter.name))
        if cell.cell_type == "code":
            if not any(c.cell_type == "code" for c in made.cells):
                made.cells.append(_cell(nbformat, "code", _colab(), {"tags": ["colab", "hide-cell"]}, seen))
                made.cells[-1].metadata["jupyter"] = {"source_hidden": True}
            text = (
                _without_markers(text) if solutions else stubbed(text, f"{chapter.name}, cell {number + 1}")
            )
        made.cells.append(_cell(nbformat, cell.cell_type, text, cell.metadata, seen))
    return made


def stubbed(code: str, where: str = "cell") -> str:
    """``code`` with each solution region replaced by a line that raises ``NotImplementedError``.

    >>> print(stubbed("def f(x):\\n    # solution: double x\\n    return 2 * x"))
    def f(x):
        raise NotImplementedError("your turn: double x")
    """
    out: list[str] = []
    inside, covered = False, 0
    for line in code.splitlines():
        start, end = _START.match(line), _END.match(line)
        if start:
            if inside:
                raise ValueError(
                    f"{where}: `# solution` inside a solution; close the first with `# end solution`"
                )
            task = (start["task"] or "write this part").replace("\\", "\\\\").replace('"', '\\"')
            out.append(f'{start["indent"]}raise NotImplementedError("your turn: {task}")')
            inside, covered = True, 0
        elif end:
            if not inside:
                raise ValueError(f"{where}: `# end solution` without a `# solution` before it")
            if not covered:
                raise ValueError(f"{where}: nothing stands between `# solution` and `# end solution`")
            inside = False
        elif inside:
            covered += bool(line.strip())
        else:
            out.append(line)
    if inside and not covered:
        raise ValueError(f"{where}: nothing stands after `# solution`")
    return "\n".join(out)


def badges(name: str) -> str:
    """Markdown links that open the chapter on Binder and on Colab, at the tag of this version."""
    from dakit import __version__

    path, tag = f"notebooks/{name}.ipynb", f"v{__version__}"
    repository = HOME.removeprefix("https://github.com/")
    binder = f"https://mybinder.org/v2/gh/{repository}/{tag}?urlpath={quote('lab/tree/' + path)}"
    colab = f"https://colab.research.google.com/github/{repository}/blob/{tag}/{path}"
    return f"[Open in Binder]({binder}) · [Open in Colab]({colab})"


def need(package: str) -> ModuleType:
    """Import a package that only building and running chapters needs.

    Raises
    ------
    ModuleNotFoundError
        With the line that installs it.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"building and running chapters needs {package}: {INSTALL}") from None


def _without_markers(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if not (_START.match(line) or _END.match(line)))


def _colab() -> str:
    from dakit import __version__

    return (
        "# On Colab: install dakit. Anywhere else this cell does nothing.\n"
        "import importlib.util\n\n"
        'if importlib.util.find_spec("dakit") is None:\n'
        f'    %pip install -q "dakit @ git+{HOME}@v{__version__}"'
    )


def _cell(nbformat: ModuleType, kind: str, text: str, metadata: Any, seen: dict[str, int]) -> Any:
    """A cell whose id depends on its content alone, so that an edit changes one id and not all that follow."""
    digest = hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:12]
    seen[digest] = seen.get(digest, 0) + 1
    kept = {key: metadata[key] for key in KEPT_METADATA if key in metadata}
    made = getattr(nbformat.v4, f"new_{kind}_cell")(text, metadata=kept)
    made.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return made
