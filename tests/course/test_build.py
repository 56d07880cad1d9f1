"""One source, two notebooks: stubs, determinism, the comparison byte for byte."""

import json
import sys

import jupytext
import nbformat
import pytest

from dakit import course
from dakit.course.anatomy import lint_student
from dakit.course.build import BADGES, badges, notebook, stubbed
from dakit.course.listing import find_chapters
from tests.course.chapter_text import CHAPTER, write


@pytest.fixture
def chapter(tmp_path):
    write(tmp_path)
    return course.list_chapters(tmp_path)[0]


def code_of(book):
    return [c.source for c in book.cells if c.cell_type == "code"]


def test_stub_by_hand():
    solved = "    # solution: double it\n    y = 2 * y\n\n    # why not\n    # end solution\n"
    code = f"def f(x):\n    y = x\n{solved}    return y"
    assert stubbed(code) == (
        'def f(x):\n    y = x\n    raise NotImplementedError("your turn: double it")\n    return y'
    )


def test_stub_to_the_end_of_the_cell_and_several():
    code = "def f():\n    # solution\n    return 1\n    # end solution\n"
    code += 'def g():\n    # solution: say "hi" \\ bye\n    return 2'
    scope = {}
    exec(stubbed(code), scope)
    with pytest.raises(NotImplementedError, match=r"^your turn: write this part$"):
        scope["f"]()
    with pytest.raises(NotImplementedError) as caught:
        scope["g"]()
    assert str(caught.value) == 'your turn: say "hi" \\ bye'


def test_code_without_markers_is_untouched():
    code = "x = 1  # solution of the equation\n# solutions are many\ny = '# solution'"
    assert stubbed(code) == code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("# end solution", "without a `# solution`"),
        ("# solution\n# end solution", "nothing stands between"),
        ("x = 1\n# solution", "nothing stands after"),
        ("# solution\nx\n# solution\ny", "inside a solution"),
    ],
)
def test_malformed_markers_name_the_place(code, words):
    with pytest.raises(ValueError, match=f"^part/01_x, cell 3: .*{words}"):
        stubbed(code, "part/01_x, cell 3")


def test_unreadable_header_names_the_chapter(tmp_path):
    write(tmp_path, CHAPTER.replace("#   kernelspec:\n", "").replace("python3\n", "python3: x: y\n"))
    with pytest.raises(ValueError, match=r"^1_part/01_tiny cannot be read; look at the YAML block"):
        notebook(course.list_chapters(tmp_path)[0])


def test_student_loses_solutions_and_keeps_the_rest(chapter):
    student, full = notebook(chapter), notebook(chapter, solutions=True)
    assert "return 2 * x" not in "".join(code_of(student))
    assert 'raise NotImplementedError("your turn: double x")' in "".join(code_of(student))
    assert '"""Twice x."""' in "".join(code_of(student))
    assert not any("assert double" in c for c in code_of(student))
    assert any("assert double" in c for c in code_of(full))
    assert any("    return 2 * x" in c and "# solution" not in c for c in code_of(full))


def test_badges_and_colab_come_from_the_version(chapter):
    from dakit import __version__

    head = notebook(chapter).cells[0].source
    assert BADGES not in head
    assert badges("1_part/01_tiny") in head
    assert f"/v{__version__}?urlpath=lab/tree/notebooks/1_part/01_tiny.ipynb" in head
    assert f"/blob/v{__version__}/notebooks/1_part/01_tiny.ipynb" in head
    assert "/main" not in head
    assert f"@v{__version__}" in code_of(notebook(chapter))[0]


def test_build_then_check_is_clean_and_deterministic(tmp_path, chapter):
    assert course.build_chapters(root=tmp_path).written == ["1_part/01_tiny"]
    first = chapter.notebook.read_bytes()
    assert course.build_chapters(root=tmp_path).written == []  # nothing to do
    chapter.notebook.unlink()
    course.build_chapters(root=tmp_path)
    assert chapter.notebook.read_bytes() == first
    assert course.build_chapters(check=True, root=tmp_path).ok
    assert list(course.build_chapters(check=True, root=tmp_path)) == []


def test_notebook_is_valid_and_clean(tmp_path, chapter):
    course.build_chapters(root=tmp_path)
    text = chapter.notebook.read_text(encoding="utf-8")
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert lint_student(text) == []
    assert text.endswith("}\n")
    book = json.loads(text)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)


def test_ids_follow_content(tmp_path, chapter):
    before = [c.id for c in notebook(chapter).cells]
    write(tmp_path, CHAPTER.replace("six = 2 * 3", "six = 3 * 2"))
    after = [c.id for c in notebook(chapter).cells]
    assert sum(a != b for a, b in zip(before, after)) == 1
    write(tmp_path, CHAPTER + "\n# %%\nx = 1\n\n# %%\nx = 1\n")
    assert len(set(ids := [c.id for c in notebook(chapter).cells])) == len(ids)


@pytest.mark.parametrize("what", ["edited", "missing", "outputs"])
def test_check_catches_a_difference(tmp_path, chapter, what):
    course.build_chapters(root=tmp_path)
    if what == "missing":
        chapter.notebook.unlink()
    elif what == "edited":
        chapter.notebook.write_text(chapter.notebook.read_text().replace("Twice x", "Thrice x"))
    else:
        book = json.loads(chapter.notebook.read_text())
        next(c for c in book["cells"] if c["cell_type"] == "code")["execution_count"] = 3
        chapter.notebook.write_text(json.dumps(book))
        assert lint_student(chapter.notebook.read_text()) == ["holds outputs or execution counts"]
    before = chapter.notebook.read_bytes() if chapter.notebook.exists() else None
    built = course.build_chapters(check=True, root=tmp_path)
    assert not built.ok
    assert len(built) == 1
    assert built.differ == ["1_part/01_tiny"]
    assert "1_part/01_tiny: differs from its source" in str(built)
    assert (
        chapter.notebook.read_bytes() if chapter.notebook.exists() else None
    ) == before  # check writes nothing


def test_notebook_without_source_is_reported(tmp_path, chapter):
    course.build_chapters(root=tmp_path)
    (tmp_path / "notebooks" / "9_old.ipynb").write_text("{}")
    (tmp_path / "notebooks" / "apps").mkdir()
    (tmp_path / "notebooks" / "apps" / "dashboard.ipynb").write_text("{}")  # apps are written by hand
    assert course.build_chapters(check=True, root=tmp_path).stale == ["notebooks/9_old.ipynb"]


def test_round_trip_through_jupytext(chapter):
    """The solution notebook, written back as a percent file and read again, has the same cells."""
    book = notebook(chapter, solutions=True)
    again = jupytext.reads(jupytext.writes(book, fmt="py:percent"), fmt="py:percent")
    assert [(c.cell_type, c.source) for c in again.cells] == [(c.cell_type, c.source) for c in book.cells]


def test_without_jupytext_the_install_line(monkeypatch, tmp_path, chapter):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(ModuleNotFoundError, match=r'needs jupytext: pip install "dakit\[dev\]"'):
        course.build_chapters(root=tmp_path)


def test_listing(tmp_path, chapter):
    write(tmp_path, CHAPTER.replace("A tiny", "Another"), "00_start")
    first, second = course.list_chapters(tmp_path)
    assert (first.name, first.part, first.number, first.slug) == ("00_start", "", "00", "start")
    assert (second.name, second.part, second.number, second.slug) == (
        "1_part/01_tiny",
        "1_part",
        "01",
        "tiny",
    )
    assert second.title == "A tiny chapter"
    assert second.promise == "You can double a number and say why."
    assert second.time == "1 minute"
    assert json.loads(json.dumps(second.as_dict()))["notebook"] == "notebooks/1_part/01_tiny.ipynb"
    assert second.facts == {"Time": "1 minute", "Memory": "0.2 GB", "Needs": "nothing", "Data": "none"}
    assert second.notebook == tmp_path / "notebooks" / "1_part" / "01_tiny.ipynb"


@pytest.mark.parametrize(
    "name", ["tiny", "01_tiny", "1_part/01_tiny", "1_part", "notebooks/1_part/01_tiny.ipynb"]
)
def test_chapters_are_found_by_any_of_their_names(tmp_path, chapter, name):
    assert [c.name for c in find_chapters([name], tmp_path)] == ["1_part/01_tiny"]


def test_unknown_chapter(tmp_path, chapter):
    with pytest.raises(ValueError, match="no chapter 'dan'; there are 1_part/01_tiny"):
        find_chapters(["dan"], tmp_path)


def test_installed_without_a_checkout(monkeypatch, tmp_path):
    from dakit.course import listing

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        listing, "__file__", str(tmp_path / "site-packages" / "dakit" / "course" / "listing.py")
    )
    for call in (course.list_chapters, course.build_chapters, course.run_chapters):
        with pytest.raises(
            FileNotFoundError, match="not part of the installed package; get them with `git clone"
        ):
            call()
