"""``Domain`` and ``DomainSet``: what shifts.

A domain is a sample from one distribution: inputs ``x``, perhaps labels ``y``, the names of the classes, and
columns of facts about each example. Everything in dakit takes domains and gives domains back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Domain:
    """A sample from one distribution.

    Parameters
    ----------
    name : str
        What the domain is called in tables and pictures, for example ``"noto"``.
    x : Tensor of shape (n, ...)
        Inputs. Images are float32 in [0, 1] with shape (n, channels, height, width); flat features are
        float32 with shape (n, d); series are float32 with shape (n, channels, time).
    y : Tensor of shape (n,), int64, or None
        Class index of each example, ``0 .. len(classes) - 1``; None where labels are unknown.
    classes : tuple of str
        Names of the classes, in index order.
    meta : mapping of str to array of shape (n,)
        Facts about each example, for example ``concept`` or ``writer``. Never read by training.
    features : tuple of str
        Names of the features of flat examples, or of the channels of a series; empty where they have none.

    Raises
    ------
    ValueError
        If the domain is empty, lengths disagree, labels fall outside ``classes``, ``features`` has another
        length than the examples, or ``x`` has NaN or infinite values.
    TypeError
        If ``x`` is not a floating-point tensor or ``y`` is not an integer tensor.

    Examples
    --------
    >>> d = Domain("toy", torch.zeros(3, 2), torch.tensor([0, 1, 1]), ("cat", "dog"))
    >>> d
    Domain 'toy': 3 examples, flat (2,), cat 1, dog 2
    >>> d.unlabeled().y is None
    True
    """

    name: str
    x: Tensor
    y: Tensor | None = None
    classes: tuple[str, ...] = ()
    meta: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise TypeError(
                f"domain {self.name!r}: x must be a floating-point tensor; from_arrays converts arrays"
            )
        if x.ndim < 2:
            raise ValueError(
                f"domain {self.name!r}: x must have shape (n, ...) with at least 2 axes, got {tuple(x.shape)}"
            )
        if len(x) == 0:
            raise ValueError(f"domain {self.name!r} is empty; it needs at least one example")
        bad = len(x) - int(torch.isfinite(x.flatten(1)).all(dim=1).sum())
        if bad:
            raise ValueError(
                f"domain {self.name!r}: {bad} of {len(x)} examples hold NaN or infinite values; drop or fill them first"
            )
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        object.__setattr__(self, "meta", {str(k): np.asarray(v) for k, v in self.meta.items()})
        object.__setattr__(self, "features", tuple(str(f) for f in self.features))
        if self.features and (x.ndim > 3 or len(self.features) != x.shape[1]):
            raise ValueError(
                f"domain {self.name!r}: {len(self.features)} feature names do not fit examples of shape "
                f"{tuple(x.shape[1:])}; give one for each feature, or channel of a series"
            )
        if y is not None:
            if not isinstance(y, Tensor) or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
                raise TypeError(
                    f"domain {self.name!r}: y must be an integer tensor of class indices; from_arrays converts names"
                )
            if y.shape != x.shape[:1]:
                raise ValueError(
                    f"domain {self.name!r}: y must have shape ({len(x)},), one entry per example, not {tuple(y.shape)}"
                )
            if int(y.min()) < 0 or int(y.max()) >= len(self.classes):
                raise ValueError(
                    f"domain {self.name!r}: labels run from {int(y.min())} to {int(y.max())}, "
                    f"but {len(self.classes)} class names allow 0 to {len(self.classes) - 1}"
                )
            object.__setattr__(self, "y", y.to(torch.int64))
        for key, column in self.meta.items():
            if len(column) != len(x):
                raise ValueError(
                    f"domain {self.name!r}: meta column {key!r} has {len(column)} entries for {len(x)} examples"
                )

    # -- what it is -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.x.shape[1:])

    @property
    def kind(self) -> str:
        """``"flat"``, ``"series"`` or ``"image"``, told from the number of axes (2, 3 or 4)."""
        return {2: "flat", 3: "series", 4: "image"}.get(self.x.ndim, f"{self.x.ndim}-d")

    @property
    def labeled(self) -> bool:
        return self.y is not None

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def counts(self) -> dict[str, int]:
        """Number of examples of each class; empty where labels are unknown."""
        if self.y is None:
            return {}
        counted = torch.bincount(self.y, minlength=self.num_classes).tolist()
        return dict(zip(self.classes, counted))

    def __repr__(self) -> str:
        labels = ", ".join(f"{c} {n}" for c, n in self.counts().items()) or "no labels"
        return f"Domain {self.name!r}: {len(self)} examples, {self.kind} {self.shape}, {labels}"

    def _repr_html_(self) -> str:
        from dakit.domains.display import domain_html

        return domain_html(self)

    # -- what one makes of it -------------------------------------------------------------------------------

    def unlabeled(self) -> Domain:
        """The same examples without their labels."""
        return replace(self, y=None)

    def subset(self, index: Any, name: str | None = None) -> Domain:
        """The examples at ``index`` (integers, a boolean mask, or a slice), in that order."""
        if isinstance(index, slice):
            index = np.arange(len(self))[index]
        rows = np.asarray(index.cpu() if isinstance(index, Tensor) else index)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise ValueError(f"a boolean mask needs one entry per example: {len(self)}, got {rows.shape}")
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        at = torch.from_numpy(rows).to(self.x.device)
        return replace(
            self,
            name=self.name if name is None else name,
            x=self.x[at],
            y=None if self.y is None else self.y[at],
            meta={k: v[rows] for k, v in self.meta.items()},
        )

    def split(self, fraction: float = 0.5, seed: int = 0, *, stratify: bool = True) -> tuple[Domain, Domain]:
        """Cut the domain in two at random: the first part holds ``fraction`` of the examples.

        Parameters
        ----------
        fraction : float in (0, 1)
        seed : int
        stratify : bool
            Cut labelled domains class by class, so that both parts keep the class proportions. With False the
            labels do not influence which example goes where.

        Raises
        ------
        ValueError
            If ``fraction`` is outside (0, 1) or a part would be empty.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must lie strictly between 0 and 1, got {fraction}")
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self))
        cut = min(len(self) - 1, max(1, round(fraction * len(self))))
        if len(self) < 2:
            raise ValueError(
                f"domain {self.name!r} holds one example and cannot be split; it needs at least two"
            )
        if stratify and self.y is not None:
            # Sort the shuffled examples by their relative rank inside their class: a cut then takes the same
            # share of every class, to within one example.
            labels = self.y.cpu().numpy()[order]
            rank = np.empty(len(self))
            for c in np.unique(labels):
                at = np.flatnonzero(labels == c)
                rank[at] = (np.arange(len(at)) + rng.random()) / len(at)
            order = order[np.argsort(rank, kind="stable")]
        return self.subset(np.sort(order[:cut])), self.subset(np.sort(order[cut:]))

    def to(self, device: str | torch.device) -> Domain:
        """The same domain with its tensors on ``device``."""
        return replace(self, x=self.x.to(device), y=None if self.y is None else self.y.to(device))


class DomainSet(Mapping[str, Domain]):
    """An ordered mapping of names to domains that share their classes.

    Parameters
    ----------
    name : str
    domains : iterable of Domain
    card : str
        Where the data come from and under which licence, as text.

    Examples
    --------
    >>> a = Domain("a", torch.zeros(2, 1), torch.tensor([0, 1]), ("no", "yes"))
    >>> b = Domain("b", torch.ones(2, 1), torch.tensor([1, 0]), ("no", "yes"))
    >>> DomainSet("toy", [a, b]).names
    ('a', 'b')
    """

    def __init__(self, name: str, domains, card: str = "") -> None:
        self.name, self.card = name, card
        domains = list(domains)
        self._domains = {d.name: d for d in domains}
        if not domains:
            raise ValueError(f"domain set {name!r} needs at least one domain")
        if len(self._domains) < len(domains):
            twice = next(d.name for i, d in enumerate(domains) if d.name in [e.name for e in domains[:i]])
            raise ValueError(f"domain set {name!r} has two domains called {twice!r}; names must differ")
        first = next(iter(self._domains.values()))
        for d in self._domains.values():
            if d.classes != first.classes:
                raise ValueError(
                    f"domains of a set share their classes: {first.name!r} has {list(first.classes)}, "
                    f"{d.name!r} has {list(d.classes)}"
                )
        self.classes = first.classes

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._domains)

    def __getitem__(self, name: str) -> Domain:
        try:
            return self._domains[name]
        except KeyError:
            raise KeyError(f"{self.name!r} has no domain {name!r}; it has {', '.join(self.names)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._domains)

    def __len__(self) -> int:
        return len(self._domains)

    def __repr__(self) -> str:
        return "\n".join(
            [f"DomainSet {self.name!r} of {len(self)} domains", *(f"  {d!r}" for d in self.values())]
        )

    def _repr_html_(self) -> str:
        from dakit.domains.display import set_html

        return set_html(self)

    def pair(
        self, source: str, target: str, *, paired: bool = False, seed: int = 0, fraction: float = 0.5
    ) -> tuple[Domain, Domain]:
        """A source and a target domain, ready for adaptation.

        Where the domains draw the same things (their ``meta`` has a ``concept`` column), the default keeps the
        concepts apart: ``fraction`` of them, class by class, go to the source and the others to the target, so
        that nothing is recognised merely because it was seen in another style.

        Parameters
        ----------
        source, target : str
            Names of domains of this set.
        paired : bool
            Give both domains the concepts that they share, row by row in the same order.
        seed : int
            Which random partition of the concepts.
        fraction : float in (0, 1)
            Share of the concepts that go to the source.

        Returns
        -------
        source, target : Domain
        """
        s, t = self[source], self[target]
        if "concept" not in s.meta or "concept" not in t.meta:
            if paired:
                raise ValueError(
                    f"{self.name!r} has no concepts shared between domains, so it cannot be paired"
                )
            return s, t
        cs, ct = s.meta["concept"], t.meta["concept"]
        if paired:
            shared = np.intersect1d(cs, ct)
            return s.subset(_rows_of(cs, shared)), t.subset(_rows_of(ct, shared))
        everything = np.concatenate([cs, ct])
        concepts, first = np.unique(everything, return_index=True)
        labels = torch.cat([_labels(s), _labels(t)]).cpu()[torch.from_numpy(first)]
        of_concepts = Domain("concepts", torch.zeros(len(concepts), 1), labels, self.classes)
        chosen = Domain.split(replace(of_concepts, meta={"concept": concepts}), fraction, seed)[0].meta[
            "concept"
        ]
        return s.subset(np.isin(cs, chosen)), t.subset(~np.isin(ct, chosen))


def _labels(domain: Domain) -> Tensor:
    return torch.zeros(len(domain), dtype=torch.int64) if domain.y is None else domain.y


def _rows_of(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    """First row of ``column`` that holds each of ``values``."""
    order = np.argsort(column, kind="stable")
    return order[np.searchsorted(column[order], values)]
