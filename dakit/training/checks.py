"""What ``fit`` refuses, each with its sentence."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from dakit.domains.domain import Domain
from dakit.domains.pooling import pool
from dakit.domains.private_classes import UNKNOWN
from dakit.methods.method import Method
from dakit.training.optimisers import NAMES as OPTIMISERS
from dakit.training.precision import LAYOUTS, PRECISIONS
from dakit.training.run import Run


def counts(**values: int | None) -> None:
    """Each must be a whole number of at least 1, or None."""
    for name, value in values.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def rates(lr: float, momentum: float, weight_decay: float, snapshots: int) -> None:
    if not lr > 0 or not math.isfinite(lr):
        raise ValueError(f"lr must be a positive number, got {lr!r}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must lie in [0, 1), got {momentum!r}")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay!r}")
    if not isinstance(snapshots, (int, np.integer)) or snapshots < 0:
        raise ValueError(f"snapshots must be a whole number of at least 0, got {snapshots!r}")


def words(optimizer: str, precision: str, memory_format: str) -> None:
    known = {"optimizer": OPTIMISERS, "precision": PRECISIONS, "memory_format": LAYOUTS}
    given = {"optimizer": optimizer, "precision": precision, "memory_format": memory_format}
    for name, value in given.items():
        if value not in known[name]:
            raise ValueError(f"{name} must be one of {', '.join(known[name])}, got {value!r}")


def as_sources(source) -> list[Domain]:
    """The source domains that were given: none, one, or several."""
    if source is None:
        return []
    if isinstance(source, Domain):
        return [source]
    if isinstance(source, Mapping):
        source = source.values()
    if not isinstance(source, Iterable) or isinstance(source, (str, bytes)):
        raise TypeError(
            f"source must be a Domain, a DomainSet or a list of Domains, got {type(source).__name__}; "
            "domains.from_arrays makes a Domain"
        )
    sources = list(source)
    are_domains(**{f"source {i}": d for i, d in enumerate(sources)})
    if not sources:
        raise ValueError("source holds no domain; give one Domain, or several in a list")
    return sources


def are_domains(**values: Domain) -> None:
    for role, value in values.items():
        if not isinstance(value, Domain):
            raise TypeError(
                f"{role} must be a Domain, got {type(value).__name__}; domains.from_arrays makes one"
            )


def notes(given: Sequence[Domain], batch_size: int) -> list[str]:
    """What was changed silently otherwise: batches clipped to a small domain."""
    return [
        f"{d.name!r} has {len(d)} examples, so its batches hold {len(d)} instead of {batch_size}"
        for d in given
        if len(d) < batch_size
    ]


def seed_number(seed) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    return int(seed)


def domains(
    method: Method, sources: Sequence[Domain], target: Domain | None
) -> tuple[Domain | None, Domain | None]:
    """The sources, pooled, and the target as the method may see them."""
    name = type(method).__name__
    if not sources and method.uses_source:
        raise ValueError(f"{name} learns from a labelled source, but source is None")
    if target is None and method.uses_target:
        raise ValueError(f"{name} adapts to a target, but target is None; its unlabelled examples are enough")
    if sources and len(sources) < method.min_sources:
        raise ValueError(
            f"{name} needs at least {method.min_sources} source domains, got {len(sources)}: pass a list of Domains "
            "or a DomainSet as source"
        )
    made_for = getattr(method, "num_sources", len(sources))
    if sources and made_for != len(sources):
        raise ValueError(
            f"this {name} was built for {made_for} source domains, got {len(sources)}; "
            "pass the same sources to methods.build and to fit"
        )
    for d in sources:
        if d.y is None:
            raise ValueError(
                f"source domain {d.name!r} has no labels; swap the domains, or pass labels to from_arrays"
            )
    source = pool(sources) if sources else None
    if target is not None:
        target = _as_seen(method, target)
    if source is not None and target is not None:
        _go_together(method, source, target)
    classes = source.classes if source is not None else target.classes
    if source is not None or classes:
        which = f"source {source.name!r}" if source is not None else f"target {target.name!r}"
        extra = source is None and method.open_set and classes[-1:] == (UNKNOWN,)
        if len(classes) - extra != method.num_classes:
            raise ValueError(f"the method has {method.num_classes} classes, {which} has {len(classes)}")
    return source, target


def _as_seen(method: Method, target: Domain) -> Domain:
    """Without labels, unless the method is a bound."""
    if not method.needs_target_labels:
        return target.unlabeled()
    if target.y is None:
        raise ValueError(
            f"{type(method).__name__} is a bound that is trained on target labels, but target {target.name!r} has none"
        )
    return target


def _go_together(method: Method, source: Domain, target: Domain) -> None:
    if source.shape != target.shape:
        raise ValueError(
            f"examples disagree in shape: source {source.name!r} has {source.shape}, "
            f"target {target.name!r} has {target.shape}"
        )
    allowed = (source.classes, source.classes + (UNKNOWN,) * method.open_set)
    if target.classes and target.classes not in allowed:
        raise ValueError(
            f"classes disagree: source {source.name!r} has {list(source.classes)}, target {target.name!r} "
            f"{list(target.classes)}; domains.align_classes(source, target) brings them to one list"
        )


def batch_norm(method: Method, given: Sequence[Domain], batch_size: int) -> None:
    """Batch normalisation needs two examples of each domain."""
    smallest = min(batch_size, *map(len, given))
    if smallest == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in method.modules()):
        raise ValueError(
            "batch normalisation cannot learn from batches of one example: take batch_size of at least 2 and domains "
            "of at least 2 examples, or a backbone with another norm"
        )


def fingerprint(domain: Domain | None) -> dict | None:
    """Enough to notice that a run is resumed on other data; never looks at labels."""
    if domain is None:
        return None
    rows = domain.x[:: max(1, len(domain) // 64)].detach().cpu().contiguous()
    digest = hashlib.sha256(rows.numpy().tobytes()).hexdigest()[:16]
    return {"name": domain.name, "n": len(domain), "shape": list(domain.shape), "sha256": digest}


def earlier(resume: Run | str | Path | None, config: dict, seed: int, method: Method) -> Run | None:
    """The run to go on with, its weights in ``method``, after checking that it had the same settings."""
    if resume is None:
        return None
    run = resume if isinstance(resume, Run) else Run.load(resume, method)
    for key, now in [*config.items(), ("seed", seed)]:
        then = run.seed if key == "seed" else run.config[key]
        if _plain(then) != _plain(now):
            raise ValueError(
                f"resume: the run was started with {key}={then!r}, this call has {key}={now!r}; use the same"
            )
    if not run.finished and run.state is None:
        raise ValueError("resume: this run was stopped without the state needed to go on; start it again")
    if run.finished and not isinstance(resume, Run):
        return run
    run.method = method if not run.finished else run.method
    return run


def _plain(value):
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))
