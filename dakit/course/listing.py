"""The chapters of the course: where they are, and what stands at the head of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HOME = "https://github.com/dakit-dev/dakit"


@dataclass(frozen=True)
class Chapter:
    """A chapter, read from the head of its source.

    Attributes
    ----------
    name : str
        Path without suffix below the folder of sources, for example ``"2_align/03_dann"``.
    title, promise : str
        Its heading, and the one sentence that says what the reader will be able to do.
    facts : dict
        The table at its head: ``Time``, ``Memory``, ``Needs``, ``Data`` …
    source, notebook : Path
        What is written by hand, and what is generated from it.
    """

    name: str
    title: str
    promise: str
    facts: dict[str, str]
    source: Path
    notebook: Path

    @property
    def part(self) -> str:
        """Folder of the part, ``""`` for chapters before the first part."""
        return self.name.rpartition("/")[0]

    @property
    def number(self) -> str:
        """Number inside the part, ``"03"``."""
        return re.match(r"\d*", self.slug_with_number)[0]

    @property
    def slug_with_number(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def slug(self) -> str:
        """Name without the number: ``"dann"``; also the name of its exercises."""
        return re.sub(r"^\d+_", "", self.slug_with_number)

    @property
    def time(self) -> str:
        return self.facts.get("Time", "")

    def as_dict(self) -> dict[str, str]:
        """What the command line prints as JSON."""
        keys = ("name", "part", "number", "title", "promise", "time")
        return {key: getattr(self, key) for key in keys} | {"notebook": f"notebooks/{self.name}.ipynb"}


def checkout_root(start: Path | None = None) -> Path:
    """The folder that holds ``notebooks/source``: dakit's own checkout, or the one around the working directory.

    Raises
    ------
    FileNotFoundError
        If there is neither: an installed wheel carries no notebooks.
    """
    here = Path.cwd() if start is None else Path(start)
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "notebooks" / "source").is_dir():
            return folder
    raise FileNotFoundError(
        "the chapters are not part of the installed package; "
        f"get them with `git clone {HOME}` and run this inside that folder"
    )


def list_chapters(root: Path | None = None) -> list[Chapter]:
    """All chapters in reading order.

    Parameters
    ----------
    root : Path, optional
        A checkout; found from the working directory or from where dakit is installed by default.

    Raises
    ------
    FileNotFoundError
        If there is no checkout.
    """
    root = checkout_root() if root is None else Path(root)
    folder = root / "notebooks" / "source"
    return [read_chapter(path, root) for path in sorted(folder.rglob("*.py"))]


def find_chapters(names: list[str] | None, root: Path | None = None) -> list[Chapter]:
    """The chapters called so: by full name, name without part, or slug; all of them for an empty list.

    Raises
    ------
    ValueError
        If a name means no chapter.
    """
    everything = list_chapters(root)
    if not names:
        return everything
    chosen = []
    for name in names:
        wanted = name.removesuffix(".py").removesuffix(".ipynb")
        wanted = wanted.removeprefix("notebooks/").removeprefix("source/")
        found = [c for c in everything if wanted in (c.name, c.slug_with_number, c.slug, c.part)]
        if not found:
            raise ValueError(
                f"there is no chapter {name!r}; there are {', '.join(c.name for c in everything)}"
            )
        chosen += [c for c in found if c not in chosen]
    return chosen


def read_chapter(path: Path, root: Path) -> Chapter:
    """Head of one source file: its first markdown cell holds ``# Title``, ``> promise`` and a two-column table."""
    name = path.relative_to(root / "notebooks" / "source").with_suffix("").as_posix()
    lines = _first_markdown(path.read_text(encoding="utf-8"))
    title = next((line[2:].strip() for line in lines if line.startswith("# ")), name)
    promise = " ".join(line[1:].strip() for line in lines if line.startswith(">"))
    cells = [
        [c.strip() for c in line.strip().strip("|").split("|")] for line in lines if line.startswith("|")
    ]
    facts = {row[0].strip("* "): row[1] for row in cells if len(row) == 2 and row[0].strip("*- ")}
    return Chapter(name, title, promise, facts, path, root / "notebooks" / f"{name}.ipynb")


def _first_markdown(text: str) -> list[str]:
    found = re.search(r"^# %% \[markdown\][^\n]*\n(.*?)(?=^# %%|\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        return []
    return [line.removeprefix("#").removeprefix(" ") for line in found[1].splitlines()]
