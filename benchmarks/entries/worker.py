"""Measure one entry in this process, with the Python that runs it, and print one JSON object.

python -m entries.worker NAME N D DRAWS DEVICE REPEATS
"""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import sys
import time
import warnings
from dataclasses import replace
from importlib import import_module

from entries.case import ENTRIES, Case

MODULES = ("ours", "mmds", "permutations", "distances")
WARM_UP = 300  # examples of the first call: enough that nothing is left to load or to compile
WARM_UP_OF_OURS = 3200  # above which dakit's metrics take compiled loops
ENOUGH = 3.0  # seconds after which a measurement is not repeated


def cpu_seconds() -> float:
    """Of this process and of the processes it has waited for."""
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def peak_mib(reset: bool = False) -> float | None:
    """Peak memory of this process, since the last reset; None where the system does not tell."""
    try:
        if reset:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        return None


def measure(name: str, case: Case, repeats: int) -> dict:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    on_gpu = case.device != "cpu"

    def timed(call):
        if on_gpu:
            torch.cuda.synchronize()
        cpu, wall = cpu_seconds(), time.perf_counter()
        result = call()
        if on_gpu:
            torch.cuda.synchronize()
        return result, cpu_seconds() - cpu, time.perf_counter() - wall

    make = ENTRIES[name].make
    few = WARM_UP if ENTRIES[name].library else WARM_UP_OF_OURS
    small = replace(case, n=min(case.n, few), d=min(case.d, 512), draws=min(case.draws, 2))
    _, set_up, _ = timed(lambda: make(small)())
    call = make(case)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    else:
        before = peak_mib(reset=True)
    results, cpus, walls = [], [], []
    for k in range(repeats):
        result, cpu, wall = timed(call)
        if k == 0:
            after = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_mib()
        results.append(result)
        cpus.append(cpu)
        walls.append(wall)
        if sum(cpus) > ENOUGH and "estimate" not in name:
            break
    bars = [float(r.stderr) for r in results if hasattr(r, "stderr")]
    return {
        "value": float(results[0]),
        "values": [float(r) for r in results],
        "own_bar": math.fsum(bars) / len(bars) if bars else None,
        "cpu": min(cpus),
        "wall": min(walls),
        "set_up": set_up,
        "peak_mib": None if before is None or after is None else after - before,
    }


def main() -> None:
    name, n, d, draws, device, repeats = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for module in MODULES:
        import_module(f"entries.{module}")
    spoken, sys.stdout = sys.stdout, sys.stderr  # libraries may talk
    try:
        result = measure(name, Case(int(n), int(d), int(draws), device), int(repeats))
    except ImportError as error:
        result = {"missing": f"{type(error).__name__}: {error}"}
    except Exception as error:  # one entry that fails must not end the others
        result = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), file=spoken)


if __name__ == "__main__":
    main()
