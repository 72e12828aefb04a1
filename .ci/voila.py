"""Serves a notebook as a web page with Voila: ``voila.py [NOTEBOOK] [OPTION...]``.

Behind ``make voila`` and behind the browser tests, so that what is tested is what users start.
The page shows text and widgets but no code, and every visitor gets a kernel of their own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pullback_widgets.command.server import MESSAGE_LIMIT, has_screen

FIRST = Path(__file__).resolve().parent.parent / "notebooks" / "01_see.ipynb"


def options() -> list[str]:
    """Voila's options: this machine only, a page with margins, large uploads."""
    options = [
        "--Voila.ip=127.0.0.1",
        "--VoilaConfiguration.show_margins=True",
        # Notebook 7's own plugin, which fails in Voila and is not needed there.
        "--VoilaConfiguration.extension_denylist=@jupyter-notebook/lab-extension",
        f"--Voila.tornado_settings={{'websocket_max_message_size': {MESSAGE_LIMIT}}}",
    ]
    if not has_screen():
        options.append("--no-browser")
    return options


def command(arguments: list[str]) -> list[str]:
    """Voila's command line; what is given counts instead of ours."""
    notebooks = [one for one in arguments if not one.startswith("-")] or [str(FIRST)]
    given = {argument.partition("=")[0] for argument in arguments}
    ours = [option for option in options() if option.partition("=")[0] not in given]
    rest = [one for one in arguments if one.startswith("-")]
    return [sys.executable, "-m", "voila", *notebooks, *ours, *rest]


if __name__ == "__main__":
    os.execv(sys.executable, command(sys.argv[1:]))
