"""A task: which examples train, which adapt, and which only judge."""

from __future__ import annotations

from dataclasses import dataclass

from dakit.domains import Domain, align_classes


@dataclass(frozen=True)
class Task:
    """One adaptation problem with its held-out parts.

    Attributes
    ----------
    source : Domain
        Labelled; trains the classifier.
    source_test : Domain
        Labelled; never trained on.
    target : Domain
        Seen by the method without its labels. Only the bound ``oracle`` reads them.
    target_test : Domain
        Never seen by any method: target accuracy and shift are measured here.
    """

    source: Domain
    source_test: Domain
    target: Domain
    target_test: Domain

    @property
    def name(self) -> str:
        return f"{self.source.name} → {self.target.name}"


def make_task(
    source: Domain, target: Domain, *, source_holdout: float = 0.2, target_holdout: float = 0.5, seed: int = 0
) -> Task:
    """Hold out part of each domain: of the source class by class, of the target without a look at its labels.

    Parameters
    ----------
    source : Domain
        Labelled.
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
