"""Where the network computes: a list, and how much memory there is."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import torch

from ...engine.device import device_name, devices, memory_of
from .binding import listen, quietly


class DeviceList:
    """The devices of this machine.

    Attributes:
        controls: The list, and a line; none where there is only one device.
    """

    def __init__(self, choose: Callable[[str], object], now: Callable[[], torch.device]) -> None:
        """Make it.

        Args:
            choose: Called with the device that is picked; False if it was refused.
            now: The device that holds.
        """
        self._choose, self._now = choose, now
        self.controls: list[w.Widget] = []
        found = devices()
        if len(found) > 1:
            self._list = w.Dropdown(
                options=[(device_name(one), str(one)) for one in found], description="Computes on"
            )
            self._memory = w.HTML()
            self.controls = [self._list, self._memory]
            listen(self._list, self._chosen)

    def _chosen(self, device: str) -> None:
        self._choose(device)
        self.show()

    def show(self) -> None:
        """The device that holds, and its memory."""
        if not self.controls:
            return
        device = self._now()
        with quietly():
            if str(device) not in dict(self._list.options).values():
                self._list.options = [*self._list.options, (device_name(device), str(device))]
            self._list.value = str(device)
        self._memory.value = f'<div class="pullback-note">{memory_in_words(device)}</div>'


def memory_in_words(device: torch.device) -> str:
    """How much memory of a device is free and used; empty where no one says."""
    known = memory_of(device)
    if known is None:
        return ""
    free, used = (f"{one / 1e9:.1f} GB" for one in known)
    return f"memory: {free} free, {used} used"
