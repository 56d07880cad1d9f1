import base64
import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from dakit.views import View
from dakit.views.view import PLOTLY_MIME


def plain(narrow):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 3) if narrow else (4, 3), layout="constrained")
    figure.subplots().plot([0, 1], [1, 0], label="$x_{")
    figure.axes[0].set_title("a$b$ <c> 猫")
    return figure


def lively():
    import plotly.graph_objects as go

    return go.Figure(go.Scatter(x=[1], y=[2]))


def view(**options):
    return View("A <title>", 'Alt "text" & more', plain, note="Note.", **options)


def opened(png):
    return Image.open(io.BytesIO(png))


def test_png_has_the_size_asked_for_and_carries_its_alt_text():
    image = opened(view().png(dpi=100))
    assert image.size == (400, 300)
    assert image.info["Description"] == 'Alt "text" & more'
    assert opened(view().png(dpi=100, narrow=True)).size == (200, 300)
    assert len(set(image.convert("RGB").getdata())) > 10, "the picture is empty"


def test_title_and_note_can_be_left_to_the_page():
    texts = lambda f: [t.get_text() for t in (f._suptitle, f._supxlabel) if t is not None]  # noqa: E731
    assert texts(view().figure()) == ["A <title>", "Note."]
    assert texts(view().figure(titled=False)) == []


def test_svg_is_xml_with_title_and_description():
    root = ElementTree.fromstring(view().svg())
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.find(f"{space}title").text == "A <title>"
    assert root.find(f"{space}desc").text == 'Alt "text" & more'


def test_equal_pictures_give_equal_files():
    assert view().png() == view().png()
    assert view().svg() == view().svg()


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    view().png()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("b.SVG", b"<svg"), ("new/c.html", b"<!DOCTYPE html>")]
)
def test_the_extension_says_how_to_save(tmp_path, name, begins):
    path = view().save(tmp_path / name)
    assert path.read_bytes().startswith(begins)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.pdf"])
def test_another_extension_is_an_error(tmp_path, name):
    with pytest.raises(ValueError, match=r"saved as \.png, \.svg or \.html"):
        view().save(tmp_path / name)


def test_a_still_view_in_jupyter_is_a_png_with_alt_text():
    data, metadata = view()._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html", "image/png"}
    assert opened(base64.b64decode(data["image/png"])).size == (576, 432)
    assert metadata["image/png"] == {"alt": 'Alt "text" & more', "width": 384, "height": 288}
    assert 'alt="Alt &quot;text&quot; &amp; more"' in data["text/html"]
    assert data["text/plain"] == 'A <title>. Alt "text" & more'


def test_an_interactive_view_in_jupyter_is_a_plain_plotly_figure_with_the_picture_as_html():
    data, metadata = view(plotly=lively)._repr_mimebundle_()
    assert data[PLOTLY_MIME]["data"][0]["type"] == "scatter"
    assert data[PLOTLY_MIME]["config"]["showSendToCloud"] is False
    assert data[PLOTLY_MIME]["config"]["displaylogo"] is False
    assert "data:image/png;base64," in data["text/html"]
    assert "image/png" not in data, "JupyterLab's plotly renderer would show it instead of the figure"
    assert metadata == {}


def test_ipython_can_ask_for_some_forms_only():
    assert set(view()._repr_mimebundle_(include={"image/png"})[0]) == {"image/png"}
    assert "text/html" not in view()._repr_mimebundle_(exclude={"text/html"})[0]


def test_views_load_nothing_heavy():
    heavy = ["matplotlib", "plotly", "umap", "numba", "sklearn", "pandas", "ipywidgets"]
    code = f"import sys, dakit.views; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
