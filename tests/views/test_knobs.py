import base64
import time

import pytest

from dakit import views
from dakit.views.knobs_widget import FAST


def picture(severity=0.0):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.subplots().barh([0], [severity])
    return figure


def test_moving_a_slider_draws_a_new_picture_with_its_alt_text():
    seen = []

    def draw(severity, kind="blur"):
        seen.append((severity, kind))
        return picture(severity)

    made = views.knobs(draw, severity=(0, 1, 0.1), kind=["noise", "blur"])
    assert made.values == {"severity": 0.0, "kind": "blur"}
    before = made.png()
    made.sliders["severity"].value = 0.5
    assert seen == [(0.0, "blur"), (0.5, "blur")]
    assert made.png() != before
    assert base64.b64encode(made.png()).decode() in made.picture.value
    assert 'alt="Picture for severity 0.5, kind blur."' in made.picture.value
    made.sliders["kind"].value = "noise"
    assert seen[-1] == (0.5, "noise")


def test_a_view_brings_its_own_alt_text():
    made = views.knobs(lambda mmd: views.shift_bars({"a": {"mmd": mmd}}), mmd=(0.0, 1.0, 0.25))
    made.sliders["mmd"].value = 0.25
    assert made.alt == "Bars for 1 metric. MMD²: a 0.25. Drawn for mmd 0.25."


def test_an_error_is_a_sentence_and_the_picture_stays():
    def draw(severity):
        if severity > 0.5:
            raise ValueError("too <b>far</b>\nby half")
        return picture(severity)

    made = views.knobs(draw, severity=(0, 1, 0.5))
    kept = made.picture.value
    made.sliders["severity"].value = 1.0
    assert made.picture.value == kept
    assert "No picture for severity 1. ValueError: too &lt;b&gt;far&lt;/b&gt; by half" in made.message.value
    assert "Traceback" not in made.message.value
    made.sliders["severity"].value = 0.5
    assert made.message.value == ""
    assert made.picture.value != kept


def test_the_bundle_holds_the_widget_and_a_still_for_places_without_widgets():
    made = views.knobs(picture, severity=(0.0, 1.0))
    data, metadata = made._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]) == made.png()
    assert metadata["image/png"]["alt"] == made.alt


def test_the_saved_state_holds_value_and_picture():
    made = views.knobs(picture, severity=(0.0, 1.0, 0.1))
    made.sliders["severity"].value = 0.3
    assert made.sliders["severity"].get_state()["value"] == 0.3
    assert "severity 0.3" in made.picture.get_state()["value"]


def test_text_is_shown_as_text():
    made = views.knobs(lambda n: f"<b>{n}</b>", n=(1, 5))
    assert "&lt;b&gt;1&lt;/b&gt;" in made.picture.value
    assert made.png() is None
    assert "image/png" not in made._repr_mimebundle_()


def test_a_quick_picture_follows_the_slider_and_a_slow_one_waits_for_the_release():
    def slow(severity):
        time.sleep(FAST + 0.05)
        return ""

    assert views.knobs(lambda severity: "", severity=(0.0, 1.0)).sliders["severity"].continuous_update
    assert not views.knobs(slow, severity=(0.0, 1.0)).sliders["severity"].continuous_update


def test_kinds_of_controls():
    import ipywidgets as widgets

    made = views.knobs(
        lambda **values: "",
        n=(1, 9),
        part=(0, 1),
        step=(0.0, 1.0, 0.05),
        on=True,
        kind=["a"],
        own=widgets.IntText(3),
    )
    kinds = {name: type(w).__name__ for name, w in made.sliders.items()}
    assert kinds == {
        "n": "IntSlider",
        "part": "FloatSlider",
        "step": "FloatSlider",
        "on": "Checkbox",
        "kind": "Dropdown",
        "own": "IntText",
    }
    assert made.sliders["step"].readout_format == ".2f"
    assert made.values["own"] == 3


@pytest.mark.parametrize("wrong", [(1, 0), (0, 1, 0), (0, 1, 2, 3), "abc", [], ("a", "b"), None])
def test_a_range_of_another_form_is_named(wrong):
    with pytest.raises(ValueError, match="severity must be"):
        views.knobs(lambda severity: "", severity=wrong)


def test_no_ranges_is_an_error():
    with pytest.raises(ValueError, match="at least one range"):
        views.knobs(lambda: "")


def test_another_result_of_draw_is_named():
    assert "draw must give a View" in views.knobs(lambda n: 3, n=(1, 3)).message.value
