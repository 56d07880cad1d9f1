"""Fixtures of the domain tests: the scripts of ``data/build`` as modules."""

import importlib
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[2] / "data" / "build"


@pytest.fixture
def build(monkeypatch):
    """``build(name)`` imports ``data/build/name.py`` the way the scripts import each other."""
    monkeypatch.syspath_prepend(str(BUILD))
    return importlib.import_module
