"""What a hyper-parameter does that can be seen without target labels: how its default is justified.

    python benchmarks/signs.py METHOD NAME VALUE [VALUE ...] [--pair digits optdigits mnist] [--seeds 3] [--steps 300]

For each value, over seeds: source accuracy on held-out examples; the diversity of the target's predictions (entropy
of their mean in units of log k: 1 for equal shares, 0 where all fall into one class); the proxy A-distance between
held-out features; and how many runs raise an alarm of ``run.health()``. No target label is read.
"""

from __future__ import annotations

import argparse

import numpy as np

import dakit
from dakit import metrics
from dakit.bench import make_task
from dakit.training.signs import softmax


def value_of(text: str):
    """A number, a truth value, or text."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return float(text) if "." in text or "e" in text else int(text)
    except ValueError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method")
    parser.add_argument("name")
    parser.add_argument("values", nargs="+", type=value_of)
    parser.add_argument(
        "--pair", nargs=3, default=["digits", "optdigits", "mnist"], metavar=("SET", "SOURCE", "TARGET")
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=0.05)
    options = parser.parse_args()
    loaded = dakit.load(options.pair[0])
    print(
        f"{options.method}, {' '.join(options.pair)}, {options.steps} steps, lr {options.lr}, {options.seeds} seeds"
    )
    print(f"{options.name:>14}{'source accuracy':>18}{'diversity':>16}{'A-distance':>16}{'alarms':>9}")
    for value in options.values:
        rows, alarms = [], 0
        for seed in range(options.seeds):
            task = make_task(*loaded.pair(*options.pair[1:], seed=seed), seed=seed)
            method = dakit.methods.build(options.method, task.source, seed=seed, **{options.name: value})
            settings = {"steps": options.steps, "lr": options.lr, "seed": seed, "progress": False}
            run = dakit.fit(method, task.source, task.target.unlabeled(), **settings)
            target = task.target_test.unlabeled()
            shares = softmax(run.logits(target).astype(np.float64))
            rows.append(
                (
                    run.evaluate(task.source_test).accuracy,
                    metrics.class_diversity(shares),
                    metrics.a_distance(run.features(task.source_test), run.features(target), seed=seed),
                )
            )
            alarms += any(f.level == "alarm" for f in run.health().findings)
        mean, sd = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
        cells = "".join(f"{m:>9.3f} ± {s:.3f}" for m, s in zip(mean, sd))
        print(f"{value!s:>14}  {cells}{alarms:>6} of {options.seeds}", flush=True)


if __name__ == "__main__":
    main()
