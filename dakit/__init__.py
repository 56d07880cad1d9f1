"""dakit: a lab bench and a textbook for distribution shift.

Everything is reached from here and loaded on first use, so that ``import dakit`` costs no more than
``import torch``:

>>> import dakit
>>> emoji = dakit.load("emoji")
>>> emoji.names[0]
'noto'
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_SUBPACKAGES = ("bench", "course", "domains", "losses", "methods", "metrics", "models", "training", "views")
_SHORTCUTS = {
    "Domain": "dakit.domains",
    "DomainSet": "dakit.domains",
    "load": "dakit.domains",
    "Run": "dakit.training",
    "evaluate": "dakit.training",
    "fit": "dakit.training",
    "shift_report": "dakit.bench",
}

__all__ = ["__version__", *_SUBPACKAGES, *sorted(_SHORTCUTS)]

if TYPE_CHECKING:
    from dakit import bench, course, domains, losses, methods, metrics, models, training, views
    from dakit.bench import shift_report
    from dakit.domains import Domain, DomainSet, load
    from dakit.training import Run, evaluate, fit


def __getattr__(name: str):
    if name in _SUBPACKAGES:
        return _import_module(f"dakit.{name}")
    if name in _SHORTCUTS:
        value = getattr(_import_module(_SHORTCUTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dakit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
