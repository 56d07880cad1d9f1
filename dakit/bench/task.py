"""A task: which examples train, which adapt, and which only judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dakit.domains import Domain, align_classes, pool


@dataclass(frozen=True)
class Task:
    """One adaptation problem with its held-out parts.

    Attributes
    ----------
    source : Domain
        Labelled; trains the classifier. Of several sources, all of them pooled.
    source_test : Domain
        Labelled; never trained on.
    target : Domain
        Seen by the method without its labels. Only the bound ``oracle`` reads them.
    target_test : Domain
        Never seen by any method: target accuracy and shift are measured here.
    sources : tuple of Domain
        Where there are several sources, the parts of ``source``: methods that tell them apart learn from these.
    """

    source: Domain
    source_test: Domain
    target: Domain
    target_test: Domain
    sources: tuple[Domain, ...] = ()

    @property
    def given(self) -> Domain | tuple[Domain, ...]:
        """What ``methods.build`` and ``fit`` get as their source."""
        return self.sources or self.source

    @property
    def name(self) -> str:
        return f"{self.source.name} → {self.target.name}"


def make_task(
    source: Domain | Sequence[Domain],
    target: Domain,
    *,
    source_holdout: float = 0.2,
    target_holdout: float = 0.5,
    seed: int = 0,
) -> Task:
    """Hold out part of each domain: of the source class by class, of the target without a look at its labels.

    Parameters
    ----------
    source : Domain or sequence of Domain
        Labelled. Several sources share their classes; a share of each is held out.
    target : Domain
        With or without labels.
    source_holdout, target_holdout : float in (0, 1)
        Shares that are kept from training.
    seed : int
        Which random split.

    Raises
    ------
    ValueError
        If the source has no labels or fewer than two classes, if the target holds a class that the source does not
        know, or if a domain is too small to split.
    """
    if not isinstance(source, Domain):
        return _of_several(list(source), target, source_holdout, target_holdout, seed)
    if not source.labeled:
        raise ValueError(f"the source {source.name!r} has no labels; adaptation needs a labelled source")
    present = [c for c, n in source.counts().items() if n]
    if len(present) < 2:
        raise ValueError(
            f"the source {source.name!r} holds one class only ({present[0]}); a classifier needs at least two"
        )
    for domain in (source, target):
        if len(domain) < 4:
            raise ValueError(
                f"domain {domain.name!r} holds {len(domain)} examples; at least 4 are needed to train and to judge"
            )
    if source.shape != target.shape:
        raise ValueError(
            f"source and target must have examples of one shape: {source.name!r} has {source.shape}, "
            f"{target.name!r} has {target.shape}"
        )
    source, target = align_classes(source, target)
    source_train, source_test = source.split(1 - source_holdout, seed)
    target_train, target_test = target.split(1 - target_holdout, seed, stratify=False)
    return Task(source_train, source_test, target_train, target_test)


def _of_several(
    sources: list[Domain], target: Domain, source_holdout: float, target_holdout: float, seed: int
) -> Task:
    holdouts = {"source_holdout": source_holdout, "target_holdout": target_holdout}
    if len(sources) == 1:
        return make_task(sources[0], target, **holdouts, seed=seed)
    pool(sources)  # tells what does not go together
    tasks = [make_task(s, target, **holdouts, seed=seed) for s in sources]
    parts = tuple(t.source for t in tasks)
    return Task(pool(parts), pool(t.source_test for t in tasks), tasks[0].target, tasks[0].target_test, parts)
