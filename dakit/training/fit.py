"""``fit``: one call from a method and two domains to a Run."""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dakit import methods
from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training import augment as augmentations
from dakit.training import optimisers
from dakit.training.batches import Batches
from dakit.training.loop import Loop
from dakit.training.precision import Choice, choose, pick_device
from dakit.training.precision import check as check_precision
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
    source: Domain,
    target: Domain,
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
    source : Domain
        With labels.
    target : Domain
        Of the same shape and, where it names classes, the same classes.
    steps : int
        Batches of each domain.
    batch_size : int
        Examples of each domain in a step; clipped to the size of the domain, which ``run.config["notes"]`` then says.
    lr : float
        Learning rate before the schedule.
    optimizer : {"sgd", "adam", "adamw"}
    momentum : float
        For ``"sgd"``.
    weight_decay : float
    schedule : str, callable or None
        ``"constant"``, ``"cosine"``, ``"dann"``, or a function of progress (0 to 1) that multiplies ``lr``. None takes the
        method's own.
    augment : str, callable or None
        ``"shift"``, ``"flip"``, ``"rotate"``, ``"zoom"`` joined by ``+``, or a function ``(x, generator) -> x`` of a batch;
        applied to both domains.
    seed : int
        Of weights (unless ``method`` is a Method), batches, augmentation and dropout.
    seeds : int or iterable of int, optional
        Train several seeds one after another: a number K means ``seed, …, seed + K - 1``. Needs a name or a function.
    device : str or torch.device
        ``"auto"`` takes a GPU where there is one.
    precision : {"auto", "float32", "bf16", "fp16"}
        ``"auto"`` is mixed precision on a GPU, and on a CPU what a few trial steps show to be fastest there. Equal seeds
        give equal bits with ``"float32"`` on a CPU.
    memory_format : {"auto", "contiguous", "channels_last"}
    resident_gb : float, optional
        Domains up to this size live on the device, larger ones stream. Default: half the free memory of a GPU, 4 on a CPU.
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
    settings = {k: v for k, v in locals().items() if k not in ("method", "source", "target", "seeds")}
    if seeds is not None:
        return _fit_seeds(method, source, target, seeds, settings)
    _check_numbers(
        steps, batch_size, lr, momentum, weight_decay, snapshots, snapshot_size, log_every, checkpoint_every
    )
    seed, where = _check_seed(seed), pick_device(device)
    check_precision(precision, memory_format)
    with _random_state_of(seed, where):
        for role, domain in (("source", source), ("target", target)):
            if not isinstance(domain, Domain):
                raise TypeError(
                    f"{role} must be a Domain, got {type(domain).__name__}; domains.from_arrays makes one"
                )
        method = _make(method, source, seed)
        source, target = _check_domains(method, source, target)
        return _fit_one(method, source, target, where=where, **settings)


def _fit_one(
    method: Method,
    source: Domain,
    target: Domain,
    *,
    where: torch.device,
    steps: int,
    batch_size: int,
    lr: float,
    optimizer: str,
    momentum: float,
    weight_decay: float,
    schedule,
    augment,
    seed: int,
    device,
    precision: str,
    memory_format: str,
    resident_gb: float | None,
    snapshots: int,
    snapshot_size: int,
    log_every: int | None,
    checkpoint,
    checkpoint_every: int | None,
    resume,
    progress: bool,
    on_snapshot,
) -> Run:
    factor = _schedule(schedule, method)
    change = augmentations.resolve(augment)
    if change is not None and source.x.ndim != 4 and isinstance(augment, str):
        raise ValueError(f"augment={augment!r} needs pictures (n, c, h, w), but the source is {source.kind}")
    if optimizer not in optimisers.NAMES:
        raise ValueError(f"unknown optimizer {optimizer!r}; choose one of {', '.join(optimisers.NAMES)}")
    log_every = log_every or max(1, steps // 100)
    config = {
        "method": methods.spec(method),
        "source": _fingerprint(source),
        "target": _fingerprint(target),
        "classes": list(source.classes),
        "steps": steps,
        "batch_size": batch_size,
        "lr": lr,
        "optimizer": optimizer,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "schedule": "the method's own" if schedule is None else _name(schedule),
        "augment": _name(augment),
        "snapshots": snapshots,
        "snapshot_size": snapshot_size,
        "log_every": log_every,
    }
    before = _earlier(resume, config, seed, method)
    if before is not None and before.finished:
        return before
    method.to(where).train()
    notes = [
        f"{d.name!r} has {len(d)} examples, so its batches hold {len(d)} instead of {batch_size}"
        for d in (source, target)
        if len(d) < batch_size
    ]
    _check_batch_norm(method, source, target, batch_size)
    budget = _resident_bytes(resident_gb, where)

    def batches(last: bool) -> tuple[Batches, Batches]:
        common = {"device": where, "channels_last": last, "augment": change, "resident_bytes": budget}
        s = Batches(source, batch_size, role=0, seed=_stream(seed, 0), **common)
        return s, Batches(target, batch_size, role=1, seed=_stream(seed, 1), **common)

    if before is None:
        pair = batches(False)
        tries = [b.sample() for b in pair]
        choice = choose(
            method,
            *tries,
            precision=precision,
            memory_format=memory_format,
            steps=steps,
            domains=(source, target),
        )
        if choice.memory_format == "channels_last":
            pair = batches(True)
        config |= {"device": str(where), **choice.as_dict(), "notes": notes}
        run = Run(
            method=method,
            config=config,
            seed=seed,
            versions=versions(where),
            source_index=_followed(source, snapshot_size, _stream(seed, 2)),
            target_index=_followed(target, snapshot_size, _stream(seed, 3)),
        )
    else:
        run = before
        choice = Choice(run.config["precision"], run.config["memory_format"])
        pair = batches(choice.memory_format == "channels_last")
    for note in notes:
        log.info(note)
    method.to(memory_format=choice.layout)
    method.autocast_dtype = choice.dtype
    label = f"{run.name}, seed {seed}"
    try:
        loop = Loop(run, source, target, pair, factor=factor, device=where, scaler=choice.precision == "fp16")
        if run.state is not None:
            loop.restore(run.state)
            run.state = None
        with Progress(label, steps, show=progress, start=run.step) as bar:
            loop.go(
                on_step=lambda r: bar.update(r.step),
                on_snapshot=on_snapshot,
                checkpoint=checkpoint,
                checkpoint_every=checkpoint_every or max(1, steps // 10),
            )
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"{where} ran out of memory at step {run.step + 1} with {batch_size} examples of shape {source.shape} from each "
            f"domain: halve batch_size (and lr with it), set resident_gb=0 to stream the data, or take device='cpu'"
        ) from error
    finally:
        method.autocast_dtype = None
        method.to(memory_format=torch.contiguous_format)
    if not run.finished:
        log.warning("interrupted after step %d of %d; fit(…, resume=run) goes on from there", run.step, steps)
    return run


# -- several seeds ------------------------------------------------------------------------------------------------


def _fit_seeds(method, source: Domain, target: Domain, seeds: int | Iterable[int], settings: dict) -> Runs:
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


# -- checks, each with its sentence -------------------------------------------------------------------------------


def _check_numbers(
    steps, batch_size, lr, momentum, weight_decay, snapshots, snapshot_size, log_every, every
) -> None:
    counts = {"steps": steps, "batch_size": batch_size, "snapshot_size": snapshot_size}
    counts |= {k: v for k, v in {"log_every": log_every, "checkpoint_every": every}.items() if v is not None}
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if not isinstance(snapshots, (int, np.integer)) or snapshots < 0:
        raise ValueError(f"snapshots must be a whole number of at least 0, got {snapshots!r}")
    if not lr > 0 or not math.isfinite(lr):
        raise ValueError(f"lr must be a positive number, got {lr!r}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must lie in [0, 1), got {momentum!r}")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay!r}")


def _check_seed(seed) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    return int(seed)


def _check_domains(method: Method, source: Domain, target: Domain) -> tuple[Domain, Domain]:
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
            f"examples disagree in shape: source {source.name!r} has {source.shape}, target {target.name!r} {target.shape}"
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


def _check_batch_norm(method: Method, source: Domain, target: Domain, batch_size: int) -> None:
    smallest = min(batch_size, len(source), len(target))
    if smallest == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in method.modules()):
        raise ValueError(
            "batch normalisation cannot learn from batches of one example: take batch_size of at least 2 and domains of at "
            "least 2 examples, or a backbone with another norm"
        )


# -- small parts --------------------------------------------------------------------------------------------------


def _make(method: Method | str | Callable[[int], Method], source: Domain, seed: int) -> Method:
    if isinstance(method, str):
        return methods.build(method, source, seed=seed)
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


def _followed(domain: Domain, size: int, seed: int) -> np.ndarray:
    """Which examples the snapshots follow."""
    if len(domain) <= size:
        return np.arange(len(domain))
    return np.sort(np.random.default_rng(seed).choice(len(domain), size, replace=False))


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


def _fingerprint(domain: Domain) -> dict:
    """Enough to notice that a run is resumed on other data; never looks at labels."""
    rows = domain.x[:: max(1, len(domain) // 64)].detach().cpu().contiguous()
    digest = hashlib.sha256(rows.numpy().tobytes()).hexdigest()[:16]
    return {"name": domain.name, "n": len(domain), "shape": list(domain.shape), "sha256": digest}


def _earlier(resume: Run | str | Path | None, config: dict, seed: int, method: Method) -> Run | None:
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
