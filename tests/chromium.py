"""Chromium for the tests that look at what a person sees: one way to find it, to start it, and to skip."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

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
    if importlib.util.find_spec("playwright") is None:
        _cannot('playwright is not installed (pip install "dakit[dev]")')
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    return _cannot("no Chromium found (Debian: apt-get install chromium)")


def _cannot(reason: str) -> NoReturn:
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
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
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
