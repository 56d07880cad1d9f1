"""The package as a whole: what importing it costs, what it exports, what may import what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dakit

ROOT = Path(dakit.__file__).parent
HEAVY = (
    "umap",
    "plotly",
    "seaborn",
    "matplotlib",
    "sklearn",
    "pandas",
    "scipy",
    "torchmetrics",
    "ot",
    "ipywidgets",
    "numba",
    "PIL",
)

# design: arrows run downhill only; the ground floor imports nothing of dakit's other folders
ALLOWED = {
    "domains": set(),
    "losses": set(),
    "metrics": set(),
    "models": set(),
    "methods": {"models", "losses", "metrics", "domains"},
    "training": {"methods", "models", "losses", "metrics", "domains"},
    "views": {"training", "methods", "models", "losses", "metrics", "domains"},
    "bench": {"views", "training", "methods", "models", "losses", "metrics", "domains"},
    "course": {"bench", "views", "training", "methods", "models", "losses", "metrics", "domains"},
}


def newly_imported(first: str, then: str) -> set[str]:
    """Top-level modules that ``then`` loads in a fresh process in which ``first`` ran before."""
    code = f"import sys; {first}; before = set(sys.modules); {then}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {module.split(".")[0] for module in done.stdout.split()}


def test_import_loads_nothing_that_torch_does_not():
    assert newly_imported("import torch", "import dakit") <= {"dakit"}


@pytest.mark.parametrize(
    "name",
    ["domains", "losses", "metrics", "models", "methods", "training", "views", "bench", "course", "cli"],
)
def test_every_part_imports_without_the_heavy_libraries(name):
    assert not newly_imported("import torch, torch.utils.data", f"import dakit.{name}") & set(HEAVY)


def test_everything_public_is_there():
    for name in dakit.__all__:
        assert getattr(dakit, name) is not None
    for part in ALLOWED:
        module = getattr(dakit, part)
        missing = [n for n in module.__all__ if not hasattr(module, n)]
        assert not missing, f"dakit.{part} exports names that it does not have: {missing}"


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_downhill(part):
    for path in (ROOT / part).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            for name in names:
                pieces = name.split(".")
                if pieces[0] == "dakit" and len(pieces) > 1 and pieces[1] in ALLOWED:
                    assert pieces[1] in ALLOWED[part] | {part}, f"{path.relative_to(ROOT)} imports {name}"


def test_every_metric_loss_and_method_is_in_the_documentation():
    listed = set((ROOT.parent / "docs" / "api.md").read_text(encoding="utf-8").split())
    for part in ("metrics", "losses"):
        assert {f"{part}.{name}" for name in getattr(dakit, part).__all__} <= listed
    assert {f"methods.{where.rpartition('.')[2]}" for where in dakit.methods._METHODS.values()} <= listed


def test_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        dakit.nonsense  # noqa: B018


def test_wheel_carries_the_data(tmp_path):
    """An installed dakit needs no checkout."""
    hatch = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(hatch, cwd=ROOT.parent, check=True, capture_output=True)
    import zipfile

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"dakit/data/emoji.npz", "dakit/data/digits.npz", "dakit/py.typed", "dakit/cli.py"} <= names
    assert not [n for n in names if n.startswith(("tests/", "notebooks/"))]
