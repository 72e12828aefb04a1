"""The network that checks of several notebooks ask: the one that the package carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..session import Session


def session(image: str) -> Session:
    """A sample photograph in EfficientNet-Lite0; the notebook's own network, not another copy."""
    from ..frame import Studio
    from ..session import Session

    return Session(Studio().model("efficientnet_lite0"), image)
