"""JupyterLab, as the command line starts it: on this machine only, with room for photographs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MESSAGE_LIMIT = 256 * 1024 * 1024
"""Bytes: a photograph is uploaded in one websocket message; the server's default is 10 MiB."""


def start_lab(folder: Path, notebook: str, given: Sequence[str]) -> int:
    """Run JupyterLab until it is stopped.

    Args:
        folder: What it shows.
        notebook: The one that it opens, in the folder.
        given: JupyterLab's own options, which count where they say other than ours.

    Returns:
        The exit status.

    Raises:
        ModuleNotFoundError: If JupyterLab is not installed.
    """
    from jupyterlab.labapp import main

    be_quiet()
    # Kernels inherit it: their threads share two heaps instead of keeping one each (glibc).
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    # Jupyter refuses an option given twice.
    names = {one.partition("=")[0] for one in given}
    ours = [one for one in lab_options(folder, notebook) if one.partition("=")[0] not in names]
    status: int | None = main([*ours, *given])
    return status or 0


def lab_options(folder: Path, notebook: str) -> list[str]:
    """JupyterLab's options: this machine only, token on (Jupyter's default), large uploads."""
    options = [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{notebook}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.tornado_settings={{'websocket_max_message_size': {MESSAGE_LIMIT}}}",
    ]
    if sys.platform != "win32" and os.geteuid() == 0:
        options.append("--allow-root")
    if not has_screen():
        options.append("--no-browser")
    return options


def has_screen() -> bool:
    """Whether a browser can open here; on Linux not without a display."""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) or not sys.platform.startswith("linux")


def trust(notebooks: Iterable[Path]) -> None:
    """Let Jupyter trust notebooks in which nothing is stored but texts and pictures.

    In a notebook that has a stored picture and is not trusted, JupyterLab shows pictures in place
    of all live widgets once the page is reloaded. What else may be stored could act when it is
    trusted, so notebooks with that are left to the user. Without Jupyter nothing happens.
    """
    try:
        import nbformat
        from nbformat.sign import NotebookNotary
    except ModuleNotFoundError:
        return
    notary = NotebookNotary()
    for path in notebooks:
        with suppress(OSError, ValueError):  # JupyterLab will say what is wrong with it
            notebook = nbformat.read(path, as_version=4)
            if all(_is_harmless(cell) for cell in notebook.cells):
                notary.sign(notebook)


def _is_harmless(cell: Any) -> bool:
    """Whether there is nothing but texts and pictures in a cell's outputs."""
    return all(
        set(output.get("data", {})) <= {"text/plain", "image/png"}
        for output in cell.get("outputs", [])
    )


def be_quiet() -> None:
    """No news pop-up over the picture; the file lies in the environment that runs this."""
    page = Path(sys.prefix) / "etc" / "jupyter" / "labconfig" / "page_config.json"
    if sys.prefix == sys.base_prefix or page.exists():
        return
    off = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    with suppress(OSError):  # an environment that others look after: then with the news
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(json.dumps(off), "utf-8")
