"""What a newcomer does: open the first chapter in JupyterLab, run it, move the slider, see the picture change."""

import time

import pytest

from dakit import course
from tests import chromium
from tests.notebooks import jupyterlab

HARMLESS = (
    "favicon",
    "Permissions policy",
    "source map",
    "status of 404",  # the workspace and settings of a JupyterLab that has never been started
)


@pytest.mark.browser
@pytest.mark.slow
def test_start_here_runs_and_its_slider_moves_the_picture(tmp_path):
    chromium.find()
    chapter = next(c for c in course.list_chapters() if c.name == "00_start_here")
    environment = {"DAKIT_PROFILE": "smoke", "OMP_NUM_THREADS": "1"}
    with (
        jupyterlab.running(tmp_path, chapter.notebook, **environment) as address,
        chromium.opened(tmp_path, height=1000) as (page, complaints),
    ):
        cells = jupyterlab.run_all(page, address)
        errors = [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
        assert errors == []
        pictures = [o for c in cells for o in c["outputs"] if "image/png" in o.get("data", {})]
        assert pictures, "the chapter shows no picture"

        knobs = next(c for c in cells if "views.knobs(" in c["source"])
        cell = jupyterlab.scroll_to_cell(page, knobs["at"])
        slider = cell.locator(".widget-slider [role=slider], .widget-slider .noUi-handle").first
        slider.wait_for(timeout=60_000)
        picture = cell.locator("img").first
        before, stood = picture.get_attribute("src"), slider.get_attribute("aria-valuenow")
        slider.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        # The widget puts a new <img> in place of the old one, so look for it anew each time.
        until = time.monotonic() + 60
        while picture.get_attribute("src") == before and time.monotonic() < until:
            page.wait_for_timeout(200)
        assert picture.get_attribute("src") != before, "the picture did not follow the slider"
        assert slider.get_attribute("aria-valuenow") != stood
        assert picture.evaluate("img => img.complete && img.naturalWidth > 100")
        assert picture.get_attribute("alt")
    serious = [c for c in complaints if not any(word in c for word in HARMLESS)]
    assert serious == []
