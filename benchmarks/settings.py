"""How the demo's settings were chosen: source accuracy and A-distance of a small grid, without any target label.

    python benchmarks/settings.py digits optdigits mnist [--seeds 3]

For each setting it prints, averaged over dann, dan and deep_coral, the held-out source accuracy and the proxy
A-distance between held-out features. The setting with the smallest A-distance wins among those whose source accuracy
is within one point of the best. The target's labels are removed before anything else happens.
"""

from __future__ import annotations

import argparse
import itertools
from statistics import fmean

import torch

from dakit import domains
from dakit.bench import compare, make_task
from dakit.bench.demo import SETTINGS

METHODS = ("dann", "dan", "deep_coral")
RATES = (0.01, 0.05)
NORMS = ("group", "batch")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    loaded = domains.load(args.set)
    pictures = next(iter(loaded.values())).kind == "image"

    def task(seed: int):
        source, target = loaded.pair(args.source, args.target, seed=seed)
        return make_task(source, target.unlabeled(), seed=seed)

    print("| lr | norm | source accuracy | A-distance |\n| --- | --- | --- | --- |")
    for lr, norm in itertools.product(RATES, NORMS if pictures else ("–",)):
        settings = {**SETTINGS[args.set], "lr": lr}
        if pictures:
            settings["backbone"] = {"name": "lenet", "norm": norm}
        result = compare(task, METHODS, seeds=args.seeds, permutations=20, progress=False, **settings)
        accuracy = fmean(result.accuracy(m, "source")["mean"] for m in METHODS)
        distance = fmean(result.shift(m)["a_distance"] for m in METHODS)
        print(f"| {lr} | {norm} | {100 * accuracy:.1f} | {distance:.2f} |", flush=True)


if __name__ == "__main__":
    main()
