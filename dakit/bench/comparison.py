"""Train several methods on one pair of domains over several seeds, and say what each gained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import torch

from dakit import methods as _methods
from dakit.bench.shallow import ShallowRun, is_shallow, plain_classifier
from dakit.bench.task import Task
from dakit.metrics import shift_numbers
from dakit.training import Run, fit

if TYPE_CHECKING:
    import pandas as pd

SHIFT_KEYS = ("mmd", "mmd_pvalue", "a_distance", "icv_source", "icv_target", "idd")


@dataclass
class Result:
    """One method, one seed. ``shift`` is measured between the features of the held-out parts."""

    method: str
    seed: int
    source_accuracy: float
    target_accuracy: float | None
    shift: dict[str, float | None]
    seconds: float


@dataclass
class Comparison:
    """What :func:`compare` measured.

    Attributes
    ----------
    name : str
    methods : tuple of str
    results : list of Result
    runs : dict of (method, seed) to Run
        Only the first seed's runs are kept, for pictures.
    tasks : dict of seed to Task
    """

    name: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    results: list[Result] = field(default_factory=list)
    runs: dict[tuple[str, int], Run | ShallowRun] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)

    def of(self, method: str) -> list[Result]:
        """Results of one method, in the order of the seeds."""
        return [r for r in self.results if r.method == method]

    def accuracy(self, method: str, domain: str = "target") -> dict[str, Any] | None:
        """``mean``, ``sd`` and ``per_seed`` of the held-out accuracy; None where the domain has no labels."""
        values = [getattr(r, f"{domain}_accuracy") for r in self.of(method)]
        return None if any(v is None for v in values) else spread(values)

    def shift(self, method: str) -> dict[str, Any]:
        """Means over the seeds of the shift between source and target features, and ``per_seed``.

        The p-value is the largest over the seeds: a claim of significance has to hold in each.
        """
        rows = [r.shift for r in self.of(method)]
        out: dict[str, Any] = {}
        for key in SHIFT_KEYS:
            values = [row[key] for row in rows]
            if any(v is None for v in values):
                out[key] = None
            else:
                out[key] = max(values) if key == "mmd_pvalue" else fmean(values)
        return {**out, "per_seed": rows}

    def gain(self, method: str, over: str = "source_only") -> dict[str, Any] | None:
        """Difference of target accuracy to ``over``, seed by seed."""
        a, b = self.accuracy(method), self.accuracy(over)
        return (
            None if a is None or b is None else spread([x - y for x, y in zip(a["per_seed"], b["per_seed"])])
        )

    def table(self) -> pd.DataFrame:
        """One row a method: accuracies and shift numbers, mean and standard deviation over the seeds."""
        import pandas as pd

        rows = []
        for method in self.methods:
            row: dict[str, Any] = {"method": method}
            for domain in ("source", "target"):
                acc = self.accuracy(method, domain) or {"mean": float("nan"), "sd": float("nan")}
                row |= {f"{domain}_accuracy": acc["mean"], f"{domain}_accuracy_sd": acc["sd"]}
            shift = self.shift(method)
            for key in SHIFT_KEYS:
                row[key] = float("nan") if shift[key] is None else shift[key]
                if key != "mmd_pvalue":
                    values = [r[key] for r in shift["per_seed"]]
                    row[f"{key}_sd"] = float("nan") if None in values else spread(values)["sd"]
            row["seconds"] = fmean(r.seconds for r in self.of(method))
            rows.append(row)
        return pd.DataFrame(rows).set_index("method")


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (n − 1; None for a single value) and the values themselves."""
    values = [float(v) for v in values]
    return {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None, "per_seed": values}


def compare(
    task: Task | Callable[[int], Task],
    methods: Iterable[str],
    *,
    seeds: int | Sequence[int] = 3,
    backbone: str | dict[str, Any] | Callable[[Task], torch.nn.Module] = "auto",
    hyperparameters: dict[str, dict[str, Any]] | None = None,
    permutations: int = 200,
    on_run: Callable[[str, int], None] | None = None,
    **fit_options: Any,
) -> Comparison:
    """Train every method on every seed with the same budget and measure it on held-out examples.

    Parameters
    ----------
    task : Task, or function of a seed that gives a Task
        A function draws a new split for each seed, so that the spread covers the split as well.
    methods : iterable of str
        Names of ``dakit.methods.names()`` and ``dakit.methods.estimators()``. Shallow methods work on the flattened
        inputs and know no budget. Where all others are shallow, ``source_only`` is the classifier of the first of them
        on the source as it is.
    seeds : int or sequence of int
        A number K stands for ``0 .. K − 1``.
    backbone : str, dict or function of a Task
        As for :func:`dakit.methods.build`, the same for all methods: ``"auto"`` has the layers that any of them needs.
    hyperparameters : dict of method name to its keyword arguments
    permutations : int
        Of the MMD test.
    on_run : callable(method, seed)
        Told before each training begins.
    **fit_options
        Passed to :func:`dakit.training.fit`.

    Returns
    -------
    Comparison
    """
    seeds = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not seeds:
        raise ValueError("seeds must name at least one seed: a number of 1 or more, or a list of integers")
    names = tuple(methods)
    hyperparameters = hyperparameters or {}
    classifier = plain_classifier(names, hyperparameters)
    first = task(seeds[0]) if callable(task) else task
    out = Comparison(first.name, names, seeds)
    for seed in seeds:
        here = task(seed) if callable(task) else task
        out.tasks[seed] = here
        for name in names:
            if on_run is not None:
                on_run(name, seed)
            start = time.perf_counter()
            options = hyperparameters.get(name, {})
            if is_shallow(name) or (name == "source_only" and classifier is not None):
                run = ShallowRun(name, here, seed=seed, hyperparameters=options, classifier=classifier)
            else:
                body = backbone(here) if callable(backbone) else backbone
                if body == "auto":
                    body = shared_backbone(names, here.source.shape)
                method = _methods.build(name, here.given, backbone=body, seed=seed, **options)
                run = fit(method, here.given, here.target, seed=seed, **fit_options)
            out.results.append(measure(name, seed, run, here, permutations=permutations, start=start))
            if seed == seeds[0]:
                out.runs[name, seed] = run
    return out


def shared_backbone(names: Sequence[str], shape: tuple[int, ...]) -> str | dict[str, Any]:
    """One automatic backbone for all methods, so that a gain is the method's: with layers that one needs."""
    deep = [n for n in names if not is_shallow(n)]
    asked = [_methods._class(n).auto_backbone(shape) for n in deep]
    return next((b for b in asked if b != {"name": "auto"}), "auto")


def measure(
    name: str, seed: int, run: Run | ShallowRun, task: Task, *, permutations: int, start: float
) -> Result:
    """Judge a run on the held-out parts of its task."""
    seconds = time.perf_counter() - start
    target = task.target_test
    return Result(
        method=name,
        seed=seed,
        source_accuracy=run.evaluate(task.source_test, side="source").accuracy,
        target_accuracy=run.evaluate(target).accuracy if target.labeled else None,
        shift=shift_numbers(
            run.features(task.source_test, side="source"),
            run.features(target),
            task.source_test.y,
            target.y,
            seed=seed,
            permutations=permutations,
        ),
        seconds=seconds,
    )
