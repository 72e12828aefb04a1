"""Serves the first notebook as a web page with Voila: ``voila.py [NOTEBOOK] [OPTION...]``.

Behind ``make voila`` and behind the browser tests, so that what is tested is what users start.
Each visitor gets a kernel of their own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
FIRST = NOTEBOOKS / "01_see.ipynb"
