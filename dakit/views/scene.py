"""What a picture of feature space is made of: examples of some domains, seen at some steps of training.

Runs, snapshots, domains and plain arrays all become one :class:`Scene`; stills, HTML and widgets draw from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dakit.views.neighbours import domain_mixing


@dataclass(frozen=True)
class Scene:
    """The same n examples at S moments.

    Attributes
    ----------
    domains : tuple of str
        Names; the first is the source.
    domain : int array of shape (n,)
        Which domain each example is from.
    labels : int array of shape (n,)
        Class index, -1 where unknown.
    classes : tuple of str
    steps : tuple of int or None, length S
        Training step of each snapshot; None where there is no training time.
    features : tuple of S float32 arrays of shape (n, d)
    predictions : tuple of S int arrays of shape (n,), or of None
    meta : dict of str to arrays of shape (n,)
        Further facts, one column each.
    """

    domains: tuple[str, ...]
    domain: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    steps: tuple[int | None, ...]
    features: tuple[np.ndarray, ...]
    predictions: tuple[np.ndarray | None, ...]
    meta: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.domain)

    @property
    def labeled(self) -> bool:
        return bool((self.labels >= 0).any())

    def class_name(self, index: int) -> str:
        return "no label" if index < 0 else self.classes[index]

    def counts(self) -> list[int]:
        """Number of examples of each domain."""
        return np.bincount(self.domain, minlength=len(self.domains)).tolist()

    def subset(self, rows: np.ndarray) -> "Scene":
        """The examples at ``rows``."""
        return replace(
            self,
            domain=self.domain[rows],
            labels=self.labels[rows],
            features=tuple(f[rows] for f in self.features),
            predictions=tuple(None if p is None else p[rows] for p in self.predictions),
            meta={k: v[rows] for k, v in self.meta.items()},
        )

    def thin(self, most: int, seed: int = 0) -> "Scene":
        """At most ``most`` examples, each domain in its proportion, drawn at random."""
        if most < 2:
            raise ValueError(f"max_points must be at least 2, got {most}")
        if len(self) <= most:
            return self
        rng = np.random.default_rng(seed)
        kept = []
        for d, n in enumerate(self.counts()):
            share = min(n, max(1, round(most * n / len(self))))
            kept.append(rng.choice(np.flatnonzero(self.domain == d), share, replace=False))
        return self.subset(np.sort(np.concatenate(kept)))

    def at(self, *snapshots: int) -> "Scene":
        """The scene at some of its snapshots only."""
        return replace(
            self,
            steps=tuple(self.steps[s] for s in snapshots),
            features=tuple(self.features[s] for s in snapshots),
            predictions=tuple(self.predictions[s] for s in snapshots),
        )

    def accuracy(self, snapshot: int, domain: int) -> float | None:
        """Share of a domain's labelled examples that are predicted right; None without labels or predictions."""
        predicted = self.predictions[snapshot]
        rows = (self.domain == domain) & (self.labels >= 0)
        if predicted is None or not rows.any():
            return None
        return float((predicted[rows] == self.labels[rows]).mean())

    def mixing(self, snapshot: int) -> float | None:
        """:func:`~dakit.views.neighbours.domain_mixing` in feature space; None for one domain."""
        if len(self.domains) < 2 or len(self) < 3:
            return None
        return domain_mixing(self.features[snapshot], self.domain)


def scene(*data: Any, ys=None, yt=None, classes=None, names=None) -> Scene:
    """Make a :class:`Scene` from what people hold in hand.

    Parameters
    ----------
    *data
        One of: a run or a list of its snapshots; the same followed by the source and target Domains it was
        trained on (labels, names and classes are taken from them); a source and a target, each a Domain or an
        array of shape (n, ...); a mapping of names to Domains or arrays (any number of domains).
    ys, yt : array of shape (n,), optional
        Class indices (or names) of the source and target examples: of the snapshot rows
        (``source.y[run.source_index]``) for runs. -1 stands for unknown.
    classes : sequence of str, optional
    names : (str, str), optional
        What to call source and target.

    Raises
    ------
    TypeError
        If the data are none of these.
    ValueError
        If labels and examples do not match in number.
    """
    if len(data) == 1 and isinstance(data[0], Mapping):
        return _of_domains(dict(data[0]), [], classes)
    shots = _snapshots(data[0]) if data else None
    if shots is not None:
        if len(data) not in (1, 3):
            raise TypeError(
                "a run is shown alone or with the two domains it was trained on: (run) or (run, source, target)"
            )
        return _of_snapshots(shots, data[0], data[1:], ys, yt, classes, names)
    if len(data) != 2:
        raise TypeError(
            "expected a run, its snapshots, a source and a target (Domains or arrays), or a mapping of names to them"
        )
    domain_names = names or tuple(getattr(d, "name", w) for d, w in zip(data, ("source", "target")))
    if domain_names[0] == domain_names[1]:
        domain_names = (f"{domain_names[0]} (source)", f"{domain_names[1]} (target)")
    return _of_domains(dict(zip(domain_names, data)), [ys, yt], classes)


def _snapshots(data: Any) -> list[Any] | None:
    """The snapshots of a run, a list of snapshots as it is, one snapshot as a list; None for anything else."""
    shots = getattr(data, "snapshots", data)
    if hasattr(shots, "source_features"):
        shots = [shots]
    if not isinstance(shots, list | tuple) or (len(shots) and not hasattr(shots[0], "source_features")):
        return None
    if not shots:
        raise ValueError("there are no snapshots to show; train with snapshots=10 or so")
    return list(shots)


def _of_snapshots(shots, run, domains, ys, yt, classes, names) -> Scene:
    first = shots[0]
    ns, nt = len(first.source_features), len(first.target_features)
    if any((len(s.source_features), len(s.target_features)) != (ns, nt) for s in shots):
        raise ValueError("all snapshots must hold the same examples, but their numbers differ")
    meta: dict[str, np.ndarray] = {}
    if domains:
        source, target = domains
        index = [getattr(run, "source_index", None), getattr(run, "target_index", None)]
        if index[0] is None or index[1] is None:
            raise TypeError(
                "domains can be given beside a run only; snapshots do not know which rows they hold: pass ys and yt"
            )
        rows = [np.asarray(i) for i in index]
        ys = ys if ys is not None or source.y is None else _array(source.y)[rows[0]]
        yt = yt if yt is not None or target.y is None else _array(target.y)[rows[1]]
        classes = classes or source.classes
        names = names or (source.name, target.name)
        meta["row"] = np.concatenate(rows)
    names = tuple(str(n) for n in (names or ("source", "target")))
    parts = [_labels(ys, ns, names[0], classes), _labels(yt, nt, names[1], classes)]
    labels, classes = _one_class_list(parts, classes)
    logits = [(getattr(s, "source_logits", None), getattr(s, "target_logits", None)) for s in shots]
    predictions = tuple(
        None if a is None or b is None else np.concatenate([_array(a), _array(b)]).argmax(1)
        for a, b in logits
    )
    most = max((int(p.max()) + 1 for p in predictions if p is not None), default=0)
    return Scene(
        domains=names,
        domain=np.repeat([0, 1], [ns, nt]),
        labels=labels,
        classes=_enough(classes, max(most, int(labels.max(initial=-1)) + 1)),
        steps=tuple(getattr(s, "step", None) for s in shots),
        features=tuple(np.concatenate([_flat(s.source_features), _flat(s.target_features)]) for s in shots),
        predictions=predictions,
        meta=meta,
    )


def _of_domains(domains: dict[str, Any], given: list[Any], classes) -> Scene:
    if not domains:
        raise ValueError("there are no domains to show: the mapping is empty")
    values = list(domains.values())
    given = given + [None] * (len(values) - len(given))
    xs = [_flat(getattr(d, "x", d)) for d in values]
    if len({x.shape[1] for x in xs}) > 1:
        widths = ", ".join(f"{name} {x.shape[1]}" for name, x in zip(domains, xs))
        raise ValueError(f"domains must have the same number of features to be shown together, got {widths}")
    classes = classes or next((d.classes for d in values if getattr(d, "classes", ())), None)
    ys = [y if y is not None else getattr(d, "y", None) for y, d in zip(given, values)]
    parts = [_labels(y, len(x), name, classes) for y, x, name in zip(ys, xs, domains)]
    labels, classes = _one_class_list(parts, classes)
    return Scene(
        domains=tuple(str(n) for n in domains),
        domain=np.repeat(np.arange(len(xs)), [len(x) for x in xs]),
        labels=labels,
        classes=_enough(classes, int(labels.max(initial=-1)) + 1),
        steps=(None,),
        features=(np.concatenate(xs),),
        predictions=(None,),
    )


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _flat(values: Any) -> np.ndarray:
    x = _array(values)
    if x.ndim < 2 or not np.issubdtype(x.dtype, np.number):
        raise TypeError(f"features must be a numeric array of shape (n, d), got shape {x.shape} of {x.dtype}")
    return x.reshape(len(x), -1).astype(np.float32, copy=False)


def _labels(y: Any, n: int, name: str, classes) -> np.ndarray:
    """Labels of one domain as indices, or as names where they were given so and no class list is known."""
    if y is None:
        return np.full(n, -1)
    y = _array(y)
    if y.shape != (n,):
        raise ValueError(f"{name}: {n} examples need labels of shape ({n},), got {y.shape}")
    if y.dtype.kind in "iub":
        return y.astype(np.int64)
    if y.dtype.kind == "f":
        raise ValueError(f"{name}: labels must be class indices or names, got {y.dtype}")
    y = y.astype(str)
    if classes is None:
        return y
    known = {str(c): i for i, c in enumerate(classes)}
    unknown = sorted(set(y.tolist()) - set(known))
    if unknown:
        raise ValueError(f"{name}: the label {unknown[0]!r} is not among the classes")
    return np.array([known[c] for c in y])


def _one_class_list(parts: list[np.ndarray], classes) -> tuple[np.ndarray, tuple[str, ...] | None]:
    if not any(p.dtype.kind == "U" for p in parts):
        return np.concatenate(parts), classes
    named = sorted({c for p in parts if p.dtype.kind == "U" for c in p.tolist()})
    at = {c: i for i, c in enumerate(named)}
    return np.concatenate([[at[c] for c in p] if p.dtype.kind == "U" else p for p in parts]), tuple(named)


def _enough(classes, most: int) -> tuple[str, ...]:
    if classes is None:
        return tuple(f"class {i}" for i in range(most))
    if len(classes) < most:
        raise ValueError(
            f"labels and predictions run to {most - 1}, but there are only {len(classes)} class names"
        )
    return tuple(str(c) for c in classes)
