"""Where the networks and images of tests are: on the CPU, unless a test is run on each device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_place = torch.device("cpu")


def place() -> torch.device:
    """Where the test that runs now has its tensors."""
    return _place


@contextlib.contextmanager
def placed(device: torch.device) -> Iterator[None]:
    """While this lasts, networks and images are made there."""
    global _place
    before, _place = _place, device
    try:
        yield
    finally:
        _place = before


def present() -> list[str]:
    """The devices of this machine that compute in double precision, as the tests' definitions do.

    MPS does not; ``tests/engine/test_devices.py`` has it.
    """
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
