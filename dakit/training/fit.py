"""``fit``: one call from a method and two domains to a Run."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from dakit.training.progress import Progress
from dakit.training.run import Run, Runs, versions

log = logging.getLogger("dakit")

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda p: 1.0,
    "cosine": lambda p: 0.5 * (1 + math.cos(math.pi * p)),
    "dann": lambda p: (1 + 10 * p) ** -0.75,
}


def fit(
    method: Method | str | Callable[[int], Method],
    source: Domain | Mapping[str, Domain] | Sequence[Domain] | None,
    target: Domain | None,
    *,
    steps: int = 1000,
    batch_size: int = 64,
    lr: float = 0.01,
    optimizer: str = "sgd",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    schedule: str | Callable[[float], float] | None = None,
    augment: str | augmentations.Augment | None = None,
    seed: int = 0,
    seeds: int | Iterable[int] | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    memory_format: str = "auto",
    resident_gb: float | None = None,
    snapshots: int = 10,
    snapshot_size: int = 1000,
    log_every: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: Run | str | Path | None = None,
    progress: bool = True,
    on_snapshot: Callable[[Run], None] | None = None,
) -> Run | Runs:
    """Train a method on a labelled source and an unlabelled target.

    Target labels are never read: they are stripped before anything else happens, unless the method is a bound that says
    ``needs_target_labels``. The caller's random state is left as it was.

    Parameters
    ----------
    method : Method, str or callable
        A method, trained in place; a name from ``methods.names()``, built with its defaults; or a function
        ``seed -> Method``.
    source : Domain, DomainSet or sequence of Domain
        With labels. Several sources share their classes. None for methods that use no source.
    target : Domain
        Of the same shape and, where it names classes, the same classes. None for methods that use no target, such as
        ``source_only`` and those of domain generalization.
    steps : int
        Batches of each domain.
    batch_size : int
        Examples of each domain, also of each source, in a step; clipped to the size of the domain, which
        ``run.config["notes"]`` then says.
    lr : float
        Learning rate before the schedule.
    optimizer : {"sgd", "adam", "adamw"}
    momentum : float
        For ``"sgd"``.
    weight_decay : float
    schedule : str, callable or None
        ``"constant"``, ``"cosine"``, ``"dann"``, or a function of progress (0 to 1) that multiplies ``lr``.
        None takes the method's own.
    augment : str, callable or None
        ``"shift"``, ``"flip"``, ``"rotate"``, ``"zoom"`` joined by ``+``, or a function ``(x, generator) -> x``
        of a batch; applied to both domains.
    seed : int
        Of weights (unless ``method`` is a Method), batches, augmentation and dropout.
    seeds : int or iterable of int, optional
        Train several seeds one after another: a number K means ``seed, …, seed + K - 1``. Needs a name or a function.
    device : str or torch.device
        ``"auto"`` takes a GPU where there is one.
    precision : {"auto", "float32", "bf16", "fp16"}
        ``"auto"`` is mixed precision for pictures on a GPU, and on a CPU what a few trial steps show to be fastest
        there. Equal seeds give equal bits with ``"float32"`` on a CPU.
    memory_format : {"auto", "contiguous", "channels_last"}
    resident_gb : float, optional
        Domains up to this size live on the device, larger ones stream. Default: a quarter of the free memory of a
        GPU, 4 on a CPU.
    snapshots : int
        Moments at which features of both domains are kept, from step 0 to the last.
    snapshot_size : int
        Examples of each domain that are followed.
    log_every : int, optional
        Steps between rows of the history; a hundredth of ``steps`` by default.
    checkpoint : path, optional
        A folder in which the run is saved every ``checkpoint_every`` steps and at the end.
    checkpoint_every : int, optional
        A tenth of ``steps`` by default.
    resume : Run or path, optional
        An interrupted run, or a checkpoint, of the same settings: goes on from there, on a CPU to the same bits.
    progress : bool
        Show a bar in a terminal or a notebook.
    on_snapshot : callable, optional
        Called with the growing Run after every snapshot.

    Returns
    -------
    Run
        Or Runs, with ``seeds``. After a keyboard interrupt, the run so far: ``run.finished`` is False.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or the domains do not go together.
    NonFiniteLoss
        If a loss becomes NaN or infinite. The last checkpoint, if one was asked for, holds the run before that.
    MemoryError
        If the GPU's memory is not enough.

    Examples
    --------
    >>> x = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).repeat(20, 1)
    >>> source = Domain("left and right", x, torch.tensor([0, 1]).repeat(20), ("left", "right"))
    >>> run = fit("source_only", source, source.unlabeled(), steps=50, progress=False)
    >>> run.evaluate(source).accuracy
    1.0
    """
    if seeds is not None:
        settings = dict(locals())
        return _fit_seeds(*(settings.pop(k) for k in ("method", "source", "target", "seeds")), settings)
    numbers = {"steps": steps, "batch_size": batch_size, "snapshot_size": snapshot_size}
    checks.counts(**numbers, log_every=log_every, checkpoint_every=checkpoint_every)
    checks.rates(lr, momentum, weight_decay, snapshots)
    checks.words(optimizer, precision, memory_format)
    sources = checks.as_sources(source)
    if target is not None:
        checks.are_domains(target=target)
    seed, where, change = checks.seed_number(seed), pick_device(device), augmentations.resolve(augment)
    with _random_state_of(seed, where):
        method = _make(method, sources, seed)
        source, target = checks.domains(method, sources, target)
        used = [*(sources if method.uses_source else ()), *([target] if method.uses_target else ())]
        lead = source if source is not None else target
        checks.batch_norm(method, used, batch_size)
        if isinstance(augment, str) and lead.kind != "image":
            raise ValueError(
                f"augment={augment!r} needs pictures (n, c, h, w), but the source is {lead.kind}"
            )
        config = {
            "method": methods.spec(method),
            "source": checks.fingerprint(source),
            "target": checks.fingerprint(target),
            "classes": _class_names(method, lead),
            **numbers,
            "lr": lr,
            "optimizer": optimizer,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "schedule": "the method's own" if schedule is None else _name(schedule),
            "augment": _name(augment),
            "snapshots": snapshots,
            "log_every": log_every or max(1, steps // 100),
        }
        before = checks.earlier(resume, config, seed, method)
        if before is not None and before.finished:
            return before
        factor = _schedule(schedule, method)
        budget = _resident_bytes(resident_gb, where)
        common = {"device": where, "augment": change, "resident_bytes": budget}
        try:
            method.to(where).train()
            batches = _batches(method, sources, target, batch_size, seed, **common)
            if before is None:
                tries = [b.sample() for b in batches]
                choice = choose(
                    method,
                    *tries,
                    precision=precision,
                    memory_format=memory_format,
                    steps=steps,
                    domains=(source, target),
                )
                config |= {
                    "device": str(where),
                    **choice.as_dict(),
                    "notes": checks.notes(used, batch_size),
                }
                followed = (
                    _followed(source, snapshot_size, seed, 2),
                    _followed(target, snapshot_size, seed, 3),
                )
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
            loop = Loop(
                run, source, target, batches, factor=factor, device=where, scaler=choice.precision == "fp16"
            )
            if run.state is not None:
                loop.restore(run.state)
                run.state = None
            with Progress(f"{run.name}, seed {seed}", steps, show=progress, start=run.step) as bar:
                loop.go(
                    on_step=lambda run: bar.update(run.step),
                    on_snapshot=on_snapshot,
                    checkpoint=checkpoint,
                    checkpoint_every=checkpoint_every or max(1, steps // 10),
                )
        except torch.OutOfMemoryError as error:
            raise MemoryError(
                f"{where} ran out of memory with {batch_size} examples of shape {lead.shape} from each domain: halve "
                "batch_size (and lr with it), set resident_gb=0 to stream the data, or take device='cpu'"
            ) from error
        finally:
            method.autocast_dtype = None
            method.to(memory_format=torch.contiguous_format)
    if not run.finished:
        log.warning("interrupted after step %d of %d; fit(…, resume=run) goes on from there", run.step, steps)
    return run


# -- several seeds ------------------------------------------------------------------------------------------------


def _fit_seeds(method, source, target, seeds: int | Iterable[int], settings: dict) -> Runs:
    if isinstance(method, Method):
        raise ValueError(
            "seeds= starts every seed from its own weights, so it needs a method's name or a function seed -> Method, "
            "not a method that is already built"
        )
    first, folder = settings.pop("seed"), settings.pop("checkpoint")
    if settings.pop("resume") is not None:
        raise ValueError("resume= goes on with one run; with seeds= resume the seeds one by one")
    if isinstance(seeds, (int, np.integer)) and not isinstance(seeds, bool):
        if seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {seeds}")
        seeds = range(first, first + int(seeds))
    runs = Runs()
    for seed in seeds:
        place = None if folder is None else Path(folder) / f"seed-{seed}"
        runs.append(fit(method, source, target, seed=seed, checkpoint=place, **settings))
        if not runs[-1].finished:
            break  # an interrupt ends the whole series
    if not runs:
        raise ValueError("seeds holds no seed")
    return runs


# -- small parts --------------------------------------------------------------------------------------------------


def _make(method: Method | str | Callable[[int], Method], sources: list[Domain], seed: int) -> Method:
    if isinstance(method, str):
        if not sources:
            raise ValueError(
                f"without a source there is nothing to build {method!r} from: pass a method with its weights, "
                "for example one built around a trained run's backbone"
            )
        return methods.build(method, sources, seed=seed)
    made = method if isinstance(method, Method) else method(seed) if callable(method) else None
    if not isinstance(made, Method):
        raise TypeError(
            f"method must be a Method, a name, or a function seed -> Method, got {type(made or method).__name__}"
        )
    return made


class _random_state_of:
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
