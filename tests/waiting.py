"""How long tests wait for other threads, and how."""

import time
from collections.abc import Callable

SECONDS = 120.0
"""No wait should take as long, on whatever busy machine; one that does has hung."""


def until(condition: Callable[[], object]) -> None:
    """Waits for something that another thread brings about, and that then stays so."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
