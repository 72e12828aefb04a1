"""Loads all odd files in a process of its own that may take little more memory than it has.

``python tests/loading.py MEGABYTES`` prints a line of JSON for each.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Odd, corpus

from pullback_widgets.engine.image import ImageError, load_photograph, to_tensor

SPREAD = 8
"""How far the colours of a JPEG may be from what they were."""


def main() -> None:
    """Load them one after the other."""
    to_tensor("coffee", 32)  # what is loaded once for all
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 1_000_000 * int(sys.argv[1])
    files = list(corpus())
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for one in files:
        print(json.dumps({"name": one.name, **_loaded(one)}), flush=True)


def _loaded(one: Odd) -> dict[str, Any]:
    """What became of a file: a picture, a sentence, or something else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            to_tensor(one.content, 32)
            photograph = load_photograph(one.content)
    except ImageError as error:
        return {"sentence": str(error), "right": one.size is None}
    except BaseException as error:
        return {"raised": repr(error), "right": False}
    right = not one.refused
    if one.size is not None:
        levels = np.asarray(photograph)[:: 1 + one.size[1] // 50, :: 1 + one.size[0] // 50]
        far = np.abs(levels.astype(int) - one.colour).max()
        right = photograph.size == one.size and photograph.mode == "RGB" and far <= SPREAD
    return {"picture": photograph.size, "right": bool(right)}


if __name__ == "__main__":
    main()
