"""Build the site: stage pages and chapter sources into one folder, then run Sphinx on it with warnings as errors.

python docs/build.py [--profile teach]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT / "docs" / "_build" / "source"
HTML = ROOT / "docs" / "_build" / "html"


def stage() -> None:
    """Copy what the site is made of; chapters keep their folders."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(
        ROOT / "notebooks" / "source", STAGE / "chapters", ignore=shutil.ignore_patterns("__pycache__")
    )
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, STAGE)
    shutil.copy(ROOT / "CHANGELOG.md", STAGE / "changelog.md")
    cards = [p for p in sorted((ROOT / "data").glob("*.md")) if p.name != "README.md"]
    for card in cards:
        (STAGE / "cards").mkdir(exist_ok=True)
        shutil.copy(card, STAGE / "cards")
    listing = "\n".join(f"cards/{card.stem}" for card in cards)
    (STAGE / "data.md").write_text(
        f"# Data\n\nOne card a bundled set.\n\n```{{toctree}}\n:maxdepth: 1\n\n{listing}\n```\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="teach", choices=("smoke", "teach", "full"))
    profile = parser.parse_args().profile
    stage()
    env = dict(os.environ, DAKIT_PROFILE=profile)
    sphinx = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-c",
        str(ROOT / "docs"),
    ]
    done = subprocess.run([*sphinx, str(STAGE), str(HTML)], env=env, check=False)
    if done.returncode == 0:
        print(f"open {HTML.relative_to(ROOT)}/index.html")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
