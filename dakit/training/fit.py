"""``fit``: one call from a method and two domains to a Run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import torch

from dakit.domains.domain import Domain
from dakit.methods.method import Method
from dakit.training.augment import Augment
from dakit.training.progress import Progress
from dakit.training.run import Run, Runs
from dakit.training.start import Settings, check, label, leave, memory_advice, random_state_of, start


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
    augment: str | Augment | None = None,
    seed: int = 0,
    seeds: int | Iterable[int] | None = None,
    sweep: Mapping[str, Iterable] | None = None,
    together: bool | str = "auto",
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
        Train several seeds: a number K means ``seed, …, seed + K - 1``. Needs a name or a function.
    sweep : mapping, optional
        Train several values of one hyper-parameter of the method, each with every seed: ``{"lambda_": [0.1, 1.0]}``.
        Needs a name, or a function that takes the hyper-parameter beside the seed. Runs come value by value.
    together : {"auto", True, False}
        Whether the runs of ``seeds`` and ``sweep`` are trained in one vectorised pass, which equals the single runs up
        to rounding. ``"auto"`` does so for flat features where the method allows it (one player, no dropout, no running
        statistics, full precision), and else trains one after another. ``True`` raises where it cannot be.
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
        Or Runs, with ``seeds`` or ``sweep``. After a keyboard interrupt, the run so far: ``run.finished`` is False.

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
    given = dict(locals())
    settings = Settings(**{f.name: given[f.name] for f in fields(Settings)})
    if seeds is not None or sweep is not None:
        from dakit.training.series import fit_many

        return fit_many(method, source, target, settings, seeds, sweep, together)
    sources, where = check(source, target, settings)
    with random_state_of(seed, where):
        started = start(method, sources, target, settings, where)
        if isinstance(started, Run):
            return started
        run = started.run
        shape = (started.source or started.target).shape
        with (
            memory_advice(settings, shape),
            Progress(label(run), steps, show=progress, start=run.step) as bar,
        ):
            started.go(
                on_step=lambda run: bar.update(run.step),
                on_snapshot=on_snapshot,
                checkpoint=checkpoint,
                checkpoint_every=checkpoint_every or max(1, steps // 10),
            )
        leave(started)
    return run
