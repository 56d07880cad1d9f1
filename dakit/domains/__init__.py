"""What shifts: domains, where they come from, and shifts whose truth is known.

Loaders: :func:`load` (bundled sets), :func:`from_arrays`, :func:`from_npz`, :func:`from_npy`,
:func:`from_csv`, :func:`from_parquet`, :func:`from_folder`, :func:`from_image_list`, :func:`from_datasets`;
:func:`open_domain` opens whatever a string names. Controlled shifts: :mod:`dakit.domains.shifts`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from dakit.domains.domain import Domain, DomainSet

_FROM = {
    "align_classes": "classes",
    "bundled": "bundled_sets",
    "category_gap": "private_classes",
    "check_same_shape": "classes",
    "from_arrays": "arrays",
    "from_csv": "tables",
    "from_datasets": "hub",
    "from_folder": "folders",
    "from_image_list": "image_lists",
    "from_npy": "arrays",
    "from_npz": "arrays",
    "from_parquet": "tables",
    "load": "bundled_sets",
    "load_sentiment_texts": "sentiment_texts",
    "open_domain": "opening",
    "open_pair": "opening",
    "pool": "pooling",
    "with_classes": "classes",
}

__all__ = [
    "Domain",
    "DomainSet",
    "align_classes",
    "bundled",
    "category_gap",
    "check_same_shape",
    "from_arrays",
    "from_csv",
    "from_datasets",
    "from_folder",
    "from_image_list",
    "from_npy",
    "from_npz",
    "from_parquet",
    "load",
    "load_sentiment_texts",
    "open_domain",
    "open_pair",
    "pool",
    "shifts",
    "with_classes",
]

if TYPE_CHECKING:
    from dakit.domains import shifts
    from dakit.domains.arrays import from_arrays, from_npy, from_npz
    from dakit.domains.bundled_sets import bundled, load
    from dakit.domains.classes import align_classes, check_same_shape, with_classes
    from dakit.domains.folders import from_folder
    from dakit.domains.hub import from_datasets
    from dakit.domains.image_lists import from_image_list
    from dakit.domains.opening import open_domain, open_pair
    from dakit.domains.pooling import pool
    from dakit.domains.private_classes import category_gap
    from dakit.domains.sentiment_texts import load_sentiment_texts
    from dakit.domains.tables import from_csv, from_parquet


def __getattr__(name: str):
    if name == "shifts":
        return _import_module("dakit.domains.shifts")
    if name in _FROM:
        value = getattr(_import_module(f"dakit.domains.{_FROM[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dakit.domains' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
