"""A fresh kernel that runs code, and what a notebook would show of it."""

from __future__ import annotations

import queue
import re
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_client.manager import start_new_kernel
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

SECONDS_PER_CELL = 600
COLOUR = re.compile(r"\x1b\[[\d;]*m")
SHOWN = ("display_data", "execute_result", "stream", "error")


class Kernel:
    """A kernel of its own process, in a folder.

    Unlike nbclient it also takes what a thread sends after its cell has ended: that is when a live
    widget sends its picture.

    Attributes:
        first_picture: Seconds from the first code until an image/png, a chart, or pixels on a
            canvas came out; None before. Curves and text on a canvas do not count.
    """

    def __init__(self, folder: Path) -> None:
        self.first_picture: float | None = None
        self._began: float | None = None
        self._outputs: defaultdict[str, list[NotebookNode]] = defaultdict(list)
        self._displays: defaultdict[str, list[NotebookNode]] = defaultdict(list)
        self._manager, self._client = start_new_kernel(
            cwd=str(folder), extra_arguments=["--IPKernelApp.log_level=ERROR"]
        )

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code: str) -> list[NotebookNode]:
        """Run code until it ends; the list of its outputs, which later updates go on changing.

        Raises:
            RuntimeError: If the code raises, takes too long, or ends the kernel.
        """
        self._began = self._began or time.perf_counter()
        deadline = time.perf_counter() + SECONDS_PER_CELL
        request = self._client.execute(code, allow_stdin=False)
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                if self._manager.is_alive() and time.perf_counter() < deadline:
                    continue
                what = "died, of too little memory?," if time.perf_counter() < deadline else "hangs"
                raise RuntimeError(f"the kernel {what} in\n{code}") from None
            self._take(message)
            if (
                message["msg_type"] == "status"
                and message["content"]["execution_state"] == "idle"
                and message["parent_header"].get("msg_id") == request
            ):
                break
        outputs = self._outputs[request]
        for output in outputs:
            if output.output_type == "error":
                raise RuntimeError(COLOUR.sub("", "\n".join(output.traceback)))
        return outputs

    def peak_memory(self) -> int | None:
        """The most memory that the kernel's process ever held, in bytes; None where not Linux."""
        pid = getattr(self._manager.provisioner, "pid", None)
        status = Path(f"/proc/{pid}/status")
        if not status.is_file():
            return None
        size = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return 1024 * int(size[1]) if size else None

    def printed(self) -> str:
        """All that was printed so far, by threads too."""
        outputs = (output for some in self._outputs.values() for output in some)
        return "".join(output.text for output in outputs if output.output_type == "stream")

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        outputs = self._outputs[message["parent_header"].get("msg_id", "")]
        display = content.get("transient", {}).get("display_id", "")
        if kind in SHOWN:
            outputs.append(output_from_msg(message))
            if display:
                self._displays[display].append(outputs[-1])
        elif kind == "update_display_data":
            for output in self._displays[display]:
                output.data = NotebookNode(content["data"])
        elif kind == "clear_output":
            outputs.clear()
        # A canvas gets its commands in one buffer, and each picture in one more.
        pixels = kind == "comm_msg" and len(message["buffers"]) > 1
        data = content.get("data", {})
        chart = kind == "comm_msg" and "<svg" in str(data.get("state", {}).get("value"))
        if self.first_picture is None and (pixels or chart or "image/png" in data):
            self.first_picture = time.perf_counter() - (self._began or 0.0)
