"""How the demo's settings were chosen: source accuracy and A-distance of a small grid, without any target label.

    python benchmarks/settings.py digits optdigits mnist
    python benchmarks/settings.py digits mnist background --methods dann --steps 1500 --features 64 --plain --seeds 2

For each setting it prints, averaged over the methods, the held-out source accuracy and the proxy
A-distance between held-out features. The setting with the smallest A-distance wins among those whose source accuracy
is within one point of the best. The target, a domain of the set or a controlled shift of half the source, loses its
labels before anything else happens.
"""

from __future__ import annotations

import argparse
import itertools
from statistics import fmean

import torch

from dakit import domains
from dakit.bench import compare, make_task
from dakit.bench.demo import SETTINGS

RATES = (0.01, 0.05)
NORMS = ("group", "batch")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--methods", default="dann,dan,deep_coral")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--features", type=int, default=128, help="of the network for pictures")
    parser.add_argument("--plain", action="store_true", help="no augmentation")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    loaded, methods = domains.load(args.set), args.methods.split(",")
    pictures = next(iter(loaded.values())).kind == "image"

    def task(seed: int):
        if args.target in domains.shifts.KINDS:
            source, other = loaded[args.source].split(0.5, seed=seed)
            target = domains.shifts.apply(other, args.target, 1.0, seed=seed)
        else:
            source, target = loaded.pair(args.source, args.target, seed=seed)
        return make_task(source, target.unlabeled(), seed=seed)

    print("| lr | norm | source accuracy | A-distance |\n| --- | --- | --- | --- |")
    for lr, norm in itertools.product(RATES, NORMS if pictures else ("–",)):
        settings = {**SETTINGS[args.set], "lr": lr}
        if args.steps:
            settings["steps"] = args.steps
        if args.plain:
            settings["augment"] = None
        if pictures:
            settings["backbone"] = {"name": "lenet", "norm": norm, "features": args.features}
        result = compare(task, methods, seeds=args.seeds, permutations=20, progress=False, **settings)
        accuracy = fmean(result.accuracy(m, "source")["mean"] for m in methods)
        distance = fmean(result.shift(m)["a_distance"] for m in methods)
        print(f"| {lr} | {norm} | {100 * accuracy:.1f} | {distance:.2f} |", flush=True)


if __name__ == "__main__":
    main()
