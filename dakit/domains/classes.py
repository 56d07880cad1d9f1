"""What two domains must agree on before they are compared: the classes and the shape of an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from dakit.domains.domain import Domain
from dakit.domains.labels import listed


def with_classes(domain: Domain, classes: Sequence[str]) -> Domain:
    """The domain with its labels indexed in another list of classes, matched by name.

    Parameters
    ----------
    domain : Domain
    classes : sequence of str
        The new list. Classes of the domain that have no examples may be missing from it.

    Returns
    -------
    Domain

    Raises
    ------
    ValueError
        If examples of the domain belong to a class outside ``classes``.

    Examples
    --------
    >>> d = Domain("toy", torch.zeros(2, 1), torch.tensor([0, 1]), ("dog", "cat"))
    >>> with_classes(d, ["cat", "dog", "owl"]).y
    tensor([1, 0])
    """
    classes = tuple(str(c) for c in classes)
    if domain.y is None or domain.classes == classes:
        return replace(domain, classes=classes)
    at = {c: i for i, c in enumerate(classes)}
    unknown = [c for c, count in domain.counts().items() if count and c not in at]
    if unknown:
        raise ValueError(
            f"domain {domain.name!r} has examples of {listed(unknown)}, "
            f"outside the classes {listed(classes) if classes else '(none given)'}"
        )
    lookup = torch.tensor([at.get(c, -1) for c in domain.classes], device=domain.y.device)
    return replace(domain, y=lookup[domain.y], classes=classes)


def align_classes(source: Domain, target: Domain) -> tuple[Domain, Domain]:
    """Both domains with one list of classes: the source's, matched by name.

    The target may hold fewer classes than the source. A domain without class names takes those of the other.

    Parameters
    ----------
    source, target : Domain

    Returns
    -------
    source, target : Domain

    Raises
    ------
    ValueError
        If the target has examples of a class that the source does not know.

    Examples
    --------
    >>> s = Domain("s", torch.zeros(2, 1), torch.tensor([0, 1]), ("cat", "dog"))
    >>> t = Domain("t", torch.zeros(1, 1), torch.tensor([0]), ("dog",))
    >>> align_classes(s, t)[1].counts()
    {'cat': 0, 'dog': 1}
    """
    if not source.classes and source.y is None:
        return replace(source, classes=target.classes), target
    known = set(source.classes)
    unknown = [c for c, count in target.counts().items() if count and c not in known]
    if unknown:
        several = len(unknown) > 1
        raise ValueError(
            f"target {target.name!r} has the class{'es' if several else ''} {listed(unknown)}, unknown to "
            f"source {source.name!r} with {listed(source.classes)}"
        )
    return source, with_classes(target, source.classes)


def check_same_shape(source: Domain, target: Domain) -> None:
    """Refuse two domains whose examples differ in shape.

    Parameters
    ----------
    source, target : Domain

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if source.shape != target.shape:
        raise ValueError(
            f"source {source.name!r} has examples of shape {source.shape} but target {target.name!r} of "
            f"shape {target.shape}; both need the same features"
        )
