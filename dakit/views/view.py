"""``View``: one picture with all its faces."""

import base64
import html
import io
import json
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from dakit.views.palette import EDGE, PLOTLY_CONFIG, QUIET, matplotlib_style

PLOTLY_MIME = "application/vnd.plotly.v1+json"


class View:
    """A picture that shows in a notebook, and can be taken along as PNG, SVG or self-contained HTML.

    In Jupyter the last value of a cell is enough. The still picture with its alt text is always part of the
    output, so that it also shows on pages that run no scripts; where an interactive face adds something, it is
    a plain plotly figure, which needs no kernel and no network.

    Parameters
    ----------
    title : str
    alt : str
        What the picture shows, in words made from the data.
    draw : callable
        ``draw(narrow) -> matplotlib.figure.Figure`` with constrained layout, without title and note; with ``narrow``
        the panels stand below each other, for screens as small as 360 pixels.
    note : str
        A sentence printed below the picture.
    plotly : callable, optional
        ``plotly() -> plotly.graph_objects.Figure``: the interactive face in Jupyter.
    panels : callable, optional
        ``panels() -> list of Figure``: the interactive face on a page, when it differs from ``plotly``.
    legend : sequence of (key, label, colour, marker), optional
        Entries of the page's legend. A trace belongs to an entry if ``key`` is in its ``meta["keys"]``.
    moments : sequence of str, optional
        What to print beside the slider for each frame.
    linked : bool
        Whether point i of a trace is the same example in all panels, so that hovering and selecting in one
        shows in the others.
    """

    def __init__(
        self,
        title: str,
        alt: str,
        draw: Callable[[bool], Any],
        *,
        note: str = "",
        plotly: Callable[[], Any] | None = None,
        panels: Callable[[], list[Any]] | None = None,
        legend: Sequence[tuple] = (),
        moments: Sequence[str] = (),
        linked: bool = False,
    ) -> None:
        self.title, self.alt, self.note = title, alt, note
        self.legend, self.moments, self.linked = tuple(legend), tuple(moments), linked
        self._draw, self._plotly, self._panels = draw, plotly, panels
        self._png: dict[tuple[int, bool, bool], bytes] = {}

    def __repr__(self) -> str:
        return f"{self.title}. {self.alt}"

    # -- still faces ----------------------------------------------------------------------------------------

    def figure(self, *, narrow: bool = False, titled: bool = True):
        """The still picture, a new ``matplotlib.figure.Figure`` each time.

        Parameters
        ----------
        narrow : bool
            Panels below each other, 360 pixels wide.
        titled : bool
            Whether title and note are part of the picture.
        """
        with matplotlib_style():
            return self._make(narrow, titled)

    def _make(self, narrow: bool, titled: bool):
        figure = self._draw(narrow)
        if titled:
            write_words(figure, self.title, self.note)
        return figure

    def png(self, *, dpi: int = 144, narrow: bool = False, titled: bool = True) -> bytes:
        """The still picture as PNG; 144 dots per inch are one and a half pixels for one on a usual screen."""
        key = (dpi, narrow, titled)
        if key not in self._png:
            # The text chunk carries the alt text, so a picture that is passed on keeps it.
            said = {"Title": self.title, "Description": self.alt}
            self._png[key] = self._print("png", narrow, titled, dpi=dpi, metadata=said)
        return self._png[key]

    def svg(self, *, narrow: bool = False, titled: bool = True) -> str:
        """The still picture as SVG, with title and description for screen readers."""
        text = self._print("svg", narrow, titled, metadata={"Date": None}).decode()
        at = text.index("<svg")
        end = text.index(">", at)
        said = f"<title>{escape(self.title)}</title><desc>{escape(self.alt)}</desc>"
        return f'{text[at:end]} role="img">{said}{text[end + 1 :]}'

    def _print(self, kind: str, narrow: bool, titled: bool, **options) -> bytes:
        out = io.BytesIO()
        with matplotlib_style(), warnings.catch_warnings():
            # A label in a script that the font lacks is drawn as boxes; that is no reason to warn 200 times.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            self._make(narrow, titled).savefig(out, format=kind, **options)
        return out.getvalue()

    # -- interactive faces ----------------------------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """Whether there is more than the still."""
        return self._plotly is not None

    def plotly(self):
        """The interactive face as a ``plotly.graph_objects.Figure``; None where the still says it all."""
        return None if self._plotly is None else self._plotly()

    def panels(self) -> list[Any]:
        """The plotly figures that a page shows side by side, or below each other where it is narrow."""
        if self._panels is not None:
            return self._panels()
        return [] if self._plotly is None else [self._plotly()]

    def html(self) -> str:
        """One page that opens from disk, without kernel or network, and reads without scripts."""
        from dakit.views.page import page

        return page(self.title, self).html()

    def save(self, path: str | Path) -> Path:
        """Write the view to ``path``; the extension says how: .png, .svg or .html."""
        path = Path(path)
        makers = {".png": self.png, ".svg": self.svg, ".html": self.html}
        if path.suffix.lower() not in makers:
            raise ValueError(f"a view is saved as .png, .svg or .html, got {path.name!r}")
        made = makers[path.suffix.lower()]()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8"))
        return path

    # -- Jupyter --------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, Any], dict[str, Any]]:
        png = base64.b64encode(self.png()).decode()
        width, height = (int(96 * inches) for inches in self.figure().get_size_inches())
        # JupyterLab and nbconvert take alt text from HTML; of a plain PNG JupyterLab leaves it out.
        image = (
            f'<img src="data:image/png;base64,{png}" alt="{html.escape(self.alt)}" width="{width}" '
            'style="max-width:100%;height:auto">'
        )
        data: dict[str, Any] = {"text/plain": repr(self), "text/html": image}
        figure = self.plotly()
        if figure is None:
            data["image/png"] = png
        else:
            # No image/png beside it: JupyterLab's plotly renderer would show that instead of the figure.
            data[PLOTLY_MIME] = json.loads(figure.to_json()) | {"config": PLOTLY_CONFIG}
        metadata = {"image/png": {"alt": self.alt, "width": width, "height": height}}
        if include:
            data = {k: v for k, v in data.items() if k in include}
        data = {k: v for k, v in data.items() if k not in (exclude or ())}
        return data, {k: v for k, v in metadata.items() if k in data}


def write_words(figure, title: str, note: str) -> None:
    """Title above and note below a figure, both from the left edge, wrapped to its width."""
    inches = figure.get_size_inches()[0]
    left = {"x": EDGE / inches, "ha": "left"}
    if title:
        figure.suptitle(
            "\n".join(textwrap.wrap(title, int(inches * 8.4))), fontsize=13, fontweight="bold", **left
        )
    if note:
        figure.supxlabel("\n".join(textwrap.wrap(note, int(inches * 14))), fontsize=8.5, color=QUIET, **left)
