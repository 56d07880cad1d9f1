"""What this machine offers to dakit: versions, device, memory, widgets, browser."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "umap-learn",
    "plotly",
    "seaborn",
    "ipywidgets",
    "anywidget",
    "jupyterlab",
    "POT",
    "torchmetrics",
    "safetensors",
)
OPTIONAL = {"transformers": "hub", "datasets": "hub", "dask": "sweep", "sphinx": "docs", "pytest": "dev"}


def examine() -> dict[str, Any]:
    """Everything ``dakit doctor`` prints, as plain values. ``problems`` lists what would stop a chapter."""
    import torch

    import dakit

    problems = [f"{name} is not installed: pip install {name}" for name in PACKAGES if version(name) is None]
    memory = memory_gib()
    if memory is not None and memory["available"] < 1.0:
        problems.append(f"only {memory['available']:.1f} GiB of memory are free; chapters need about 1 GiB")
    if version("jupyterlab_widgets") is None:
        problems.append(
            "jupyterlab_widgets is not installed, so widgets will not show: pip install ipywidgets"
        )
    return {
        "dakit": dakit.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in PACKAGES},
        "optional": {name: version(name) for name in OPTIONAL},
        "device": device(torch),
        "cpus": cpus(),
        "torch_threads": torch.get_num_threads(),
        "memory_gib": memory,
        "widgets": {name: version(name) for name in ("ipywidgets", "jupyterlab_widgets", "anywidget")},
        "chromium": chromium(),
        "problems": problems,
    }


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def device(torch: Any) -> str:
    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name(0)}"
    if torch.backends.mps.is_available():
        return "mps: Apple GPU"
    return "cpu"


def cpus() -> int:
    """Cores that this process may use, which in a container is less than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()[:2]
        if limit != "max":
            count = min(count, max(1, round(int(limit) / int(period))))
    return count


def memory_gib() -> dict[str, float] | None:
    """Total and available memory in GiB, the container's limit respected; None where the system does not tell."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    rows = dict(line.split(":", 1) for line in info.read_text().splitlines())
    total, available = (int(rows[k].split()[0]) / 2**20 for k in ("MemTotal", "MemAvailable"))
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and limit.read_text().strip() != "max":
        cap = int(limit.read_text()) / 2**30
        total = min(total, cap)
        if used.is_file():
            available = min(available, max(0.0, cap - int(used.read_text()) / 2**30))
    return {"total": round(total, 2), "available": round(available, 2)}


def chromium() -> str | None:
    """Path of a Chromium or Chrome, needed by the browser tests only."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return None
