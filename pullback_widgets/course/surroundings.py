"""Where a check runs: in a cell of a notebook, or elsewhere."""

from __future__ import annotations

import sys

from ..widgets.kit.voila import in_voila


def cell() -> str | None:
    """The code of the cell that runs now; None where there is no notebook with cells."""
    # A notebook's kernel has imported IPython; who has not is spared it.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    parent = getattr(shell, "get_parent", None)
    if parent is None or in_voila():
        return None
    code = (parent() or {}).get("content", {}).get("code")
    return code if isinstance(code, str) else None
