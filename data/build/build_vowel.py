"""Build ``vowel.npz``: eleven English vowels of fifteen speakers as nine numbers each.

The table comes from Debian's package of R's mlbench (``apt-get download``), read with ``dpkg-deb`` and ``rdata``.

    python data/build/build_vowel.py --cache CACHE [--check]
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from packages import command_line, finish

PACKAGE = ("r-cran-mlbench", "2.1-3-1")
TABLE = "./usr/lib/R/site-library/mlbench/data/Vowel.rda"
FEATURES = [f"V{i}" for i in range(2, 11)]
# The name of each class in the table, and the word that its speakers said.
WORDS = {
    "hid": "heed",
    "hId": "hid",
    "hEd": "head",
    "hAd": "had",
    "hYd": "hud",
    "had": "hard",
    "hOd": "hod",
    "hod": "hoard",
    "hUd": "hood",
    "hud": "who'd",
    "hed": "heard",
}


def debian(name: str, version: str, cache: Path) -> Path:
    """Archive of Debian's ``name=version`` in ``cache``."""

    def found() -> Path | None:
        return next(iter(sorted(cache.glob(f"{name}_{version}_*.deb"))), None)

    if found() is None:
        subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=cache, check=True, stdout=sys.stderr)
    archive = found()
    if archive is None:
        raise FileNotFoundError(f"apt-get brought no archive of {name}={version} into {cache}")
    return archive


def arrays_of(speaker: np.ndarray, x: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of rows that come speaker after speaker; a speaker's rows repeat the vowels segment after segment.

    Parameters
    ----------
    speaker : array of shape (n,)
        0 .. 14.
    x : array of shape (n, 9)
    label : array of shape (n,)
        Names as in the table, keys of ``WORDS``.
    """
    speaker = speaker.astype(int)
    names = list(WORDS)
    y = np.array([names.index(name) for name in label], np.uint8)
    segment = np.empty(len(y), np.uint8)
    for s in np.unique(speaker):
        for c in range(len(names)):
            at = np.flatnonzero((speaker == s) & (y == c))
            segment[at] = np.arange(len(at))
    order = np.argsort(speaker, kind="stable")
    return {
        "x": x.astype(np.float32)[order],
        "y": y[order],
        "domain": speaker.astype(np.uint8)[order],
        "classes": np.array(list(WORDS.values())),
        "domains": np.array([f"speaker-{s:02d}" for s in range(speaker.max() + 1)]),
        "features": np.array([f"V{i}" for i in range(2, 2 + x.shape[1])]),  # mlbench's names
        "meta_segment": segment[order],
    }


def main() -> None:
    import rdata

    options = command_line("Build vowel.npz.")
    archive = debian(*PACKAGE, options.cache)
    unpacked = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", archive], check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as files:
        packed = files.extractfile(TABLE).read()
    table = rdata.conversion.convert(rdata.parser.parse_data(packed), default_encoding="ascii")["Vowel"]
    arrays = arrays_of(
        table["V1"].to_numpy(str), table[FEATURES].to_numpy(np.float64), table["Class"].to_numpy(str)
    )
    finish({"vowel": arrays}, options)


if __name__ == "__main__":
    main()
