"""What ``import dakit`` costs beside ``import torch``: fresh processes in turn, CPU seconds, median and ratio.

python benchmarks/imports.py [--repeats 15] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from statistics import median


def cpu_seconds(statement: str) -> float:
    """CPU time of one child process that runs ``statement``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    statements = ("import torch", "import dakit, torch")
    for statement in statements:
        cpu_seconds(statement)  # fills the file cache
    times: dict[str, list[float]] = {s: [] for s in statements}
    for _ in range(args.repeats):
        for statement in statements:
            times[statement].append(cpu_seconds(statement))
    torch_s, dakit_s = (median(times[s]) for s in statements)
    result = {"torch_seconds": torch_s, "dakit_seconds": dakit_s, "ratio": dakit_s / torch_s}
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"import torch {torch_s:.2f} s, import dakit {dakit_s:.2f} s CPU: ratio {result['ratio']:.3f}")


if __name__ == "__main__":
    main()
