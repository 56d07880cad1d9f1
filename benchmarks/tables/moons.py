"""The DANN paper's two moons: the accuracies behind its figure, by the authors' settings.

    python benchmarks/tables/moons.py
    python benchmarks/tables/moons.py --angles 20 35 50 --seeds 42 0 1 2 3 --json

150 labelled points of two moons and 150 unlabelled ones of another draw, turned about the centre of the first; 15
sigmoid units, one example of each domain a step, rate 0.05, 500 passes, no early stopping. ``dann`` has λ = 6, ``nn``
has λ = 0. The accuracy is that on the 150 target points themselves, as in the figure. A seed changes the initial
weights and the order in which target points are drawn, never the moons.

The paper publishes a figure (JMLR 17 (2016), Figure 2; 35 degrees, one run) and no number: "published" is empty. What
stands beside the measured number is what the authors' program printed with the same seeds; the tolerance is one of 150
points. The figure shows a network that misses one end of each moon and a DANN that misses none.

Nothing random is left, and yet rounding decides: with the points multiplied by 1 + 1e-14 z, five times, the accuracy of
``nn`` never moved, that of ``dann`` by one point at seed 42, not at seed 0, and between .887 and .933 at seed 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from algorithm_1 import on_sparse_rows
from scipy import sparse
from sklearn.datasets import make_moons

UNITS, LAMBDA, RATE, PASSES, POINTS = 15, 6.0, 0.05, 500, 150
METHODS = {"nn": 0.0, "dann": LAMBDA}
AUTHORS_PROGRAM = {
    ("nn", 42): 0.827, ("nn", 0): 0.820, ("nn", 1): 0.833,
    ("dann", 42): 0.973, ("dann", 0): 0.960, ("dann", 1): 0.933,
}  # fmt: skip
TOLERANCE = 1 / POINTS


def turned_moons(
    degrees: float,
    points: tuple[int, ...] = (POINTS, POINTS),
    draws: tuple[int, ...] = (1, 2),
    noise: float = 0.05,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first draw as it is, every further one turned; all centred on the mean of the first and doubled."""
    moons = [make_moons(n, noise=noise, random_state=draw) for n, draw in zip(points, draws)]
    centre, angle = moons[0][0].mean(axis=0), np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [(2 * (x - centre) @ (turn.T if k else np.eye(2)), y) for k, (x, y) in enumerate(moons)]


def train(
    source: tuple[np.ndarray, np.ndarray], xt: np.ndarray, lambda_: float, seed: int, passes: int = PASSES
):
    """The function that predicts the moon of a point."""
    xs, ys = source
    rows = [sparse.csr_matrix(x) for x in (xs, xt)]
    options = {"rate": RATE, "width": UNITS, "passes": passes}
    return on_sparse_rows(rows[0], ys, rows[1], lambda_=lambda_, seed=seed, **options)


def cells(angles: list[float], seeds: list[int], methods: list[str]) -> list[dict]:
    rows = []
    for degrees in angles:
        source, (xt, yt) = turned_moons(degrees)
        for method in methods:
            for seed in seeds:
                right = float(np.mean(train(source, xt, METHODS[method], seed)(xt) == yt))
                cell = {"method": method, "pair": f"{degrees:g}/{seed}", "measured": right, "published": None}
                beside = AUTHORS_PROGRAM.get((method, seed)) if degrees == 35 else None
                rows.append(
                    cell | {"authors_program": beside, "tolerance": None if beside is None else TOLERANCE}
                )
    return rows


def missed(cell: dict) -> bool:
    beside = cell["authors_program"]
    return beside is not None and abs(cell["measured"] - beside) > cell["tolerance"] + 5e-4


def table(rows: list[dict]) -> str:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    at = {(row["method"], row["pair"]): row for row in rows}
    lines = [
        "measured (by the authors' program), * more than one point of 150 away; published: a figure, no number",
        "",
    ]
    lines.append(f"{'angle/seed':<12}" + "".join(f"{method:>18}" for method in methods))
    for pair in dict.fromkeys(row["pair"] for row in rows):
        texts = []
        for row in (at[method, pair] for method in methods):
            beside = "" if row["authors_program"] is None else f" ({row['authors_program']:.3f})"
            texts.append(f"{row['measured']:.3f}{beside}{'*' if missed(row) else ''}")
        lines.append(f"{pair:<12}" + "".join(f"{text:>18}" for text in texts))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--angles", nargs="+", type=float, default=[35.0], metavar="DEGREES")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 0, 1])
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    parser.add_argument("--quick", action="store_true", help="the figure's own run: 35 degrees, seed 42")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.angles, options.seeds = [35.0], [42]
    start = time.process_time()
    rows = cells(options.angles, options.seeds, options.methods)
    cpu = time.process_time() - start
    if options.json:
        print(json.dumps({"cells": rows, "cpu_seconds": cpu}, indent=1))
    else:
        known = [row for row in rows if row["authors_program"] is not None]
        print(table(rows))
        print(f"\n{sum(map(missed, known))} of {len(known)} outside the tolerance; {cpu:.0f} CPU seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
