"""How hypothesis draws here: the same examples in every run, in no time that matters."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("PULLBACK_WIDGETS_EXAMPLES", "60"))
"""How many of each; more of them in a long run."""

_OURS = settings(
    derandomize="PULLBACK_WIDGETS_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

FEW = settings(_OURS, max_examples=EXAMPLES)
VERY_FEW = settings(_OURS, max_examples=max(4, EXAMPLES // 6))
"""Of what takes long."""
