"""Run an entry in a process of its own, with the Python of the environment that holds its library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from entries.case import ENTRIES, Case

HERE = Path(__file__).resolve().parent.parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LONGEST = 600  # seconds of one process


def python_of(name: str) -> str:
    """scikit-learn, scipy and POT are also where dakit is, so that without ``make bench-peers`` they still run."""
    return str(PEERS) if ENTRIES[name].library and PEERS.exists() else sys.executable


def in_own_process(python: str, *arguments: str, threads: int = 1) -> dict:
    environment = os.environ | dict.fromkeys(THREAD_COUNTS, str(threads))
    command = [python, "-m", *arguments]
    try:
        done = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, env=environment, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"stopped after {LONGEST} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        told = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"failed": told[-1]}
    return json.loads(lines[-1])


def reason_to_skip(name: str, case: Case, patience: float, memory: float) -> str | None:
    entry = ENTRIES[name]
    if case.device != "cpu" and not entry.on_device:
        return "CPU only"
    draws = sum(entry.fewer_draws) if entry.fewer_draws else case.draws
    seconds, mib = entry.seconds(replace(case, draws=draws)), entry.mib(case)
    if seconds > patience:
        return f"about {seconds:,.0f} s"
    if mib > memory:
        return f"about {mib:,.0f} MiB"
    return None


def measured(name: str, case: Case, repeats: int, threads: int = 1) -> dict:
    """What the worker found; with fewer draws than the case's, read off the line through two numbers of draws."""

    def at(draws: int, repeats: int) -> dict:
        return in_own_process(
            python_of(name),
            "entries.worker",
            name,
            *(str(x) for x in (case.n, case.d, draws, case.device, repeats)),
            threads=threads,
        )

    few = ENTRIES[name].fewer_draws
    if few is None or few[1] >= case.draws:
        return at(case.draws, repeats)
    less, more = (at(draws, 1) for draws in few)
    if "cpu" not in less or "cpu" not in more:
        return less if "cpu" not in less else more
    for clock in ("cpu", "wall"):
        slope = max(0.0, more[clock] - less[clock]) / (few[1] - few[0])
        more[clock] += slope * (case.draws - few[1])
    return more | {"scaled_from": list(few)}
