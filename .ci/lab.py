"""Starts JupyterLab on notebooks/explore.ipynb; its own options may follow and come last.

Behind ``make lab`` and behind the browser tests, so that what is tested is what users start.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

# A photograph is uploaded in one websocket message, and the server's default allows 10 MiB.
MESSAGE_LIMIT = 256 * 1024 * 1024


def options() -> list[str]:
    """JupyterLab's options: this machine only, token on (Jupyter's default), large uploads."""
    options = [
        f"--ServerApp.root_dir={NOTEBOOKS}",
        "--LabApp.default_url=/lab/tree/explore.ipynb",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.tornado_settings={{'websocket_max_message_size': {MESSAGE_LIMIT}}}",
    ]
    if sys.platform != "win32" and os.geteuid() == 0:
        options.append("--allow-root")
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        options.append("--no-browser")
    return options


def quiet() -> None:
    """No news pop-up over the picture; the file lies in the environment that runs this."""
    page = Path(sys.prefix) / "etc" / "jupyter" / "labconfig" / "page_config.json"
    if sys.prefix != sys.base_prefix and not page.exists():
        page.parent.mkdir(parents=True, exist_ok=True)
        off = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        page.write_text(json.dumps(off), "utf-8")


if __name__ == "__main__":
    quiet()
    # Jupyter refuses an option given twice; the one on the command line counts.
    given = {argument.partition("=")[0] for argument in sys.argv[1:]}
    ours = [option for option in options() if option.partition("=")[0] not in given]
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *ours, *sys.argv[1:]])
