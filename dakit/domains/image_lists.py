"""Domains from lists of images: the ``path label`` files that come with DomainNet, PACS, VisDA and Office."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dakit.domains.arrays import existing_file
from dakit.domains.domain import Domain
from dakit.domains.images import check_size, domain_of_files, spread
from dakit.domains.labels import encode_labels
from dakit.domains.memory import LIMIT_GB, check_memory


def from_image_list(
    path: str | Path,
    root: str | Path | None = None,
    *,
    size: int = 32,
    classes: Sequence[str] | None = None,
    max_per_class: int | None = None,
    name: str | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain:
    """A domain from a text file of lines ``path label``.

    Parameters
    ----------
    path : path
        The list. Labels are whole numbers, counted from 0 or from 1, or names.
    root : path, optional
        What the paths in the list start from; by default the folder of the list, or the one above it.
    size : int
        Height and width in pixels, to which every picture is stretched.
    classes : sequence of str, optional
        Class names in index order, matched by name. By default the names of the folders that the pictures of a
        label lie in, where every label has one folder of its own, and else the labels themselves.
    max_per_class : int, optional
        Read at most this many pictures of each class, evenly spaced in the order of the list.
    name : str, optional
        What the domain is called; the name of the list by default.
    limit_gb : float
        Refuse to read more than this (12·size² bytes a picture).

    Returns
    -------
    Domain
        With ``x`` of shape (n, 3, size, size) in [0, 1] and the file of each picture in ``meta["path"]``. The
        classes are ordered by label.

    Raises
    ------
    FileNotFoundError
        If there is no such list, or a picture of it does not exist.
    ValueError
        If a line is no ``path label``, a picture cannot be read, or memory would not suffice.
    """
    path = existing_file(path)
    check_size(size)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file of lines 'path label'") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            parts = line.strip().rsplit(maxsplit=1)
            if len(parts) != 2:
                raise ValueError(f"{path}, line {number}: expected 'path label', got {line.strip()[:80]!r}")
            pairs.append(parts)
    if not pairs:
        raise ValueError(f"{path} lists no pictures")

    listed_paths, raw = [p for p, _ in pairs], [label for _, label in pairs]
    whole = all(label.isdecimal() for label in raw)
    y, names = encode_labels([int(label) for label in raw] if whole else raw, name=path.stem)
    folders = _folder_names(listed_paths, y, len(names)) if whole else None
    if classes is None:
        names = folders or names
    else:
        by_folder = folders is not None and set(folders) <= set(classes)
        values = np.array(folders)[y] if by_folder else ([int(label) for label in raw] if whole else raw)
        y, names = encode_labels(values, classes, name=path.stem, by_name=True)

    of_class = [np.flatnonzero(y == label) for label in np.unique(y)]
    rows = np.sort(np.concatenate([at[spread(len(at), max_per_class)] for at in of_class]))
    base = _base(path, root, listed_paths[0])
    files = [base / listed_paths[i] for i in rows]
    absent = next((f for f in files if not f.is_file()), None)
    if absent is not None:
        raise FileNotFoundError(
            f"{path} lists {absent}, which does not exist; give the folder the paths start from as root"
        )
    check_memory(len(files), (3, size, size), limit_gb, str(path), "a smaller size or a max_per_class")
    paths = np.array([listed_paths[i] for i in rows])
    return domain_of_files(files, y[rows], names, name=name or path.stem, size=size, meta={"path": paths})


def _folder_names(paths: Sequence[str], y: np.ndarray, count: int) -> tuple[str, ...] | None:
    """The folder of each label's pictures, if labels and folders match one to one."""
    pairs = {(int(label), Path(p).parent.name) for p, label in zip(paths, y)}
    names = dict(pairs)
    one_to_one = len(pairs) == count == len(set(names.values()))
    return tuple(names[i] for i in range(count)) if one_to_one and all(names.values()) else None


def _base(path: Path, root: str | Path | None, first: str) -> Path:
    if root is not None:
        return Path(root)
    return next((b for b in (path.parent, path.parent.parent) if (b / first).is_file()), path.parent)
