"""What ``fit`` refuses, each with its sentence."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
from torch import nn

from dakit.domains.domain import Domain
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


def are_domains(**values: Domain) -> None:
    for role, value in values.items():
        if not isinstance(value, Domain):
            raise TypeError(
                f"{role} must be a Domain, got {type(value).__name__}; domains.from_arrays makes one"
            )


def notes(source: Domain, target: Domain, batch_size: int) -> list[str]:
    """What was changed silently otherwise: batches clipped to a small domain."""
    short = [d for d in (source, target) if len(d) < batch_size]
    return [
        f"{d.name!r} has {len(d)} examples, so its batches hold {len(d)} instead of {batch_size}"
        for d in short
    ]


def seed_number(seed) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    return int(seed)


def domains(method: Method, source: Domain, target: Domain) -> tuple[Domain, Domain]:
    """The two domains as the method may see them."""
    if not method.needs_target_labels:
        target = target.unlabeled()
    elif target.y is None:
        raise ValueError(
            f"{type(method).__name__} is a bound that is trained on target labels, but target {target.name!r} has none"
        )
    if source.y is None:
        raise ValueError(
            f"source domain {source.name!r} has no labels; swap the domains, or pass labels to from_arrays"
        )
    if source.shape != target.shape:
        raise ValueError(
            f"examples disagree in shape: source {source.name!r} has {source.shape}, "
            f"target {target.name!r} has {target.shape}"
        )
    if target.classes and source.classes != target.classes:
        raise ValueError(
            f"classes disagree: source {source.name!r} has {list(source.classes)}, target {target.name!r} "
            f"{list(target.classes)}; domains.align_classes(source, target) brings them to one list"
        )
    if source.num_classes != method.num_classes:
        raise ValueError(
            f"the method has {method.num_classes} classes, source {source.name!r} has {source.num_classes}"
        )
    return source, target


def batch_norm(method: Method, source: Domain, target: Domain, batch_size: int) -> None:
    smallest = min(batch_size, len(source), len(target))
    if smallest == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in method.modules()):
        raise ValueError(
            "batch normalisation cannot learn from batches of one example: take batch_size of at least 2 and domains "
            "of at least 2 examples, or a backbone with another norm"
        )


def fingerprint(domain: Domain) -> dict:
    """Enough to notice that a run is resumed on other data; never looks at labels."""
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
