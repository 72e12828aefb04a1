"""The network that checks of several notebooks ask: the one that the package carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.session import Session


def session(image: str) -> Session:
    """A sample photograph in EfficientNet-Lite0; the notebook's own network, not another copy."""
    from ..engine.session import Session
    from ..networks.loaded import loaded

    return Session(loaded("efficientnet_lite0"), image)
