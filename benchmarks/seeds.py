"""Many seeds in one vectorised pass of ``fit``, beside the same seeds one after another.

    python benchmarks/seeds.py [--methods source_only,dann,deep_coral,mcc] [--steps 200] [--rounds 3] [--json FILE]

CPU milliseconds of one thread a step for all K runs, a long training minus a short one, the least of the rounds, in
turns. Networks as in the design notes: 2-64-64 and 64-128-128 units, batches of 64 from each domain. Above 1 in the
last column the pass pays. Weights of both ways are compared as well: the largest relative difference after the steps.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from dakit import Domain, fit, methods

SHORT = 20
SIZES = {"2-64-64": (2, (64, 64)), "64-128-128": (64, (128, 128))}


def domains(d: int, n: int = 640) -> tuple[Domain, Domain]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    x = torch.randn(n, d, generator=generator) + y[:, None]
    return Domain("source", x, y, ("a", "b")), Domain("target", x + 0.5)


def measure(name: str, size: str, k: int, steps: int, rounds: int) -> dict[str, float]:
    d, hidden = SIZES[size]
    source, target = domains(d)

    def make(seed: int) -> methods.Method:
        return methods.build(name, source, backbone={"name": "mlp", "hidden": hidden}, seed=seed)

    def train(n: int, together: bool):
        settings = {"steps": n, "batch_size": 64, "snapshots": 0, "progress": False, "precision": "float32"}
        start = time.process_time()
        runs = fit(make, source, target, seeds=k, together=together, **settings)
        return 1000 * (time.process_time() - start), runs

    least, last = {True: float("inf"), False: float("inf")}, {}
    for together in (True, False):  # first calls cost more
        train(SHORT, together)
    for _ in range(rounds):
        for together in (True, False):
            short, _ = train(SHORT, together)
            long, last[together] = train(steps, together)
            least[together] = min(least[together], (long - short) / (steps - SHORT))
    pairs = [
        (a, b)
        for x, y in zip(last[True], last[False])
        for a, b in zip(x.method.parameters(), y.method.parameters())
    ]
    with torch.no_grad():
        apart = max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-6)) for a, b in pairs)
    return {
        "together": least[True],
        "single": least[False],
        "ratio": least[False] / least[True],
        "apart": apart,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", default="source_only,dann,deep_coral,mcc")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print("| network | method | K | one pass, ms | one by one, ms | ratio | weights differ by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        for name in args.methods.split(","):
            for k in (5, 10, 30):
                r = measure(name, size, k, args.steps, args.rounds)
                rows.append({"network": size, "method": name, "k": k, **r})
                print(
                    f"| {size} | {name} | {k} | {r['together']:.2f} | {r['single']:.2f} | {r['ratio']:.2f} | "
                    f"{r['apart']:.0e} |",
                    flush=True,
                )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
