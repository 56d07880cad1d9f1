"""Build ``penguins.npz``: four body measures of three species of penguins, female or male.

python data/build/build_penguins.py --cache CACHE [--check]
"""

from __future__ import annotations

import csv

import numpy as np
from packages import command_line, finish, member, pypi

PACKAGE = ("palmerpenguins", "0.1.6")
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
CLASSES = ["female", "male"]
DOMAINS = ["Adelie", "Chinstrap", "Gentoo"]


def arrays_of(table: str) -> dict[str, np.ndarray]:
    """The complete rows of the table, species after species, in its order within a species."""
    rows = [row for row in csv.DictReader(table.splitlines()) if "NA" not in row.values()]
    rows.sort(key=lambda row: DOMAINS.index(row["species"]))  # stable
    return {
        "x": np.array([[float(row[key]) for key in MEASURES] for row in rows], np.float32),
        "y": np.array([CLASSES.index(row["sex"]) for row in rows], np.uint8),
        "domain": np.array([DOMAINS.index(row["species"]) for row in rows], np.uint8),
        "classes": np.array(CLASSES),
        "domains": np.array(DOMAINS),
        "features": np.array(MEASURES),
        "meta_island": np.array([row["island"] for row in rows]),
        "meta_year": np.array([int(row["year"]) for row in rows], np.int16),
    }


def main() -> None:
    options = command_line("Build penguins.npz.")
    table = member(pypi(*PACKAGE, options.cache), "palmerpenguins/data/penguins.csv").decode()
    finish({"penguins": arrays_of(table)}, options)


if __name__ == "__main__":
    main()
