"""The anatomy of a chapter, checked: what every chapter must have, and what none may have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dakit.course.build import BADGES, notebook
from dakit.course.listing import Chapter

FACTS = ("Time", "Memory", "Needs", "Data")
HEADINGS = {  # what a heading must contain, and how to speak of the part that is missing
    "measure": "a section headed “Measure”",
    "break it": "a section headed “Break it”",
    "exercise": "a section headed “Exercises”",
    "reference": "a section headed “References”",
}
CALLS = {
    "course.setup(": "begin with `course.setup(`",
    "course.predict(": "ask for a prediction (`course.predict(`)",
    "course.reveal(": "reveal a prediction (`course.reveal(`)",
    "course.source(": "show the library's own code (`course.source(`)",
    "course.provenance(": "end with `course.provenance(`",
}


def lint_chapter(chapter: Chapter) -> list[str]:
    """What is missing or wrong in a chapter's source, one sentence each; empty if nothing is.

    Parameters
    ----------
    chapter : Chapter
    """
    text = chapter.source.read_text(encoding="utf-8")
    book = notebook(chapter, solutions=True)
    prose = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    code = "\n".join(c.source for c in book.cells if c.cell_type == "code")
    return [
        *_head(chapter, text),
        *(f"has no {what.removeprefix('a ')}" for key, what in HEADINGS.items() if not _headed(prose, key)),
        *(f"must {what}" for call, what in CALLS.items() if call not in code),
        *_predictions(code),
        *_exercises(text, code),
        *_prose(prose),
    ]


def lint_outputs(book: Any) -> list[str]:
    """What is wrong with an executed notebook: pictures without alt text, paths of this machine.

    Parameters
    ----------
    book : NotebookNode
        Executed, with outputs.
    """
    wrong = []
    home = {str(Path.home()), str(Path.cwd())} - {"/"}
    for number, cell in enumerate(book.cells, start=1):
        for output in cell.get("outputs", []):
            data, metadata = output.get("data", {}), output.get("metadata", {})
            by_cell = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
            if "image/png" in data and not (metadata.get("image/png", {}).get("alt") or by_cell):
                wrong.append(f"cell {number} shows a picture without alt text")
            pictures = re.findall(r"<img\b[^>]*>", data.get("text/html", ""))
            silent = [p for p in pictures if not re.search(r'\balt="[^"]+"', p)]
            wrong += [f"cell {number} shows an <img> without alt text" for _ in silent]
            words = output.get("text", "") + data.get("text/plain", "")
            wrong += [f"cell {number} prints a path of this machine" for path in home if path in words]
    return wrong


def lint_student(text: str) -> list[str]:
    """What is wrong with a committed student notebook: outputs, counts, missing ids or kernelspec, solutions."""
    import json

    book = json.loads(text)
    cells = book["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    ids = [c.get("id") for c in cells]
    wrong = []
    if any(c["outputs"] for c in code) or any(c["execution_count"] is not None for c in code):
        wrong.append("holds outputs or execution counts")
    if None in ids or len(set(ids)) < len(ids):
        wrong.append("has cells without an id of their own")
    if book["metadata"].get("kernelspec", {}).get("name") != "python3":
        wrong.append("has no kernelspec python3, so JupyterLab would ask for a kernel")
    if "widgets" in book["metadata"]:
        wrong.append("holds widget state")
    lines = [line for c in code for line in "".join(c["source"]).splitlines()]
    if any(re.match(r"\s*# (end )?solution\b", line) for line in lines):
        wrong.append("still holds a solution marker")
    return wrong


def _head(chapter: Chapter, text: str) -> list[str]:
    wrong = []
    if not re.match(r"# ---\n(#.*\n)*?# *kernelspec:\n(#.*\n)*?# *name: python3\n(#.*\n)*?# ---\n", text):
        wrong.append("must begin with a YAML block that names the kernelspec python3, over several lines")
    if chapter.title == chapter.name:
        wrong.append("has no title (`# Title` in the first cell)")
    sentences = re.findall(r"[.!?](?:\s|$)", chapter.promise)
    if len(sentences) != 1:
        wrong.append("needs a promise of one sentence (`> …` in the first cell)")
    wrong += [f"lacks {fact!r} in the table at its head" for fact in FACTS if not chapter.facts.get(fact)]
    if BADGES not in text:
        wrong.append(f"has no {BADGES} line in its first cell")
    return wrong


def _headed(prose: str, word: str) -> bool:
    return any(word in line.lower() for line in prose.splitlines() if re.match(r"#{2,3} ", line))


def _predictions(code: str) -> list[str]:
    asked, told = _calls(code, "predict"), _calls(code, "reveal")
    wrong = [f"never reveals the prediction {name!r}" for name in asked if name not in told]
    early = [name for name in asked if name in told and told[name] < asked[name]]
    return wrong + [f"reveals {name!r} before it asks" for name in early]


def _calls(code: str, function: str) -> dict[str, int]:
    """First argument of each call of ``course.function``, and where the first such call stands."""
    found: dict[str, int] = {}
    for call in re.finditer(rf"course\.{function}\(\s*\"([^\"]+)\"", code):
        found.setdefault(call[1], call.start())
    return found


def _exercises(text: str, code: str) -> list[str]:
    from dakit.course.exercises import find

    wrong = []
    checked = list(_calls(code, "check"))
    if not checked:
        wrong.append("has no exercise with a check (`course.check(`)")
    for name in checked:
        wrong += [
            f"exercise {name!r} has no course.{k}"
            for k in ("hint", "solution")
            if f'course.{k}("{name}")' not in text
        ]
        try:
            _, exercise = find(name)
        except ValueError as error:
            wrong.append(str(error))
            continue
        if len(exercise.hints) < 2:
            wrong.append(f"exercise {name!r} needs at least two hints")
        if not exercise.mistakes:
            wrong.append(f"exercise {name!r} recognises no common mistake")
    stubs = re.findall(r"^([ \t]*)# solution\b", text, re.MULTILINE)
    if len(stubs) < len(checked):
        wrong.append("has fewer solution regions (`# solution: …`) than checks")
    if any(not indent for indent in stubs):
        wrong.append(
            "has a solution region outside a function: its stub would stop “Run All” for every student"
        )
    return wrong


def _prose(prose: str) -> list[str]:
    wrong = [f"has an image without alt text: {url}" for url in re.findall(r"!\[\]\(([^)]*)\)", prose)]
    references = prose[prose.lower().rfind("# references") :]
    if not re.search(r"doi\.org/|arxiv\.org/abs/|arXiv:\d", references):
        wrong.append("has references without a DOI or an arXiv id")
    if re.search(r"(?<![\w/:.])/(home|Users|work|tmp)/", prose):
        wrong.append("names an absolute path")
    return wrong
