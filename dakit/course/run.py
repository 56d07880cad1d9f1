"""Run a chapter from its first cell to its last, as its solutions or as a student would find it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dakit.course.build import need, notebook
from dakit.course.listing import Chapter, find_chapters
from dakit.course.profile import NAMES

STUB = "NotImplementedError"
_MEMORY = "from dakit.course.provenance import peak_memory_mb as _peak\nprint(_peak())"


class ChapterError(RuntimeError):
    """A chapter did not run as it should; the message names the cell and the error."""


@dataclass
class ChapterRun:
    """How a run went.

    Attributes
    ----------
    name, profile : str
    student : bool
        True if the student's copy ran, with its stubs.
    seconds : float
    peak_mb : float or None
        The most memory that the kernel held, in MB.
    stubs : list of str
        Messages of the ``NotImplementedError`` that came up (student's copy only).
    checks : dict
        Exercise to ``"passed"``, ``"wrong"`` or ``"open"``, as its last check said.
    failure : str or None
        What went wrong, in a sentence.
    notebook : NotebookNode
        The executed notebook.
    """

    name: str
    profile: str
    student: bool = False
    seconds: float = 0.0
    peak_mb: float | None = None
    stubs: list[str] = field(default_factory=list)
    checks: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    notebook: Any = None

    @property
    def ok(self) -> bool:
        return self.failure is None

    def as_dict(self) -> dict[str, Any]:
        """What the command line prints as JSON."""
        return {
            "name": self.name,
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "peak_mb": None if self.peak_mb is None else round(self.peak_mb),
            "failure": self.failure,
        }

    def __str__(self) -> str:
        state = "ok" if self.ok else f"FAILED: {self.failure}"
        memory = "" if self.peak_mb is None else f", {self.peak_mb:.0f} MB"
        how = f"{self.profile}, student" if self.student else self.profile
        return f"{self.name} ({how}): {state}, {self.seconds:.0f} s{memory}"


def run_chapters(
    names: Sequence[str] | None = None,
    profile: str = "teach",
    *,
    student: bool = False,
    timeout: float = 1800,
    root: Path | None = None,
    on_done: Callable[[ChapterRun], None] | None = None,
) -> list[ChapterRun]:
    """Run chapters one after the other.

    Parameters
    ----------
    names : sequence of str, optional
        Chapters; all of them by default.
    profile : {"smoke", "teach", "full"}
    student : bool
        Run the student's copies: stubs may raise ``NotImplementedError``, nothing else may be raised.
    timeout : float
        Seconds that one cell may take.
    root : Path, optional
        Folder of the chapters; the checkout's ``notebooks`` by default.
    on_done : callable, optional
        Called with each ``ChapterRun`` as soon as it is there.

    Returns
    -------
    list of ChapterRun
        A chapter that failed has ``ok`` False and its ``failure``; the others still run.

    Raises
    ------
    ValueError
        If a name means no chapter, or there is no such profile.
    FileNotFoundError
        If there is no checkout.
    ModuleNotFoundError
        If nbclient or jupytext is not installed.
    """
    runs = []
    for chapter in find_chapters(list(names or []), root):
        runs.append(run_chapter(chapter, profile, student=student, timeout=timeout))
        if on_done is not None:
            on_done(runs[-1])
    return runs


def run_chapter(
    chapter: Chapter, profile: str = "teach", *, student: bool = False, timeout: float = 1800
) -> ChapterRun:
    """Run one chapter; never raises for what happens inside it (see ``failure``)."""
    made = notebook(chapter, solutions=not student)
    folder = chapter.notebook.parent
    folder.mkdir(parents=True, exist_ok=True)
    return run_notebook(made, profile, name=chapter.name, student=student, timeout=timeout, folder=folder)


def run_notebook(
    book: Any,
    profile: str = "teach",
    *,
    name: str = "notebook",
    student: bool = False,
    timeout: float = 1800,
    folder: str | Path = ".",
) -> ChapterRun:
    """Execute a notebook in a kernel of this very Python, whatever kernels are installed.

    Parameters
    ----------
    book : NotebookNode, str or Path
        A notebook or an ``.ipynb`` file; a file is not changed.
    profile : {"smoke", "teach", "full"}
    name : str
        What it is called in the result; by default the name of the file.
    student : bool
        Allow ``NotImplementedError``. Otherwise nothing may be raised and every check must pass.
    timeout : float
        Seconds that one cell may take.
    folder : path
        Working directory of the kernel.
    """
    if profile not in NAMES:
        raise ValueError(f"there is no profile {profile!r}; it must be smoke, teach or full")
    nbclient, nbformat = need("nbclient"), need("nbformat")
    if isinstance(book, str | Path):
        name, book = Path(book).stem if name == "notebook" else name, nbformat.read(book, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(_MEMORY, id="memory"))
    variables = {
        "DAKIT_PROFILE": profile,
        "DAKIT_CHECKS": "lenient" if student else "strict",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    client = nbclient.NotebookClient(
        book,
        timeout=timeout,
        allow_error_names=[STUB] if student else [],
        resources={"metadata": {"path": str(folder)}},
        kernel_manager_class=_own_kernel(),
        store_widget_state=False,
    )
    run = ChapterRun(name, profile, student, notebook=book)
    started = time.perf_counter()
    try:
        client.execute(env={**os.environ, **variables})
    except nbclient.exceptions.CellExecutionError as error:
        run.failure = _where(book) or f"{error.ename}: {error.evalue}"
    except nbclient.exceptions.CellTimeoutError:
        run.failure = f"a cell took longer than {timeout:g} s"
    except (
        nbclient.exceptions.DeadKernelError,
        AssertionError,
    ):  # nbclient's clean-up asserts a living kernel
        run.failure = "the kernel died (most often: out of memory)"
    run.seconds = time.perf_counter() - started
    _read(run, book.cells.pop())
    return run


def _read(run: ChapterRun, memory: Any) -> None:
    """Collect from the outputs what the run told."""
    for output in memory.outputs:
        if output.get("output_type") == "stream":
            with suppress(ValueError, TypeError):
                run.peak_mb = float(json.loads(output["text"]))
    for cell in run.notebook.cells:
        for output in cell.get("outputs", []):
            facts = output.get("metadata", {}).get("dakit", {})
            if "check" in facts:
                run.checks[facts["check"]] = facts["status"]
            if output.get("output_type") == "error" and output["ename"] == STUB:
                run.stubs.append(output["evalue"])
    if run.student and run.ok:
        foreign = [message for message in run.stubs if not message.startswith("your turn: ")]
        passed = [check for check, status in run.checks.items() if status == "passed"]
        if foreign:
            run.failure = f"a NotImplementedError that is no stub: {foreign[0]}"
        elif passed:
            run.failure = f"the check of {passed[0]} passes before the student has done anything"


def _where(book: Any) -> str | None:
    for number, cell in enumerate(book.cells, start=1):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error" and output["ename"] != STUB:
                first = cell.source.strip().splitlines()[0] if cell.source.strip() else ""
                return f"cell {number} ({first[:60]}): {output['ename']}: {output['evalue'][:600]}"
    for number, cell in enumerate(book.cells, start=1):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                return f"cell {number}: {output['ename']}: {output['evalue'][:600]}"
    return None


def _own_kernel() -> type:
    """A kernel manager that starts this interpreter, so that no installed kernelspec can send us elsewhere."""
    need("ipykernel")
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class OwnKernel(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            if self.has_trait(
                "transport_encryption"
            ):  # since jupyter_client 8.9; the kernel warns without it
                self.transport_encryption = "auto"

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            curve = {"supported_encryption": ["curve"]}
            return KernelSpec(argv=argv, display_name="Python 3", language="python", metadata=curve)

    return OwnKernel
