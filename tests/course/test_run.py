"""Running notebooks in a real kernel: what passes, what is caught, and what is told."""

import nbformat
import pytest

from dakit import course
from dakit.course.run import run_notebook
from tests.course.chapter_text import CHAPTER, write

EXERCISE = """
from dakit import course
from dakit.course import Exercise
double = Exercise(task="Twice.", answer=lambda x: 2 * x, fresh=lambda rng: (float(rng.normal()),))
"""


def book(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])


def test_chapter_runs_as_solution_and_as_student(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))  # no kernelspec there: none is needed
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    seen = []
    full = course.run_chapters(["tiny"], "smoke", root=tmp_path, on_done=seen.append)[0]
    assert full.ok, full.failure
    assert full.stubs == []
    assert full.seconds > 0
    assert 50 < full.peak_mb < 4000
    assert seen == [full]
    assert "1_part/01_tiny (smoke): ok" in str(full)
    assert set(full.as_dict()) == {"name", "ok", "seconds", "peak_mb", "failure"}
    assert any("profile smoke" in str(c.get("outputs")) for c in full.notebook.cells)
    assert course.run_chapters(["tiny"], "smoke", student=True, root=tmp_path)[0].ok


def test_the_kernel_is_this_python():
    import sys

    run = run_notebook(book("import sys; print(sys.executable)"), "smoke")
    assert run.notebook.cells[0].outputs[0]["text"].strip() == sys.executable
    assert len(run.notebook.cells) == 1  # the cell that asks for the memory is gone


def test_student_may_only_meet_stubs():
    stub = 'raise NotImplementedError("your turn: think")'
    run = run_notebook(book(stub, "print(1)"), "smoke", student=True)
    assert run.ok
    assert run.stubs == ["your turn: think"]
    other = run_notebook(book(stub, "1 / 0"), "smoke", student=True)
    assert not other.ok
    assert other.failure.startswith("cell 2 (1 / 0): ZeroDivisionError")
    foreign = run_notebook(book('raise NotImplementedError("abstract")'), "smoke", student=True)
    assert "no stub: abstract" in foreign.failure


def test_solutions_may_raise_nothing():
    run = run_notebook(book('raise NotImplementedError("your turn: think")'), "smoke")
    assert not run.ok
    assert "your turn: think" in run.failure


def test_checks_are_strict_for_solutions_and_collected_for_students():
    right, wrong = "course.check(double, lambda x: x + x)", "course.check(double, lambda x: x)"
    assert run_notebook(book(EXERCISE, right), "smoke").checks == {"<lambda>": "passed"}
    failed = run_notebook(book(EXERCISE, wrong), "smoke")
    assert "CheckFailed" in failed.failure
    student = run_notebook(book(EXERCISE, wrong), "smoke", student=True)
    assert student.ok
    assert student.checks == {"<lambda>": "wrong"}


def test_a_check_that_passes_for_the_untouched_student_is_an_error():
    run = run_notebook(book(EXERCISE, "course.check(double, lambda x: x + x)"), "smoke", student=True)
    assert "passes before the student has done anything" in run.failure


def test_a_check_shows_once_even_as_the_last_line_of_a_cell():
    run = run_notebook(
        book(EXERCISE, "course.check(double, lambda x: 2 * x)\ncourse.check(double, lambda x: 2 * x)"),
        "smoke",
    )
    assert [o["output_type"] for o in run.notebook.cells[1].outputs] == ["display_data", "display_data"]


def test_a_prediction_without_a_guess_runs_through():
    ask = 'course.predict("q", "How many?", between=(0, 10))'
    run = run_notebook(book("from dakit import course", ask, 'course.reveal("q", 4)'), "smoke")
    assert run.ok
    shown = run.notebook.cells[1].outputs[0]["data"]
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(shown)
    assert run.notebook.cells[2].outputs[0]["metadata"]["dakit"] == {"predict": "q", "committed": False}


def test_timeout_and_dead_kernel_are_told():
    slow = run_notebook(book("import time; time.sleep(60)"), "smoke", timeout=1)
    assert slow.failure == "a cell took longer than 1 s"
    dead = run_notebook(book("import os; os._exit(1)"), "smoke")
    assert "the kernel died" in dead.failure


def test_an_error_in_one_chapter_does_not_stop_the_next(tmp_path):
    write(tmp_path, CHAPTER.replace("six = 2 * 3", "six = 2 * three"))
    write(tmp_path, name="1_part/02_other")
    first, second = course.run_chapters(profile="smoke", root=tmp_path)
    assert "NameError: name 'three'" in first.failure
    assert "FAILED" in str(first)
    assert second.ok


def test_unknown_profile(tmp_path):
    with pytest.raises(ValueError, match="no profile 'quick'"):
        run_notebook(book(""), "quick")


def test_file_is_not_changed(tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(book("1 + 1"), path)
    before = path.read_bytes()
    assert run_notebook(path, "smoke").name == "a"
    assert path.read_bytes() == before
