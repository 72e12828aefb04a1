"""Where a check runs: in a cell of a notebook, or elsewhere."""

from __future__ import annotations

import os
import sys


def in_voila() -> bool:
    """Whether a notebook is shown as a web page, without its cells."""
    # Voila says so in the kernel.
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def cell() -> str | None:
    """The code of the cell that runs now; None where there is no notebook with cells."""
    # A notebook's kernel has imported IPython; who has not is spared it.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    parent = getattr(shell, "get_parent", None)
    if parent is None or in_voila():
        return None
    code = (parent() or {}).get("content", {}).get("code")
    return code if isinstance(code, str) else None
