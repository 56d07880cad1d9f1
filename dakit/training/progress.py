"""A progress bar in a terminal or a notebook; silence anywhere else."""

import html
import sys
import time


class Progress:
    """Shows how far a training is. A context manager; nothing is left on the screen after it.

    Parameters
    ----------
    label : str
    total : int
        Steps.
    show : bool
        False is silence. True shows a bar where someone can see it move: a terminal or a notebook.
    start : int
        Steps already done.
    """

    EVERY = 0.2  # seconds between redraws

    def __init__(self, label: str, total: int, *, show: bool = True, start: int = 0) -> None:
        self.label, self.total, self.start = label, total, start
        kind = (_Notebook if in_notebook() else _Terminal if sys.stderr.isatty() else None) if show else None
        self._bar = kind(label, total) if kind else None
        self._last = 0.0

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.open(self.start)
        return self

    def __exit__(self, *error) -> None:
        if self._bar:
            self._bar.close()

    def update(self, step: int, note: str = "") -> None:
        """Say that ``step`` steps are done."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._last >= self.EVERY:
            self._last = now
            self._bar.draw(step, note)


class _Terminal:
    def __init__(self, label: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(label, total=total, note="")

    def open(self, step: int) -> None:
        self.bar.start()
        self.bar.update(self.task, completed=step)

    def draw(self, step: int, note: str) -> None:
        self.bar.update(self.task, completed=step, note=note)

    def close(self) -> None:
        self.bar.stop()


class _Notebook:
    """One HTML output that is updated in place and emptied at the end; it needs no widget."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total = label, total

    def open(self, step: int) -> None:
        from IPython.display import HTML, display

        self.html = HTML
        self.handle = display(HTML(self._text(step, "")), display_id=True)

    def draw(self, step: int, note: str) -> None:
        self.handle.update(self.html(self._text(step, note)))

    def close(self) -> None:
        self.handle.update(self.html(""))

    def _text(self, step: int, note: str) -> str:
        label, note = html.escape(self.label), html.escape(note)
        return (
            f'<label>{label} <progress max="{self.total}" value="{step}" aria-label="{label}"></progress> '
            f"{step}/{self.total} {note}</label>"
        )


def in_notebook() -> bool:
    """Whether a Jupyter kernel is running this."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")
