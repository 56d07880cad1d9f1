"""``course.provenance``: what a chapter ran on, at its end, so that its numbers can be traced."""

from __future__ import annotations

import html
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dakit.course.profile import current_profile

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "umap-learn", "plotly")


class Provenance:
    """Facts about a run, as a small table; ``provenance.facts`` is a plain dict."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        self.facts = dict(facts)

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        return "\n".join(f"{key:<{width}}  {value}" for key, value in self.facts.items())

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(k)}</th>'
            f'<td style="text-align:left">{html.escape(v)}</td></tr>'
            for k, v in self.facts.items()
        )
        table = f'<table aria-label="provenance">{rows}</table>'
        return {"text/html": table, "text/plain": str(self)}, {"dakit": {"provenance": self.facts}}


def provenance() -> Provenance:
    """Versions, device, seed, seconds since ``setup``, peak memory and, in a checkout, the git commit.

    Returns
    -------
    Provenance
        Shows itself at the end of a cell. Holds no user name, host name or path.
    """
    import torch

    from dakit import __version__

    profile = current_profile()
    device = torch.cuda.get_device_name() if profile.device == "cuda" else profile.device
    facts = {
        "profile": profile.name,
        "seed": str(profile.seed),
        "device": device
        if profile.device != "cpu"
        else f"cpu, {torch.get_num_threads()} threads, {platform.machine()}",
        "seconds": f"{time.perf_counter() - profile.started:.0f}",
    }
    peak = peak_memory_mb()
    if peak is not None:
        facts["peak memory"] = f"{peak:.0f} MB"
    facts["dakit"] = __version__ + (f", commit {commit}" if (commit := git_commit()) else "")
    facts["Python"] = platform.python_version()
    facts |= {name: _version(name) for name in PACKAGES}
    return Provenance(facts)


def peak_memory_mb() -> float | None:
    """The most memory this process has held, in MB; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
        import sys
    except ModuleNotFoundError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 1024


def git_commit(folder: Path | None = None) -> str | None:
    """Short hash of dakit's own checkout, with ``+changes`` if files differ from it; None outside a checkout."""
    root = Path(__file__).resolve().parents[2] if folder is None else folder
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (
            " +changes" if git("status", "--porcelain", "-uno") else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
