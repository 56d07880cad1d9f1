"""From the arguments of ``fit`` to a training that is ready to go."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dakit import methods
from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training import augment as augmentations
from dakit.training import checks
from dakit.training.batches import Batches, Nothing, Several
from dakit.training.loop import Loop
from dakit.training.precision import Choice, choose, pick_device
from dakit.training.run import Run, versions

log = logging.getLogger("dakit")

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda p: 1.0,
    "cosine": lambda p: 0.5 * (1 + math.cos(math.pi * p)),
    "dann": lambda p: (1 + 10 * p) ** -0.75,
}


@dataclass(frozen=True)
class Settings:
    """The arguments of :func:`fit` that are not about which method, which data and how many runs."""

    steps: int
    batch_size: int
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    schedule: str | Callable[[float], float] | None
    augment: str | augmentations.Augment | None
    seed: int
    device: str | torch.device
    precision: str
    memory_format: str
    resident_gb: float | None
    snapshots: int
    snapshot_size: int
    log_every: int | None
    checkpoint: str | Path | None
    checkpoint_every: int | None
    resume: Run | str | Path | None
    progress: bool
    on_snapshot: Callable[[Run], None] | None


def check(source, target, a: Settings) -> tuple[list[Domain], torch.device]:
    """Refuse what is wrong with the arguments themselves; the source domains and the device."""
    checks.counts(steps=a.steps, batch_size=a.batch_size, snapshot_size=a.snapshot_size)
    checks.counts(log_every=a.log_every, checkpoint_every=a.checkpoint_every)
    checks.rates(a.lr, a.momentum, a.weight_decay, a.snapshots)
    checks.words(a.optimizer, a.precision, a.memory_format)
    sources = checks.as_sources(source)
    if target is not None:
        checks.are_domains(target=target)
    checks.seed_number(a.seed)
    return sources, pick_device(a.device)


def start(
    method, sources: list[Domain], target: Domain | None, a: Settings, where: torch.device
) -> Loop | Run:
    """A training ready to go; or the run itself, where it is resumed and was finished before."""
    seed, change = int(a.seed), augmentations.resolve(a.augment)
    method = make(method, sources, seed)
    source, target = checks.domains(method, sources, target)
    used = [*(sources if method.uses_source else ()), *([target] if method.uses_target else ())]
    lead = source if source is not None else target
    checks.batch_norm(method, used, a.batch_size)
    if isinstance(a.augment, str) and lead.kind != "image":
        raise ValueError(f"augment={a.augment!r} needs pictures (n, c, h, w), but the source is {lead.kind}")
    config = {
        "method": methods.spec(method),
        "source": checks.fingerprint(source),
        "target": checks.fingerprint(target),
        "classes": _class_names(method, lead),
        "steps": a.steps,
        "batch_size": a.batch_size,
        "snapshot_size": a.snapshot_size,
        "lr": a.lr,
        "optimizer": a.optimizer,
        "momentum": a.momentum,
        "weight_decay": a.weight_decay,
        "schedule": "the method's own" if a.schedule is None else _name(a.schedule),
        "augment": _name(a.augment),
        "snapshots": a.snapshots,
        "log_every": a.log_every or max(1, a.steps // 100),
    }
    before = checks.earlier(a.resume, config, seed, method)
    if before is not None and before.finished:
        return before
    factor = _schedule(a.schedule, method)
    common = {"device": where, "augment": change, "resident_bytes": _resident_bytes(a.resident_gb, where)}
    with memory_advice(a, lead.shape):
        method.to(where).train()
        batches = _batches(method, sources, target, a.batch_size, seed, **common)
        if before is None:
            method.begin()
            tries = [b.sample() for b in batches]
            open_ = {"precision": a.precision, "memory_format": a.memory_format, "steps": a.steps}
            choice = choose(method, *tries, **open_, domains=(source, target))
            config |= {"device": str(where), **choice.as_dict(), "notes": checks.notes(used, a.batch_size)}
            followed = (_followed(d, a.snapshot_size, seed, 2 + i) for i, d in enumerate((source, target)))
            run = Run(method, config, seed, versions(where), *followed)
        else:
            run, choice = before, Choice(before.config["precision"], before.config["memory_format"])
        for note in run.config["notes"]:
            log.info(note)
        if choice.memory_format == "channels_last":
            for b in batches:
                b.to_channels_last()
        method.to(memory_format=choice.layout)
        method.autocast_dtype = choice.dtype
        fp16 = choice.precision == "fp16"
        loop = Loop(run, source, target, batches, factor=factor, device=where, scaler=fp16)
        if run.state is not None:
            loop.restore(run.state)
            run.state = None
    return loop


@contextmanager
def memory_advice(a: Settings, shape: tuple[int, ...]) -> Iterator[None]:
    """Say what to do where a GPU's memory is not enough."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"the GPU ran out of memory with {a.batch_size} examples of shape {shape} from each domain: halve "
            "batch_size (and lr with it), set resident_gb=0 to stream the data, or take device='cpu'"
        ) from error


def leave(loop: Loop) -> None:
    """What a method should not keep of its training."""
    loop.method.autocast_dtype = None
    loop.method.to(memory_format=torch.contiguous_format)
    run = loop.run
    if not run.finished:
        log.warning(
            "interrupted after step %d of %d; fit(…, resume=run) goes on from there",
            run.step,
            run.config["steps"],
        )


def label(run: Run) -> str:
    return f"{run.name}, seed {run.seed}"


@dataclass(frozen=True)
class Maker:
    """A name, or a function of the seed, and the hyper-parameters of one run of a series."""

    method: str | Callable[..., Method]
    hyperparameters: dict


# -- small parts --------------------------------------------------------------------------------------------------


def make(method: Method | str | Callable[[int], Method] | Maker, sources: list[Domain], seed: int) -> Method:
    extra = {}
    if isinstance(method, Maker):
        method, extra = method.method, method.hyperparameters
    if isinstance(method, str):
        if not sources:
            raise ValueError(
                f"without a source there is nothing to build {method!r} from: pass a method with its weights, "
                "for example one built around a trained run's backbone"
            )
        return methods.build(method, sources, seed=seed, **extra)
    made = method if isinstance(method, Method) else method(seed, **extra) if callable(method) else None
    if not isinstance(made, Method):
        raise TypeError(
            f"method must be a Method, a name, or a function seed -> Method, got {type(made or method).__name__}"
        )
    return made


class random_state_of:
    """torch's global random state seeded inside, the caller's restored after."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.fork = seed, torch.random.fork_rng([device] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self.fork.__enter__()
        torch.manual_seed(self.seed)

    def __exit__(self, *error) -> None:
        self.fork.__exit__(*error)


def _stream(seed: int, number: int) -> int:
    """A seed for one of a run's independent streams of random numbers."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _batches(
    method: Method, sources: list[Domain], target: Domain | None, batch_size: int, seed: int, **common
) -> tuple[Batches | Several | Nothing, Batches | Nothing]:
    """What the method is fed with; :class:`Nothing` for a domain that it does not use."""
    of_target = (
        Batches(target, batch_size, role=1, seed=_stream(seed, 1), **common)
        if method.uses_target
        else Nothing()
    )
    if not method.uses_source:
        return Nothing(), of_target
    if len(sources) == 1:
        return Batches(sources[0], batch_size, role=0, seed=_stream(seed, 0), **common), of_target
    feeds = [
        Batches(d, batch_size, role=0, seed=_stream(seed, 10 + i), **common) for i, d in enumerate(sources)
    ]
    return Several(feeds, [len(d) for d in sources]), of_target


def _class_names(method: Method, domain: Domain) -> list[str]:
    """Names of what the head tells apart; numbered where only an unlabelled target without names was given."""
    names = list(domain.classes)[: method.num_classes]
    return names or [f"class {i}" for i in range(method.num_classes)]


def _followed(domain: Domain | None, size: int, seed: int, number: int) -> np.ndarray:
    """Which examples the snapshots follow."""
    if domain is None:
        return np.arange(0)
    if len(domain) <= size:
        return np.arange(len(domain))
    return np.sort(np.random.default_rng(_stream(seed, number)).choice(len(domain), size, replace=False))


def _schedule(schedule, method: Method) -> Callable[[float], float]:
    if schedule is None:
        return method.lr_factor
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise ValueError(
            f"unknown schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}, or pass a function of progress"
        )
    return SCHEDULES[schedule]


def _name(thing) -> str | None:
    return (
        thing
        if thing is None or isinstance(thing, str)
        else getattr(thing, "__qualname__", type(thing).__name__)
    )


def _resident_bytes(resident_gb: float | None, device: torch.device) -> int:
    if resident_gb is None:
        return torch.cuda.mem_get_info(device)[0] // 4 if device.type == "cuda" else 4 * 2**30
    return int(resident_gb * 2**30)
