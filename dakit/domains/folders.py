"""Domains from folders of images: the trees that benchmarks are unpacked to.

What is understood, with ``*`` for image files:

====================================  ====================================================================
``root/class/*``                      one domain
``root/domain/class/*``               several: Office-Home, Office-Caltech, PACS, VLCS (DomainBed), DomainNet,
                                      VisDA-2017, TerraIncognita, SuperMarioDomains
``root/domain/images/class/*``        Office-31
``root/domain/split/class/*``         VLCS (JigenDG), Digits-DG; splits are ``full`` or ``train``, ``crossval`` …
``root/kfold/domain/class/*``         PACS as published: a single folder in between is stepped through
``root/*``                            one domain without labels
====================================  ====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dakit.domains.domain import Domain, DomainSet
from dakit.domains.images import IMAGE_SUFFIXES, check_size, domain_of_files, spread
from dakit.domains.labels import listed
from dakit.domains.memory import LIMIT_GB, check_memory

SPLITS = ("full", "train", "crossval", "val", "validation", "test")
DEPTH = 4  # domain, images or split, class, and one to spare

NO_CLASS = ""  # no folder has this name

Tree = dict[str, list[Path]]  # class names to image files


def from_folder(
    root: str | Path,
    *,
    size: int = 32,
    domains: Sequence[str] | None = None,
    classes: Sequence[str] | str | None = None,
    max_per_class: int | None = None,
    name: str | None = None,
    limit_gb: float = LIMIT_GB,
) -> Domain | DomainSet:
    """A domain, or a set of domains, from a tree of image folders.

    ``root/class/*.jpg`` is one domain, ``root/domain/class/*.jpg`` a set of them; see the table above for the
    variants of the usual benchmarks. Folders and files are taken in sorted order, hidden ones and files that are
    no images are passed over, and pictures lying beside class folders too.

    Parameters
    ----------
    root : path
    size : int
        Height and width in pixels, to which every picture is stretched.
    domains : sequence of str, optional
        Which domain folders to read, and in which order; case, spaces and underscores do not matter.
    classes : sequence of str, ``"shared"``, or None
        None: all domains must have the same class folders. A list: these classes, in this order, each present in
        at least one domain. ``"shared"``: those that every domain has.
    max_per_class : int, optional
        Read at most this many pictures of each class and domain, evenly spaced in sorted order.
    name : str, optional
        What the domain or set is called; the folder's name by default.
    limit_gb : float
        Refuse to read more than this. Pictures are held in memory as float32: 12·size² bytes each, that is
        0.12 GB for 10,000 pictures of 32×32 and 6 GB for 10,000 of 224×224.

    Returns
    -------
    Domain or DomainSet
        With ``x`` of shape (n, 3, size, size) in [0, 1] and the file of each picture in ``meta["path"]``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no images, the domains' classes differ, a picture cannot be read, or memory would not suffice.
    """
    root = Path(root)
    check_size(size)
    if not root.exists():
        raise FileNotFoundError(f"there is no folder {root}")
    if not root.is_dir():
        raise ValueError(f"{root} is a file where a folder of images was expected")
    called = name or _proper_name(root)
    trees, several = _trees(root, called, domains)
    labelled = several or NO_CLASS not in trees[called]
    names = _agreed(trees, classes, root) if labelled else (NO_CLASS,)
    picked = {d: _picked(tree, names, max_per_class) for d, tree in trees.items()}
    count = sum(len(files) for files, _ in picked.values())
    check_memory(count, (3, size, size), limit_gb, f"the folder {root}", "a smaller size or a max_per_class")
    made = []
    for domain, (files, y) in picked.items():
        if not files:
            raise ValueError(f"domain {domain!r} of {root} has no pictures of the classes {listed(names)}")
        meta = {"path": np.array([file.relative_to(root).as_posix() for file in files])}
        labels, of = (y, names) if labelled else (None, ())
        made.append(domain_of_files(files, labels, of, name=domain, size=size, meta=meta))
    return DomainSet(called, made) if several else made[0]


def _trees(root: Path, called: str, domains: Sequence[str] | None) -> tuple[dict[str, Tree], bool]:
    """The tree of each domain, and whether ``root`` is a set of domains."""
    folder = _through(root)
    subfolders = _with_pictures(folder)
    if any(_with_pictures(d) for d in subfolders):  # root/domain/class/*
        chosen = subfolders if domains is None else _chosen(subfolders, domains, root)
        return {d.name: _classes_in(d) for d in chosen}, True
    if domains is not None:
        raise ValueError(f"{root} is a single domain, so domains={list(domains)} cannot be chosen from it")
    if subfolders:  # root/class/*
        return {called: {d.name: _pictures(d) for d in subfolders}}, False
    files = _pictures(folder)
    if not files:
        raise ValueError(f"{root} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return {called: {NO_CLASS: files}}, False


def _pictures(folder: Path) -> list[Path]:
    """Image files lying directly in ``folder``, sorted by name."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if not e.name.startswith(".") and e.is_file()]
    return [folder / n for n in sorted(found) if Path(n).suffix.lower() in IMAGE_SUFFIXES]


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [
            folder / n for n in sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())
        ]


def _with_pictures(folder: Path) -> list[Path]:
    """Subfolders that hold images, or hold folders that do, sorted by name; lists and notes are passed over."""
    return [d for d in _subfolders(folder) if _any_picture(d, DEPTH)]


def _any_picture(folder: Path, depth: int) -> bool:
    if depth == 0:
        return False
    return bool(_pictures(folder)) or any(_any_picture(d, depth - 1) for d in _subfolders(folder))


def _through(folder: Path) -> Path:
    """Step through folders such as ``images/`` and ``kfold/``, the only one at their level and no class."""
    while len(inner := _with_pictures(folder)) == 1 and _with_pictures(inner[0]):
        folder = inner[0]
    return folder


def _classes_in(domain: Path) -> Tree:
    """Class names to image files, for the folder of one domain."""
    folder = _through(domain)
    subfolders = _with_pictures(folder)
    if subfolders and all(d.name.lower() in SPLITS and _with_pictures(d) for d in subfolders):
        full = [d for d in subfolders if d.name.lower() == "full"]
        merged: Tree = {}
        for split in full or subfolders:
            for c, files in _classes_in(split).items():
                merged.setdefault(c, []).extend(files)
        return dict(sorted(merged.items()))
    deeper = [d.name for d in subfolders if _with_pictures(d)]
    if deeper or not subfolders:
        why = (
            f"{listed(deeper)} holds further folders" if deeper else "it holds pictures but no class folders"
        )
        raise ValueError(
            f"{domain} is no class-per-folder tree, because {why}; expected domain/class/picture, "
            "or choose the folders to read with domains=[…]"
        )
    return {d.name: _pictures(d) for d in subfolders}


def _chosen(subfolders: list[Path], domains: Sequence[str], root: Path) -> list[Path]:
    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    if isinstance(domains, str):
        domains = [domains]
    at = {plain(d.name): d for d in subfolders}
    absent = [d for d in domains if plain(d) not in at]
    if absent or not domains:
        what = listed(absent) if absent else "none that was asked for"
        raise ValueError(f"{root} has no domain {what}; it has {listed([d.name for d in subfolders], 20)}")
    return [at[plain(d)] for d in domains]


def _agreed(trees: dict[str, Tree], classes: Sequence[str] | str | None, root: Path) -> tuple[str, ...]:
    """The classes that all domains are read with."""
    everything = sorted(set().union(*trees.values()))
    shared = [c for c in everything if all(c in tree for tree in trees.values())]
    if isinstance(classes, str) and classes != "shared":
        raise ValueError(f"classes must be a list of names, 'shared' or None, got {classes!r}")
    if classes == "shared":
        if not shared:
            raise ValueError(f"the domains of {root} share no class: {listed(list(trees))}")
        return tuple(shared)
    if classes is not None:
        absent = [c for c in classes if c not in everything]
        if absent:
            raise ValueError(f"{root} has no class {listed(absent)}; it has {listed(everything, 20)}")
        return tuple(classes)
    if len(shared) < len(everything):
        lacking = next(d for d, tree in trees.items() if len(tree) < len(everything))
        missing = [c for c in everything if c not in trees[lacking]]
        raise ValueError(
            f"the domains of {root} differ in their classes: {lacking!r} has no {listed(missing)}; "
            "choose classes='shared' or a list of names"
        )
    return tuple(everything)


def _picked(tree: Tree, names: Sequence[str], most: int | None) -> tuple[list[Path], np.ndarray]:
    files: list[Path] = []
    labels: list[int] = []
    for label, c in enumerate(names):
        of_class = tree.get(c, [])
        at = spread(len(of_class), most)
        files += [of_class[i] for i in at]
        labels += [label] * len(at)
    return files, np.array(labels, dtype=np.int64)


def _proper_name(root: Path) -> str:
    full = root.resolve()
    return full.parent.name if full.name.lower() in ("images", "kfold") else full.name
