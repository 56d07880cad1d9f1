"""The anatomy of a chapter: everything missing is named."""

import nbformat
import pytest

from dakit import course
from dakit.course.anatomy import lint_outputs, lint_student
from tests.course.chapter_text import CHAPTER, write

YAML = CHAPTER[: CHAPTER.index("\n# %%")]


def lint(tmp_path, text=CHAPTER):
    write(tmp_path, text)
    return " | ".join(course.lint_chapter(course.list_chapters(tmp_path)[0]))


def test_the_tiny_chapter_lacks_what_it_lacks(tmp_path):
    said = lint(tmp_path)
    for missing in (
        "Measure",
        "Break it",
        "Exercises",
        "course.source(",
        "course.provenance(",
        "exercise with a check",
    ):
        assert missing in said
    for there in (
        "title",
        "promise",
        "kernelspec",
        "References",
        "course.setup",
        "table at its head",
        "never reveals",
    ):
        assert there not in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# # A tiny chapter", "# A tiny chapter", "no title"),
        ("# > You can double a number and say why.", "# So.", "promise of one sentence"),
        ("say why.", "say why. And more. And more.", "promise of one sentence"),
        ("# | Data | none |", "#", "lacks 'Data'"),
        ("# <!-- badges -->", "#", "no <!-- badges -->"),
        (YAML, "", "YAML block"),
        (YAML, "# ---\n# jupyter: {kernelspec: {name: python3}}\n# ---\n", "YAML block"),
        ('course.reveal("tiny", six)', "six", "never reveals the prediction 'tiny'"),
        ("arXiv:1505.07818", "somewhere", "without a DOI"),
        ("# A paper,", "# ![](picture.png) A paper,", "image without alt text: picture.png"),
        ("# A paper,", "# See /home/me/paper.pdf,", "absolute path"),
        ('    """Twice x."""\n    # solution', "    pass\n# solution", "outside a function"),
        ("six = 2 * 3", 'course.check("nowhere.x", six)', "no exercises of a chapter 'nowhere'"),
        ("six = 2 * 3", 'course.check("nowhere.x", six)', "no course.hint"),
    ],
)
def test_each_fault_is_named(tmp_path, old, new, words):
    assert CHAPTER.replace(old, new) != CHAPTER
    assert words not in lint(tmp_path)
    assert words in lint(tmp_path, CHAPTER.replace(old, new))


def test_a_reveal_before_its_question(tmp_path):
    text = CHAPTER.replace('course.predict("tiny"', 'course.reveal("tiny", 6)\ncourse.predict("tiny"')
    assert "reveals 'tiny' before it asks" in lint(tmp_path, text)
    assert "reveals 'tiny' before it asks" in lint(
        tmp_path, text.replace('reveal("tiny"', 'reveal(\n    "tiny"')
    )


def test_outputs_need_alt_text_and_no_paths(tmp_path):
    def shown(data, metadata=None):
        cell = nbformat.v4.new_code_cell("x")
        cell.outputs = [nbformat.v4.new_output("display_data", data, metadata=metadata or {})]
        return lint_outputs(nbformat.v4.new_notebook(cells=[cell]))

    assert shown({"image/png": "AAAA"}) == ["cell 1 shows a picture without alt text"]
    assert shown({"image/png": "AAAA"}, {"image/png": {"alt": "Two clouds"}}) == []
    assert shown({"text/html": '<img src="data:,x">'}) == ["cell 1 shows an <img> without alt text"]
    assert shown({"text/html": '<img src="data:,x" alt="Two clouds">'}) == []
    from pathlib import Path

    assert shown({"text/plain": f"saved to {Path.cwd()}/x"})[0].endswith("prints a path of this machine")


def test_student_faults():
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("def f():\n    # solution: x\n    pass")]
    )
    said = " ".join(lint_student(nbformat.writes(book)))
    assert "solution marker" in said
    assert "kernelspec" in said
