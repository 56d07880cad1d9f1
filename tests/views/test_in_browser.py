"""What a person gets who opens an exported page from disk, without network."""

import numpy as np
import pytest

from dakit import views
from tests import chromium
from tests.views.moments import CLASSES, recorded, training

NASTY = "<img src=x onerror=alert(1)>"
READY = "figure[data-ready=true]"
POSITIONS = "() => document.querySelector('.plot').calcdata.map(trace => trace.map(point => point.x))"
# Where the marks are on the screen, not what the figure was told.
DRAWN = "() => [...document.querySelectorAll('.plot .point')].map(p => p.getAttribute('transform'))"

pytestmark = pytest.mark.browser


def exported(folder, view):
    return view.save(folder / "view.html").as_uri()


def embedding():
    run, ys, yt = training()
    view = views.embedding(
        run, ys=ys, yt=yt, classes=(NASTY, *CLASSES[1:]), names=(NASTY, "mono"), layout="pca"
    )
    return view, run, ys, yt


def test_the_slider_moves_the_points_by_keyboard(tmp_path):
    chromium.find()
    view, run, ys, yt = embedding()
    made = views.scene(run, ys=ys, yt=yt)
    flat = views.layout(made.features, method="pca")
    address = exported(tmp_path, view)
    with chromium.opened(tmp_path) as (page, complaints):
        page.on("dialog", lambda d: complaints.append(f"dialog: {d.message}") or d.dismiss())
        page.goto(address)
        page.wait_for_selector(READY)
        drawn = page.evaluate(DRAWN)
        assert len(drawn) == 130
        slider = page.get_by_role("slider", name="Training snapshot")
        slider.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(f"before => JSON.stringify(({DRAWN})()) !== JSON.stringify(before)", arg=drawn)
        page.wait_for_timeout(800)
        assert slider.input_value() == "3"
        assert "step 300" in page.locator("output").inner_text()
        assert slider.get_attribute("aria-valuetext") == page.locator("output").inner_text()
        moved = sorted(x for trace in page.evaluate(POSITIONS) for x in trace)
        np.testing.assert_allclose(moved, np.sort(flat.points[3][:, 0]), rtol=1e-5, atol=1e-5)
        after = page.evaluate(DRAWN)
        assert sum(a != b for a, b in zip(drawn, after)) > 60, "the target has moved on the screen"
        assert complaints == []


def test_play_runs_to_the_end_and_the_legend_hides_and_shows(tmp_path):
    chromium.find()
    address = exported(tmp_path, embedding()[0])
    with chromium.opened(tmp_path) as (page, complaints):
        page.goto(address)
        page.wait_for_selector(READY)
        play = page.get_by_role("button", name="Play")
        play.press("Enter")
        page.wait_for_function("() => document.querySelector('input').value === '3'", timeout=20_000)
        page.wait_for_function("() => document.querySelector('.time button').textContent === 'Play'")
        button = page.get_by_role("button", name="mono")
        button.press("Space")
        page.wait_for_function("() => document.querySelectorAll('.plot .point').length === 60")
        assert button.get_attribute("aria-pressed") == "false"
        page.get_by_role("button", name="dog").press("Space")
        page.wait_for_function("() => document.querySelectorAll('.plot .point').length === 40")
        button.press("Space")
        page.wait_for_function("() => document.querySelectorAll('.plot .point').length > 60")
        assert complaints == []


def test_labels_stay_text_when_pointed_at(tmp_path):
    chromium.find()
    address = exported(tmp_path, embedding()[0])
    with chromium.opened(tmp_path) as (page, complaints):
        page.on("dialog", lambda d: complaints.append(f"dialog: {d.message}") or d.dismiss())
        page.goto(address)
        page.wait_for_selector(READY)
        page.evaluate(
            "() => Plotly.Fx.hover(document.querySelector('.plot'), [{curveNumber: 0, pointNumber: 0}])"
        )
        words = page.locator(".hoverlayer .hovertext").first
        words.wait_for()
        assert words.text_content().count(NASTY) >= 2
        assert NASTY in page.locator(".legend").inner_text()
        assert page.locator("img[src=x]").count() == 0
        assert complaints == []


def test_both_sides_of_an_alignment_follow_each_other(tmp_path):
    chromium.find()
    before, ys, yt = training()
    after, _, _ = training(seed=1)
    address = exported(tmp_path, views.alignment(before, after, ys=ys, yt=yt, classes=CLASSES, layout="pca"))
    with chromium.opened(tmp_path) as (page, complaints):
        page.goto(address)
        page.wait_for_selector(READY)
        point = page.locator(".plot").first.locator(".point").nth(30).bounding_box()
        page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2, steps=4)
        page.wait_for_function(
            "() => [...document.querySelectorAll('.plot')].every(p => p.querySelector('.hovertext'))"
        )
        box = page.locator(".plot").first.locator(".nsewdrag").bounding_box()
        corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.02)]
        for i, (x, y) in enumerate(corners):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
            if i == 0:
                page.mouse.down()
        page.mouse.up()
        page.wait_for_function("() => document.querySelectorAll('.plot')[1].data.some(t => t.selectedpoints)")
        chosen = page.evaluate(
            "() => [...document.querySelectorAll('.plot')].map(p => p.data.map(t => [...t.selectedpoints].sort()))"
        )
        assert chosen[0] == chosen[1]
        assert sum(map(len, chosen[0])) > 60
        assert complaints == []


@pytest.mark.parametrize("width", [1280, 360])
def test_a_whole_page_fits_the_screen_and_draws_everything(tmp_path, width):
    chromium.find()
    rows = [{f"a long column name {i}": f"value {i}" for i in range(9)}]
    made = views.page(
        "Demo",
        "Words.",
        views.table(rows, caption="A wide table"),
        embedding()[0],
        views.shift_bars({"mmd": 0.2}, {"mmd": 0.1}),
        views.history([recorded(0), recorded(1)]),
    )
    path = made.save(tmp_path / "demo.html")
    with chromium.opened(tmp_path, width=width) as (page, complaints):
        page.goto(path.as_uri())
        page.wait_for_selector(READY)
        page.wait_for_function("() => document.querySelectorAll('figure[data-ready=true]').length === 2")
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        assert all(p.bounding_box()["width"] > 250 for p in page.locator(".plot").all())
        assert page.evaluate("() => [...document.images].every(i => i.complete && i.naturalWidth > 100)")
        assert page.locator(".plot .lines path.js-line").count() >= 2
        assert complaints == []


def test_without_scripts_the_picture_is_there(tmp_path):
    chromium.find()
    view = embedding()[0]
    address = exported(tmp_path, view)
    with chromium.opened(tmp_path) as (page, complaints):
        session = page.context.new_cdp_session(page)
        session.send("Emulation.setScriptExecutionDisabled", {"value": True})
        page.goto(address)
        image = page.get_by_role("img", name=view.alt[:40])
        assert image.bounding_box()["width"] > 500
        assert page.get_by_role("button", name="Play").count() == 0
        assert complaints == []
