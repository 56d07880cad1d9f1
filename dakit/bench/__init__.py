"""Methods × shifts × seeds: tasks, comparisons, and the demo."""

from importlib import import_module as _import_module

_HOMES = {
    "Task": "task",
    "make_task": "task",
    "Comparison": "comparison",
    "Result": "comparison",
    "compare": "comparison",
    "PAIRS": "demo",
    "run_demo": "demo",
    "Ranks": "ranks",
    "rank_methods": "ranks",
    "ShiftReport": "report",
    "shift_report": "report",
}

__all__ = [
    "PAIRS",
    "Comparison",
    "Ranks",
    "Result",
    "ShiftReport",
    "Task",
    "compare",
    "make_task",
    "rank_methods",
    "run_demo",
    "shift_report",
]


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(_import_module(f"dakit.bench.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dakit.bench' has no attribute {name!r}")
