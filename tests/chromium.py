"""Chromium for the tests that look at what a person sees: one way to find it, to start it, and to skip."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL = (
    "file:",
    "data:",
    "blob:",
    "http://127.0.0.1",
    "http://localhost",
    "ws://127.0.0.1",
    "ws://localhost",
)


def find() -> str:
    """Path of Chromium; without one the test is skipped with the reason, and fails where ``CI=true``."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    reason = "no Chromium found (Debian: apt-get install chromium)"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def opened(folder: Path, *, width: int = 1280, height: int = 900) -> Iterator[tuple[Any, list[str]]]:
    """A page without network, and the list of what it complains about: console errors and requests outside.

    Parameters
    ----------
    folder : Path
        For the browser's profile; ``tmp_path`` of the test.
    width, height : int
        Of the window, in pixels.
    """
    program = find()
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            folder / "chromium",
            executable_path=program,
            args=FLAGS,
            headless=True,
            viewport={"width": width, "height": height},
        )
        page = context.pages[0] if context.pages else context.new_page()
        complaints: list[str] = []
        page.on("console", lambda m: m.type == "error" and complaints.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: complaints.append(f"page: {error}"))

        def local_only(route: Any) -> None:
            url = route.request.url
            if url.startswith(LOCAL):
                route.continue_()
            else:
                complaints.append(f"asked for {url}")
                route.abort()

        page.route("**/*", local_only)
        try:
            yield page, complaints
        finally:
            context.close()
