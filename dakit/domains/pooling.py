"""Several domains as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from dakit.domains.domain import Domain


def pool(domains: Iterable[Domain] | Mapping[str, Domain], name: str | None = None) -> Domain:
    """The examples of several domains in one, in order; a single domain is returned as it is.

    Parameters
    ----------
    domains : iterable of Domain, or DomainSet
        With one list of classes and examples of one shape. Either all have labels or none.
    name : str, optional
        By default the names joined by " + ".

    Returns
    -------
    Domain
        With the meta column ``domain``, the name of the domain that each example comes from, and the columns that all
        domains share.

    Raises
    ------
    ValueError
        If there is no domain, or classes, shapes or presence of labels disagree.

    Examples
    --------
    >>> a = Domain("a", torch.zeros(2, 1), torch.tensor([0, 1]), ("no", "yes"))
    >>> b = Domain("b", torch.ones(1, 1), torch.tensor([1]), ("no", "yes"))
    >>> pool([a, b])
    Domain 'a + b': 3 examples, flat (1,), no 1, yes 2
    >>> pool([a, b]).meta["domain"].tolist()
    ['a', 'a', 'b']
    """
    parts = list(domains.values()) if isinstance(domains, Mapping) else list(domains)
    if not parts:
        raise ValueError("pool needs at least one domain")
    first = parts[0]
    if len(parts) == 1:
        return first
    for d in parts[1:]:
        if d.shape != first.shape:
            raise ValueError(
                f"domains to pool must have examples of one shape: {first.name!r} has {first.shape}, "
                f"{d.name!r} has {d.shape}"
            )
        if d.classes != first.classes:
            raise ValueError(
                f"domains to pool must share their classes: {first.name!r} has {list(first.classes)}, {d.name!r} has "
                f"{list(d.classes)}; domains.align_classes brings two domains to one list"
            )
        if d.labeled != first.labeled:
            with_, without = (first, d) if first.labeled else (d, first)
            raise ValueError(
                f"domain {with_.name!r} has labels and {without.name!r} has none; pool needs all or none"
            )
    shared = [k for k in first.meta if k != "domain" and all(k in d.meta for d in parts)]
    meta = {k: np.concatenate([d.meta[k] for d in parts]) for k in shared}
    meta["domain"] = np.repeat([d.name for d in parts], [len(d) for d in parts])
    return Domain(
        " + ".join(d.name for d in parts) if name is None else name,
        torch.cat([d.x for d in parts]),
        torch.cat([d.y for d in parts]) if first.labeled else None,
        first.classes,
        meta,
        first.features if all(d.features == first.features for d in parts) else (),
    )
