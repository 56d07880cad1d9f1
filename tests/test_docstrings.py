"""What is public is documented: examples are right, and every parameter is explained."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import dakit

PARTS = ("domains", "losses", "metrics", "models", "methods", "training", "views", "bench", "course")
MODULES = [m.name for m in pkgutil.walk_packages(dakit.__path__, "dakit.") if not m.name.endswith("__main__")]


def public():
    for part in PARTS:
        home = importlib.import_module(f"dakit.{part}")
        for name in home.__all__:
            thing = getattr(home, name)
            if inspect.isfunction(thing):
                yield f"{part}.{name}", thing


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_right(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


@pytest.mark.parametrize(("name", "function"), list(public()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_parameter_is_explained(name, function):
    from numpydoc.docscrape import FunctionDoc

    text = inspect.getdoc(function) or ""
    assert text.strip(), f"{name} has no docstring"
    described = {
        part.strip().lstrip("*")
        for entry in FunctionDoc(function)["Parameters"]
        for part in entry.name.split(",")
    }
    taken = set(inspect.signature(function).parameters)
    if not described and ":func:" in text:
        return  # a variant that refers to its sibling for the parameters
    assert taken <= described, f"{name} does not explain {sorted(taken - described)}"
    assert described <= taken, f"{name} explains {sorted(described - taken)}, which it does not take"
