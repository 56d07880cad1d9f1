"""Every ordered pair of domains of a bundled set: target accuracy of each method, mean ± sd over seeds.

    python benchmarks/pairs.py emoji_features --seeds 3 [--methods source_only,dann,...] [--steps N] [--json FILE]

All examples that judge are held out; nothing is chosen by target labels: every pair runs with the same settings, those
of the demo for this set where it has them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

METHODS = "source_only,dann,dan,deep_coral,oracle"


def one_pair(job: tuple[str, str, str, list[str], int, dict[str, Any]]) -> dict[str, Any]:
    """Accuracies and gains of every method on one pair; runs in a process of its own."""
    import torch

    from dakit import domains
    from dakit.bench import compare, make_task

    torch.set_num_threads(1)
    name, source, target, methods, seeds, options = job
    loaded = domains.load(name)
    result = compare(
        lambda seed: make_task(*loaded.pair(source, target, seed=seed), seed=seed),
        methods,
        seeds=seeds,
        progress=False,
        permutations=20,
        **options,
    )
    accuracy = {m: result.accuracy(m) for m in methods}
    gain = {m: result.gain(m) for m in methods if m not in ("source_only", "oracle")}
    return {"source": source, "target": target, "accuracy": accuracy, "gain": gain}


def markdown(rows: list[dict[str, Any]], methods: list[str]) -> str:
    lines = ["| source → target | " + " | ".join(methods) + " |", "| --- |" + " --- |" * len(methods)]
    for row in rows:
        cells = (
            f"{100 * row['accuracy'][m]['mean']:.1f} ± {100 * (row['accuracy'][m]['sd'] or 0):.1f}"
            for m in methods
        )
        lines.append(f"| {row['source']} → {row['target']} | " + " | ".join(cells) + " |")
    means = (f"{100 * sum(r['accuracy'][m]['mean'] for r in rows) / len(rows):.1f}" for m in methods)
    lines.append("| **mean** | " + " | ".join(means) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", help="a bundled set, for example emoji_features")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    args = parser.parse_args()

    from dakit import domains
    from dakit.bench.demo import SETTINGS

    methods = args.methods.split(",")
    options = dict(SETTINGS.get(args.set, {}))
    if args.steps:
        options["steps"] = args.steps
    names = domains.load(args.set).names
    jobs = [(args.set, s, t, methods, args.seeds, options) for s, t in itertools.permutations(names, 2)]
    # forked children would inherit torch's thread pools in an undefined state
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(one_pair, jobs))
    print(f"{args.set}: {len(rows)} ordered pairs, {args.seeds} seeds, settings {options}\n")
    print(markdown(rows, methods))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(
            json.dumps({"set": args.set, "seeds": args.seeds, "options": options, "rows": rows}, indent=2)
        )


if __name__ == "__main__":
    main()
