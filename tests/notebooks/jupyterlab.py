"""A JupyterLab of its own for tests: own folders, a token, nothing from outside, and a way to run a notebook in it."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOTEBOOK = ".jp-NotebookPanel-notebook"
READY = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
RUN_ALL = """() => {
  window.ran = 'running';
  window.jupyterapp.commands.execute('notebook:run-all-cells')
    .then(() => { window.ran = 'done' }, e => { window.ran = 'failed: ' + e });
}"""
IDLE = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
# What the notebook's model holds, whether or not the cell is scrolled into view.
OUTPUTS = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
  const found = [];
  for (let i = 0; i < cells.length; i++) {
    const cell = cells.get(i);
    if (cell.type === 'code') found.push({at: i, source: cell.sharedModel.getSource(), outputs: cell.outputs.toJSON()});
  }
  return found;
}"""


@contextmanager
def running(folder: Path, notebook: Path, **environment: str) -> Iterator[str]:
    """Start JupyterLab on a copy of ``notebook``; gives the address that opens it.

    Parameters
    ----------
    folder : Path
        Everything that the server writes goes below it.
    environment : str
        More variables for the server and its kernels.
    """
    work, config = folder / "work", folder / "config"
    (config / "labconfig").mkdir(parents=True)
    work.mkdir()
    shutil.copy(notebook, work / notebook.name)
    # A pop-up with news would cover what the test clicks on, and would ask a server outside.
    page = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "labconfig" / "page_config.json").write_text(json.dumps(page))
    token, port = secrets.token_hex(16), _free_port()
    own = {
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"]
    base, log = f"http://127.0.0.1:{port}", folder / "jupyterlab.log"
    with open(log, "w") as out:
        server = subprocess.Popen(
            command, env={**os.environ, **own, **environment}, stdout=out, stderr=out, cwd=work
        )
    try:
        _wait(f"{base}/api/status?token={token}", server, log)
        yield f"{base}/lab/tree/{notebook.name}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(30)


def run_all(page: Any, address: str, *, timeout: float = 300) -> list[dict]:
    """Open the notebook, run all its cells, wait until the kernel has finished; gives cells with their outputs."""
    page.goto(address, timeout=120_000)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
    page.wait_for_function(READY, timeout=120_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => window.ran !== 'running'", timeout=timeout * 1000)
    assert page.evaluate("() => window.ran") == "done"
    page.wait_for_function(IDLE, timeout=timeout * 1000)
    return page.evaluate(OUTPUTS)


def scroll_to_cell(page: Any, at: int) -> Any:
    """Bring cell ``at`` into view, and give its locator: JupyterLab draws only what is near the view."""
    page.evaluate(
        "at => { const p = window.jupyterapp.shell.currentWidget.content; p.activeCellIndex = at; }", at
    )
    page.evaluate(
        """async at => {
             const p = window.jupyterapp.shell.currentWidget.content;
             await p.scrollToItem(at, 'center');
             await p.widgets[at].ready;
           }""",
        at,
    )
    cell = page.locator(f'{NOTEBOOK} .jp-Cell[data-windowed-list-index="{at}"]').first
    cell.wait_for(timeout=30_000)
    cell.scroll_into_view_if_needed()
    return cell


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _wait(url: str, server: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2).read()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")
