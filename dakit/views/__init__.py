"""Pictures and widgets: every view has a still face (PNG, SVG, HTML) and, where it adds something, a live one.

The modules here are light; matplotlib, plotly, umap and ipywidgets load when a picture is made.
"""

from dakit.views.alignment import alignment
from dakit.views.dots import dots
from dakit.views.embedding import embedding
from dakit.views.gallery import gallery
from dakit.views.history import history
from dakit.views.knobs import knobs
from dakit.views.ladder import ladder
from dakit.views.layout import Layout, layout, warm_up
from dakit.views.matrix import matrix
from dakit.views.page import Page, heading, page, table
from dakit.views.plane import plane
from dakit.views.ranks import ranks
from dakit.views.samples import samples
from dakit.views.scene import Scene, scene
from dakit.views.shares import shares
from dakit.views.shift_bars import shift_bars
from dakit.views.view import View

__all__ = [
    "Layout",
    "Page",
    "Scene",
    "View",
    "alignment",
    "dots",
    "embedding",
    "gallery",
    "heading",
    "history",
    "knobs",
    "ladder",
    "layout",
    "matrix",
    "page",
    "plane",
    "ranks",
    "samples",
    "scene",
    "shares",
    "shift_bars",
    "table",
    "warm_up",
]
