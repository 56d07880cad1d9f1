"""Sphinx configuration. ``docs/build.py`` stages the pages and calls Sphinx; nothing on the site asks another host."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import dakit

project = "dakit"
author = "The dakit maintainers"
release = dakit.__version__
extensions = [
    "mathml",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
]
html_theme = "sphinx_book_theme"
html_title = "dakit"
html_static_path: list[str] = []
html_theme_options = {"show_toc_level": 2, "use_download_button": False, "icon_links": []}
exclude_patterns = ["_build"]
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header"]

# Chapters are the hand-written sources, executed with their solutions.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_ipywidgets_js: dict[
    str, dict[str, str]
] = {}  # the default links scripts of another host; stills are in the output
nb_mime_priority_overrides = [("html", "text/html", 0), ("html", "image/png", 1)]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]

autosummary_generate = True
autodoc_typehints = "none"  # shapes and types stand in the docstrings
numpydoc_show_class_members = False
