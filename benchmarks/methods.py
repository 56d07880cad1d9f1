"""Every method on every task of four bundled sets, several seeds: dakit's own comparison.

    python benchmarks/methods.py run  [--worlds emoji,digits,watch,vowel] [--methods ...] [--seeds 5] [--jobs 2]
    python benchmarks/methods.py cost [--methods ...]
    python benchmarks/methods.py settings
    python benchmarks/methods.py page [--html out/methods.html]

``run`` appends one line of JSON a training to out/methods.jsonl and leaves out what is there already, so that it can be
stopped and gone on with. ``cost`` times one training step of each method beside one of ``source_only``. ``page`` makes
tables and the page from both.

No method is tuned: each keeps its defaults, all share the settings of their world, which were fixed by the held-out
source accuracy of ``source_only`` alone. Every training is looked at at six moments. What is reported is the last one
(the rule of the tables), the moment that information maximisation would keep, a validator that sees no target label,
and the best moment by target labels (the oracle rule, no fair choice, shown for what it hides). All accuracies are on
a half of the target that no training saw.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

RESULTS = Path("out/methods.jsonl")
COSTS = Path("out/methods-cost.json")
MOMENTS = 6

# The same for every method of a world: steps, learning rate and batch size (of each domain). From the grid that
# `settings` prints: the fewest steps, then the smallest rate, within 3 points of the grid's best source accuracy.
WORLDS: dict[str, dict[str, Any]] = {
    "emoji": {"steps": 300, "lr": 0.01, "batch_size": 64},
    "digits": {"steps": 300, "lr": 0.01, "batch_size": 64},
    "watch": {"steps": 300, "lr": 0.03, "batch_size": 64},
    "vowel": {"steps": 600, "lr": 0.03, "batch_size": 32},
}
BACKBONE = {"name": "mlp", "hidden": (128, 64)}
NORMED = {**BACKBONE, "norm": "batch"}  # for methods that work on normalisation layers
EVERY = {"watch": 2, "vowel": 3}  # of ten subjects and fifteen speakers, every second and third is a target
STYLES = ("noto", "twemoji", "fluent-emoji-flat", "fluent-emoji-high-contrast")


@dataclass(frozen=True)
class Job:
    """One training: a task of a world, a method, a seed."""

    world: str
    sources: tuple[str, ...]
    target: str
    method: str
    seed: int

    @property
    def task(self) -> str:
        few = " + ".join(self.sources) if len(self.sources) < 4 else f"{len(self.sources)} others"
        return f"{few} → {self.target}"

    @property
    def key(self) -> tuple:
        return self.world, self.task, self.method, self.seed


def tasks(world: str, *, several: bool) -> list[tuple[tuple[str, ...], str]]:
    """Sources and target of each task. ``several``: leave one domain out, for methods that need several sources."""
    from dakit import domains

    names = STYLES if world == "emoji" else domains.load(_set(world)).names
    left_out = [(tuple(n for n in names if n != t), t) for t in names[:: EVERY.get(world, 1)]]
    if several or world in ("watch", "vowel"):
        return left_out
    return [((s,), t) for s, t in itertools.permutations(names, 2)]


def _set(world: str) -> str:
    return "emoji_features" if world == "emoji" else world


def load(job: Job) -> tuple[list, Any, Any, Any]:
    """Source domains for training, held-out source, target seen without labels, target that judges."""
    from dakit import domains
    from dakit.bench import make_task

    loaded = domains.load(_set(job.world))
    flat = {n: replace(loaded[n], x=loaded[n].x.flatten(1), features=()) for n in (*job.sources, job.target)}
    if len(job.sources) == 1:
        task = make_task(*_apart(loaded, flat, job.sources[0], job.target, job.seed), seed=job.seed)
        return [task.source], task.source_test, task.target, task.target_test
    parts = []
    for name in job.sources:
        source, target = _apart(loaded, flat, name, job.target, job.seed)
        parts.append(source.split(0.8, job.seed))
    seen, judge = target.split(0.5, job.seed, stratify=False)
    return [a for a, _ in parts], domains.pool([b for _, b in parts]), seen, judge


def _apart(loaded, flat: dict, source: str, target: str, seed: int):
    """Two domains that share no drawn thing, where the set knows what is drawn."""
    if "concept" not in loaded[source].meta:
        return flat[source], flat[target]
    pair = loaded.pair(source, target, seed=seed)
    return tuple(replace(d, x=d.x.flatten(1), features=()) for d in pair)


def backbone_of(method: str) -> dict:
    return NORMED if method in ("adabn", "dsbn", "tent", "cotta") else BACKBONE


def train(job: Job) -> dict[str, Any]:
    """What one training reached, at each moment."""
    import torch

    from dakit import domains, methods
    from dakit.bench.shallow import ShallowRun
    from dakit.bench.task import Task
    from dakit.training import fit

    torch.set_num_threads(1)
    sources, source_test, target, target_test = load(job)
    pooled = domains.pool(sources)
    row: dict[str, Any] = {**_plain(job), "moments": []}
    start = time.process_time()
    if job.method in methods.estimators():
        task = Task(pooled, source_test, target.unlabeled(), target_test)
        run = ShallowRun(job.method, task, seed=job.seed, hyperparameters={})
        row["source"] = run.evaluate(source_test).accuracy
        row["target"] = run.evaluate(target_test).accuracy
        return row | {"seconds": time.process_time() - start}
    settings = dict(WORLDS[job.world])
    cls = getattr(methods, methods._METHODS[job.method].rpartition(".")[2])
    if cls.min_sources > 1 or methods._METHODS[job.method].startswith("generalize."):
        settings["batch_size"] = max(8, settings["batch_size"] // len(sources))
    else:
        sources = [pooled]
    method = methods.build(job.method, sources, backbone=backbone_of(job.method), seed=job.seed)

    def look(run) -> None:
        row["moments"].append(_moment(run, source_test, target_test))

    run = fit(
        method, sources, target, seed=job.seed, precision="float32", snapshots=MOMENTS, snapshot_size=64,
        progress=False, on_snapshot=look, **settings,
    )  # fmt: skip
    last = row["moments"][-1]
    return row | {
        "source": last["source"],
        "target": last["target"],
        "steps": run.step,
        "seconds": time.process_time() - start,
    }


def _moment(run, source_test, target_test) -> dict[str, float]:
    """Held-out accuracies, and the score of a validator that sees no target label."""
    from dakit import metrics
    from dakit.training.signs import softmax

    logits = run.logits(target_test)
    return {
        "step": run.step,
        "source": run.evaluate(source_test, side="source").accuracy,
        "target": float((logits.argmax(axis=1) == target_test.y.numpy()).mean()),
        "information_maximisation": float(
            metrics.information_maximisation(softmax(logits.astype("float64")))
        ),
    }


def _plain(job: Job) -> dict[str, Any]:
    return {"world": job.world, "task": job.task, "method": job.method, "seed": job.seed}


def attempt(job: Job) -> dict[str, Any]:
    try:
        return train(job)
    except Exception as error:  # a method that cannot do a task is a result as well
        return {**_plain(job), "error": f"{type(error).__name__}: {error}"}


def wanted(args: argparse.Namespace) -> list[Job]:
    from dakit import methods

    out = []
    names = args.methods.split(",") if args.methods else [*methods.names(), *methods.estimators()]
    for seed, world, name in itertools.product(range(args.seeds), args.worlds.split(","), names):
        if not _closed_set(name):
            continue
        several = name in methods.names() and _needs_several(name)
        out += [Job(world, s, t, name, seed) for s, t in tasks(world, several=several)]
        if name in ("source_only", "dann") and world in ("emoji", "digits"):  # to compare those others with
            out += [Job(world, s, t, name, seed) for s, t in tasks(world, several=True)]
    return out


def _needs_several(name: str) -> bool:
    from dakit import methods

    part, _, cls = methods._METHODS[name].partition(".")
    return part == "generalize" or getattr(methods, cls).min_sources > 1


def _closed_set(name: str) -> bool:
    """Left out: answers beside the classes (open sets), and estimators that want target labels."""
    from dakit import methods

    if name in methods.estimators():
        return name not in ("fa", "tradaboost", "mmdt")
    return not getattr(methods, methods._METHODS[name].rpartition(".")[2]).open_set


def run(args: argparse.Namespace) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    done = {(r["world"], r["task"], r["method"], r["seed"]) for r in rows()}
    jobs = [job for job in wanted(args) if job.key not in done]
    print(f"{len(done)} trainings there, {len(jobs)} to do", flush=True)
    with (
        ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool,
        RESULTS.open("a", encoding="utf-8") as file,
    ):
        for i, row in enumerate(pool.map(attempt, jobs, chunksize=4)):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            if i % 200 == 199:
                print(f"{i + 1} of {len(jobs)}", flush=True)


def rows() -> list[dict[str, Any]]:
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def cost(args: argparse.Namespace) -> None:
    """CPU time of a step of each method, in turns with source_only; the least of several rounds."""
    from dakit import methods
    from dakit.training import fit

    names = args.methods.split(",") if args.methods else methods.names()
    out = {}
    for name in names:
        several = _needs_several(name)
        sources, target = tasks("emoji", several=several)[0]
        parts, _, seen, _ = load(Job("emoji", sources, target, name, 0))
        least = {name: float("inf"), "source_only": float("inf")}
        for _ in range(args.rounds):
            for each in least:
                given = parts if several or len(parts) == 1 else parts[:1]
                made = methods.build(each, given, backbone=backbone_of(name))
                settings = {
                    "steps": 100,
                    "batch_size": 64,
                    "precision": "float32",
                    "snapshots": 0,
                    "progress": False,
                }
                start = time.process_time()
                fit(made, given, seen, **settings)
                least[each] = min(least[each], (time.process_time() - start) / 100)
        out[name] = {
            "ms": 1000 * least[name],
            "ratio": least[name] / least["source_only"],
            "sources": len(sources),
        }
        print(
            f"{name:24} {out[name]['ms']:7.2f} ms a step, {out[name]['ratio']:6.2f} times source_only",
            flush=True,
        )
    COSTS.parent.mkdir(parents=True, exist_ok=True)
    COSTS.write_text(json.dumps(out, indent=2))


def settings(args: argparse.Namespace) -> None:
    """Held-out source accuracy of source_only for a grid of settings; no target example is looked at."""
    print("| world | steps | lr | source accuracy |\n| --- | --- | --- | --- |")
    for world in args.worlds.split(","):
        few = tasks(world, several=False)[:4]
        for steps, lr in itertools.product((300, 600), (0.01, 0.03, 0.1)):
            WORLDS[world] |= {"steps": steps, "lr": lr}
            each = [
                train(Job(world, s, t, "source_only", seed))["source"] for s, t in few for seed in range(2)
            ]
            print(f"| {world} | {steps} | {lr} | {100 * sum(each) / len(each):.1f} |", flush=True)


def page(args: argparse.Namespace) -> None:
    from dakit.bench.methods_page import methods_page

    costs = json.loads(COSTS.read_text()) if COSTS.is_file() else {}
    done = [
        r for r in rows() if r["seed"] < args.seeds
    ]  # the first seeds, as a run that was stopped has more of some
    text, html = methods_page(done, costs, settings=WORLDS)
    print(text)
    args.html.parent.mkdir(parents=True, exist_ok=True)
    args.html.write_text(html, encoding="utf-8")
    print(f"\nwritten: {args.html}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("run", "cost", "settings", "page"))
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--methods", help="names with commas; all by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5, help="of cost")
    parser.add_argument("--html", type=Path, default=Path("out/methods.html"))
    args = parser.parse_args()
    {"run": run, "cost": cost, "settings": settings, "page": page}[args.what](args)


if __name__ == "__main__":
    main()
