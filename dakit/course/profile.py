"""Profiles: how big a chapter runs, and the first line that it prints.

One environment variable, ``DAKIT_PROFILE``, decides: ``smoke`` (seconds, so that every cell can be tested),
``teach`` (the default: at most three minutes and 2 GB on two CPU cores) or ``full`` (a GPU, paper scale).
"""

from __future__ import annotations

import os
import platform
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("smoke", "teach", "full")
MOST_THREADS = 4  # small networks on small batches get slower, not faster, beyond this

_current: Profile | None = None


@dataclass(frozen=True)
class Profile:
    """The size at which a chapter runs.

    Attributes
    ----------
    name : {"smoke", "teach", "full"}
    seed : int
    device : str
        ``"cuda"``, ``"mps"`` or ``"cpu"``.
    threads : int
        Threads that torch may use on the CPU.
    started : float
        ``time.perf_counter()`` when the chapter began.
    """

    name: str
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    started: float = field(default_factory=time.perf_counter, compare=False)

    def pick(self, *, smoke: Any, teach: Any, full: Any) -> Any:
        """The value for this profile.

        >>> Profile("smoke").pick(smoke=20, teach=600, full=5000)
        20
        """
        return {"smoke": smoke, "teach": teach, "full": full}[self.name]


def profile_name() -> str:
    """The profile that ``DAKIT_PROFILE`` asks for, ``"teach"`` where it is not set.

    Raises
    ------
    ValueError
        If the variable holds something else than smoke, teach or full.
    """
    asked = os.environ.get("DAKIT_PROFILE", "").strip().lower() or "teach"
    if asked not in NAMES:
        raise ValueError(f"DAKIT_PROFILE is {asked!r}; it must be smoke, teach or full")
    return asked


def setup(seed: int = 0) -> Profile:
    """Begin a chapter: choose the profile, seed everything, set the threads, print one line.

    Parameters
    ----------
    seed : int
        Seed of torch, numpy and Python's ``random``. What dakit draws itself has its own ``seed`` argument.

    Returns
    -------
    Profile
        ``profile.pick(smoke=…, teach=…, full=…)`` gives the sizes.

    Raises
    ------
    ValueError
        If ``DAKIT_PROFILE`` is none of smoke, teach, full.
    """
    global _current
    name = profile_name()
    started = time.perf_counter()
    import numpy as np
    import torch

    from dakit import __version__

    threads = _threads()
    torch.set_num_threads(threads)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # for libraries that load later (umap's numba)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - what a reader's own cells draw
    torch.manual_seed(seed)
    _current = Profile(name, seed, _device(torch), threads, started)
    slow = " (paper scale without a GPU: expect hours)" if name == "full" and _current.device == "cpu" else ""
    print(
        f"profile {name}{slow} · {_describe(_current)} · dakit {__version__}, "
        f"torch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()} · seed {seed}"
    )
    return _current


def current_profile() -> Profile:
    """The profile of the chapter that runs now; a fresh one where :func:`setup` was not called."""
    return _current if _current is not None else Profile(profile_name())


def _describe(profile: Profile) -> str:
    if profile.device != "cpu":
        return profile.device
    return f"cpu, {profile.threads} thread{'s' if profile.threads > 1 else ''}"


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _threads() -> int:
    """Threads worth using: what the container may use, not what the machine has.

    On a Binder or JupyterHub pod ``os.cpu_count()`` tells the cores of the whole node while the pod is held to
    one or two by its cgroup; a thread per core of the node then makes everything slower. One core is left to the
    browser and the server: OpenMP threads that wait for a busy core spin, at many times the cost of their work.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    limits = [float(_cores()), *_quotas()]
    return max(1, min(MOST_THREADS, int(min(limits)) - 1))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(cgroup: Path = Path("/sys/fs/cgroup")) -> list[float]:
    """Core limits set from outside: JupyterHub's ``CPU_LIMIT`` and the cgroup's quota (version 2 or 1)."""
    found = []
    with suppress(KeyError, ValueError):
        found.append(float(os.environ["CPU_LIMIT"]))
    with suppress(OSError, ValueError):  # no such file, or "max": no limit
        quota, period = (cgroup / "cpu.max").read_text().split()
        found.append(int(quota) / int(period))
    with suppress(OSError, ValueError):
        quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        found.append(int(quota) / int(period))
    return [limit for limit in found if limit > 0]
