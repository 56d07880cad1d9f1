"""Pairs of domains whose classes differ: partial, open-set and universal adaptation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dakit.domains.classes import check_same_shape, with_classes
from dakit.domains.domain import Domain
from dakit.domains.labels import listed

UNKNOWN = "unknown"
"""The last class of a target that holds more classes than the source, and what methods for open sets may answer."""


def category_gap(
    source: Domain,
    target: Domain,
    *,
    shared: Iterable[str | int],
    source_private: Iterable[str | int] = (),
    target_private: Iterable[str | int] = (),
) -> tuple[Domain, Domain]:
    """Two labelled domains of the same classes, cut down so that each has classes that the other lacks.

    The source keeps its examples of the shared and of its private classes. The target keeps those of the shared and of
    its own private classes, which are merged into one last class, ``"unknown"``. What results is

    - partial adaptation, where only the source has private classes: both domains list the source's classes;
    - open-set adaptation, where only the target has, and universal adaptation, where both have: the target's classes
      are the source's and ``"unknown"``, and a method for it (``open_set`` is True) may answer so;
    - the usual closed set, where neither has.

    Examples of all other classes are left out. The name of the class that a target example had before it became
    unknown stays in its ``meta`` column ``class``, unless the domain has such a column already.

    Parameters
    ----------
    source, target : Domain
        With labels, the same list of classes, and examples of one shape.
    shared : iterable of str or int
        Classes of both, by name or by index into ``source.classes``; at least one.
    source_private, target_private : iterable of str or int
        Classes that only one of both is to keep.

    Returns
    -------
    source, target : Domain
        The source's classes keep the order that they had. Target labels are for evaluation alone, as always.

    Raises
    ------
    ValueError
        If labels are missing, the lists of classes or the shapes differ, a class is unknown or named twice, no class is
        shared, the source would keep fewer than two classes, or a domain has no example of a class that it is to keep.

    References
    ----------
    You, Long, Cao, Wang, Jordan (2019). Universal domain adaptation. CVPR (category gap).

    Examples
    --------
    >>> import torch
    >>> d = Domain("toy", torch.zeros(4, 2), torch.arange(4), ("ant", "bee", "cat", "dog"))
    >>> source, target = category_gap(
    ...     d, d, shared=["ant"], source_private=["dog"], target_private=["bee", "cat"]
    ... )
    >>> source.counts(), target.counts()
    ({'ant': 1, 'dog': 1}, {'ant': 1, 'dog': 0, 'unknown': 2})
    """
    for role, domain in (("source", source), ("target", target)):
        if domain.y is None:
            raise ValueError(f"{role} {domain.name!r} has no labels, so its classes cannot be told apart")
    if source.classes != target.classes:
        raise ValueError(
            f"classes disagree: source {source.name!r} has {listed(source.classes)}, target {target.name!r} "
            f"{listed(target.classes)}; domains.align_classes(source, target) brings them to one list"
        )
    check_same_shape(source, target)
    asked = {"shared": shared, "source_private": source_private, "target_private": target_private}
    kept = {role: _indices(given, source.classes, role) for role, given in asked.items()}
    _check_disjoint(kept, source.classes)
    if not kept["shared"]:
        raise ValueError("shared names no class: adaptation needs at least one that both domains have")
    of_source = sorted(kept["shared"] + kept["source_private"])
    of_target = sorted(kept["shared"] + kept["target_private"])
    names = tuple(source.classes[c] for c in of_source)
    if len(names) < 2:
        raise ValueError(f"the source would keep the class {names[0]!r} alone; a classifier needs at least 2")
    if UNKNOWN in names:
        raise ValueError(
            f"a class of the source is called {UNKNOWN!r}, the name kept for private classes of the target"
        )
    source = with_classes(_restricted(source, of_source, "source"), names)
    target = _restricted(target, of_target, "target")
    if not kept["target_private"]:
        return source, with_classes(target, names)
    was = np.array(target.classes)[target.y.cpu().numpy()]
    private = [target.classes[c] for c in kept["target_private"]]
    at = {c: i for i, c in enumerate(names)} | dict.fromkeys(private, len(names))
    y = target.y.new_tensor([at[c] for c in was.tolist()])
    meta = {"class": was, **target.meta}
    return source, replace(target, y=y, classes=(*names, UNKNOWN), meta=meta)


def _indices(given: Iterable[str | int], classes: Sequence[str], role: str) -> list[int]:
    """Positions of the given classes, each named or numbered."""
    if isinstance(given, str):
        raise ValueError(f"{role} must be a list of classes, got the text {given!r}; write [{given!r}]")
    found = []
    for c in given:
        number = isinstance(c, (int, np.integer)) and not isinstance(c, bool)
        if (number and not 0 <= c < len(classes)) or (not number and str(c) not in classes):
            raise ValueError(
                f"{role}: there is no class {c!r} among the {len(classes)} classes {listed(classes)}"
            )
        found.append(int(c) if number else classes.index(str(c)))
    return found


def _check_disjoint(kept: dict[str, list[int]], classes: Sequence[str]) -> None:
    seen: dict[int, str] = {}
    for role, indices in kept.items():
        for c in indices:
            if c in seen:
                where = f"twice in {role}" if seen[c] == role else f"in {seen[c]} and in {role}"
                raise ValueError(f"the class {classes[c]!r} is named {where}; each class has one place")
            seen[c] = role


def _restricted(domain: Domain, keep: list[int], role: str) -> Domain:
    """The examples of the classes at ``keep``, all of which must occur."""
    counts = list(domain.counts().values())
    empty = [domain.classes[c] for c in keep if counts[c] == 0]
    if empty:
        raise ValueError(f"{role} {domain.name!r} has no example of {listed(empty)}, which it is to keep")
    return domain.subset(np.isin(domain.y.cpu().numpy(), keep))
