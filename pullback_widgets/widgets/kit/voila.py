"""Whether a notebook is shown as a web page by Voila."""

from __future__ import annotations

import os


def in_voila() -> bool:
    """Whether a notebook is shown as a web page, without its cells."""
    # Voila says so in the kernel.
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
