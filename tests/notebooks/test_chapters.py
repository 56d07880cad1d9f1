"""Every chapter: generated from its source, complete, and true from its first cell to its last."""

import re

import pytest

from dakit import course
from dakit.course.anatomy import lint_outputs, lint_student
from dakit.course.build import student_text
from dakit.course.run import run_chapter

CHAPTERS = course.list_chapters()
each = pytest.mark.parametrize("chapter", CHAPTERS, ids=[c.name for c in CHAPTERS])


def exercises_of(chapter):
    return set(re.findall(r"course\.check\(\s*\"([^\"]+)\"", chapter.source.read_text(encoding="utf-8")))


def test_the_first_three_are_there():
    assert {"00_start_here", "1_shift/02_distances", "2_align/03_dann"} <= {c.name for c in CHAPTERS}


def test_no_notebook_without_a_source():
    assert course.build_chapters(check=True).stale == []


@each
def test_student_notebook_is_what_the_source_gives(chapter):
    assert chapter.notebook.exists(), "run `dakit chapters build` and commit the notebook"
    assert chapter.notebook.read_text(encoding="utf-8") == student_text(chapter), "run `dakit chapters build`"


@each
def test_student_notebook_is_clean(chapter):
    assert lint_student(chapter.notebook.read_text(encoding="utf-8")) == []


@each
def test_anatomy(chapter):
    assert course.lint_chapter(chapter) == []


@each
@pytest.mark.slow
def test_runs_with_its_solutions(chapter):
    run = run_chapter(chapter, "smoke", timeout=300)
    assert run.ok, run.failure
    assert run.stubs == []
    assert lint_outputs(run.notebook) == []
    assert run.checks == dict.fromkeys(exercises_of(chapter), "passed")
    assert run.peak_mb < 2000


@each
@pytest.mark.slow
def test_student_meets_nothing_but_stubs(chapter):
    run = run_chapter(chapter, "smoke", student=True, timeout=300)
    assert run.ok, run.failure
    assert run.checks == dict.fromkeys(exercises_of(chapter), "open")
