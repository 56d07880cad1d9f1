"""Several runs of one method: seeds, or values of one hyper-parameter."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from dakit.methods.method import Method
from dakit.training import checks
from dakit.training.fit import fit
from dakit.training.progress import Progress
from dakit.training.run import Runs
from dakit.training.start import Maker, Settings, check, leave, memory_advice, random_state_of, start
from dakit.training.together import CannotTogether, Together

log = logging.getLogger("dakit")


def fit_many(method, source, target, a: Settings, seeds, sweep, together) -> Runs:
    if isinstance(method, Method):
        raise ValueError(
            "seeds= and sweep= start every run from its own weights, so they need a method's name or a function "
            "seed -> Method, not a method that is already built"
        )
    if a.resume is not None:
        raise ValueError("resume= goes on with one run; with seeds= or sweep= resume the runs one by one")
    if together not in ("auto", True, False):
        raise ValueError(f"together must be 'auto', True or False, got {together!r}")
    varied, values = swept(sweep)
    makers, alone = [], []
    for value in values:
        for seed in seeds_of(seeds, a.seed):
            folder = None if a.checkpoint is None else Path(a.checkpoint)
            if folder is not None and varied is not None:
                folder = folder / f"{varied}={value}"
            place = None if folder is None else folder / f"seed-{seed}"
            makers.append(Maker(method, {} if varied is None else {varied: value}))
            alone.append(replace(a, seed=seed, checkpoint=place))
    if together is not False and len(alone) > 1:
        runs = all_together(makers, source, target, alone, varied, forced=together is True)
        if runs is not None:
            return runs
    runs = Runs()
    for make, one in zip(makers, alone):
        runs.append(fit(make, source, target, **{f.name: getattr(one, f.name) for f in fields(one)}))
        if not runs[-1].finished:
            break  # an interrupt ends the whole series
    return runs


def seeds_of(seeds: int | Iterable[int] | None, first: int) -> list[int]:
    if seeds is None:
        return [first]
    if isinstance(seeds, (int, np.integer)) and not isinstance(seeds, bool):
        if seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {seeds}")
        return list(range(first, first + int(seeds)))
    seeds = list(seeds)
    if not seeds:
        raise ValueError("seeds holds no seed")
    return seeds


def swept(sweep: Mapping[str, Iterable] | None) -> tuple[str | None, list]:
    """The hyper-parameter of a sweep and its values."""
    if sweep is None:
        return None, [None]
    if not isinstance(sweep, Mapping) or len(sweep) != 1:
        raise ValueError(
            "sweep must name one hyper-parameter and its values, for example {'lambda_': [0.1, 0.3, 1.0]}, "
            f"got {sweep!r}"
        )
    ((name, values),) = sweep.items()
    values = list(values)
    if not values:
        raise ValueError(f"sweep holds no value of {name!r}")
    return name, values


def all_together(
    makers: list[Maker], source, target, alone: list[Settings], varied: str | None, *, forced: bool
) -> Runs | None:
    """All runs in one vectorised pass; None where that cannot be, or would not pay."""
    sources, where = check(source, target, alone[0])
    lead = sources[0] if sources else target
    if not forced and (lead is None or lead.kind != "flat"):
        return None  # convolutions are slower so
    loops = []
    for make, one in zip(makers, alone):
        checks.seed_number(one.seed)
        with random_state_of(one.seed, where):
            loops.append(start(make, sources, target, one, where))
    try:
        pass_ = Together(loops, varied)
    except CannotTogether as why:
        if forced:
            raise ValueError(
                f"together=True: {why}; together='auto' trains such runs one after another"
            ) from None
        log.info("one after another: %s", why)
        return None
    a, run = alone[0], loops[0].run
    with (
        memory_advice(a, lead.shape),
        Progress(f"{run.name}, {len(loops)} runs", a.steps, show=a.progress) as bar,
    ):
        pass_.go(
            on_step=lambda run: bar.update(run.step),
            on_snapshot=a.on_snapshot,
            checkpoints=[None if one.checkpoint is None else Path(one.checkpoint) for one in alone],
            checkpoint_every=a.checkpoint_every or max(1, a.steps // 10),
        )
    for loop in loops:
        leave(loop)
    return Runs(loop.run for loop in loops)
