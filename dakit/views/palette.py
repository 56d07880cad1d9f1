"""Colours, markers and the look that all pictures share.

Colour tells the class, the shape of the marker tells the domain: source points are filled circles, target points
open triangles, so that a picture still reads in grey. The colours are those of Okabe and Ito (2008, "Color
universal design"), which people with any common colour vision can tell apart, followed by darker ones of Paul
Tol's qualitative schemes for tasks with more classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SOURCE = "#0072B2"
TARGET = "#D55E00"
INK = "#222222"
QUIET = "#6B6B6B"  # 5.3 : 1 on white, still fit for small text
GRID = "#E8E8E8"
EDGE = 0.09  # inches between the edge of a picture and what is in it
UNKNOWN = "#8C8C8C"  # points without a label

CLASSES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#882255",
    "#8A8A20",
    "#444444",
    "#332288",
)
DOMAINS = (SOURCE, TARGET, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#444444")


@dataclass(frozen=True)
class Marker:
    """One shape in its three spellings: matplotlib, plotly, and a word for people."""

    matplotlib: str
    plotly: str
    word: str
    filled: bool


MARKERS = (
    Marker("o", "circle", "circles", True),
    Marker("^", "triangle-up-open", "open triangles", False),
    Marker("s", "square", "squares", True),
    Marker("D", "diamond-open", "open diamonds", False),
    Marker("P", "cross", "crosses", True),
    Marker("v", "triangle-down-open", "open triangles pointing down", False),
    Marker("*", "star", "stars", True),
    Marker("p", "pentagon-open", "open pentagons", False),
)


def class_colour(index: int) -> str:
    """Colour of a class; grey for -1, which is "no label". Beyond ten classes the colours repeat."""
    return UNKNOWN if index < 0 else CLASSES[index % len(CLASSES)]


def domain_colour(index: int) -> str:
    """Colour of a domain where the classes are not shown: source blue, target vermillion."""
    return DOMAINS[index % len(DOMAINS)]


def domain_marker(index: int) -> Marker:
    """Shape of a domain's points."""
    return MARKERS[index % len(MARKERS)]


@contextmanager
def matplotlib_style() -> Iterator[None]:
    """The look of the stills, for the time of one drawing; matplotlib's own settings are left as they were.

    ``text.parse_math`` is off: a class called ``a$b$`` is drawn as it is spelled.
    """
    import matplotlib

    with matplotlib.rc_context(
        {
            "font.family": "DejaVu Sans",  # comes with matplotlib, so a picture looks the same everywhere
            "font.size": 10,
            "text.color": INK,
            "text.parse_math": False,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 8,
            "axes.labelcolor": QUIET,
            "axes.labelsize": 9.5,
            "axes.edgecolor": "#BDBDBD",
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.unicode_minus": True,
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "xtick.color": QUIET,
            "ytick.color": QUIET,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "xtick.major.size": 0,
            "ytick.major.size": 0,
            "legend.frameon": False,
            "legend.fontsize": 9.5,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.bbox": None,  # the size asked for is the size one gets
            "svg.hashsalt": "dakit",  # equal pictures give equal files
        }
    ):
        yield


def plotly_layout(**extra) -> dict:
    """The same look for plotly: keyword arguments of ``go.Layout``, updated by ``extra``."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": "#BDBDBD",
        "tickfont": {"color": QUIET, "size": 12},
        "title": {"font": {"color": QUIET, "size": 13}},
    }
    look = {
        "template": None,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "font": {
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
            "size": 13,
            "color": INK,
        },
        "hoverlabel": {
            "bgcolor": "white",
            "bordercolor": "#BDBDBD",
            "font": {"color": INK, "size": 13},
            "align": "left",
        },
        "xaxis": axis,
        "yaxis": axis,
        "margin": {"l": 48, "r": 16, "t": 40, "b": 40},
    }
    return look | extra


PLOTLY_CONFIG = {
    # plotly.js 4 shows a button that uploads the figure's data to a server: never.
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displaylogo": False,
    "typesetMath": False,  # a class called "$x$" stays text, and no MathJax is looked for
    "responsive": True,
}
