"""Serves a notebook as a web page with Voila: ``serve.py [NOTEBOOK] [OPTION...]``.

Behind ``make voila`` and behind the browser tests, so that what is tested is what users start.
The page shows text and widgets but no code, and every visitor gets a kernel of their own, which
ends with the page. ``--places=4`` says how many there may be at once.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import psutil
from jupyter_server import CallContext
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, authenticated
from traitlets import Float, Integer, default
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from pullback_widgets.command.server import MESSAGE_LIMIT, has_screen

FIRST = Path(__file__).resolve().parent.parent / "notebooks" / "01_see.ipynb"

KERNEL = 1_400_000_000
"""Bytes that a kernel takes; measured with notebook 1: 1.35 GB."""

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""What a container may take on Linux; in the first stands "max" where there is no limit."""

RETRY = 5
"""Seconds after which a visitor who found no place asks for one again, and may wait for it then."""

FULL = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{retry}">
<link rel="icon" href="data:;base64,=">
<title>All places are taken</title>
<body style="max-width: 30em; margin: 15vh auto; padding: 0 1em; font: 18px/1.5 system-ui">
<h1>All places are taken</h1>
<p>Every open page computes for itself, and this computer has memory for {places} at a time. Please
wait some minutes, or close a page that you no longer need: this one opens by itself when there is
room.</p>
"""

ENDED = """
<script>
{
  const {baseUrl, kernelId} = JSON.parse(
    document.getElementById("jupyter-config-data").textContent
  );
  let missed = 0;  // once is nothing: the page may just be being loaded again
  const watch = setInterval(async () => {
    if ((await fetch(`${baseUrl}api/kernels/${kernelId}`)).status !== 404) return;
    if (++missed < 2) return;
    clearInterval(watch);
    document.body.insertAdjacentHTML(
      "afterbegin",
      `<p role="alert" style="position: fixed; inset: 0 0 auto; z-index: 1000; margin: 0;
        padding: 1em; text-align: center; font: 18px/1.5 system-ui; color: black;
        background: #ffe9a8">
        What computed for this page has ended, and it no longer reacts.
        <a href="" style="color: #00439c">Load it again</a> to go on.</p>`
    );
  }, 3000);
}
</script>
"""
"""At the end of each page: it says so when its kernel has ended, where Voila says nothing."""


NARROW = """
<style>
@media (max-width: 800px) {
  #rendered_cells { padding: 0 !important; }
  #rendered_cells > div { padding: 12px 4px !important; box-shadow: none !important; }
  #rendered_cells code { white-space: pre-wrap; overflow-wrap: anywhere; }
}
</style>
"""
"""At the end of each page: on a phone, Voila's margins would take half of it."""


class Places(AsyncMappingKernelManager):
    """The visitors' kernels, no more at once than there is memory for."""

    limit = Integer(config=True, help="Kernels at once; by default as many as memory is free for.")
    wait = Float(
        10.0,
        min=0.1,
        config=True,
        # A page that is loaded again takes the place that it has just left.
        help="Seconds that a visitor waits for a place before being refused.",
    )
    left_timeout = Integer(
        300, config=True, help="Seconds after which an idle kernel ends that has no page."
    )

    @default("limit")
    def _limit(self) -> int:
        free = [psutil.virtual_memory().available]
        for path in CGROUP_LIMITS:
            with suppress(OSError, ValueError):
                free.append(int(path.read_text()))
        return max(1, min(free) // KERNEL)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._free = asyncio.Semaphore(self.limit)
        self.log.info("Places for visitors: %d", self.limit)

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel in the next free place.

        Raises:
            HTTPError: 503 if none becomes free in time.
        """
        try:
            await asyncio.wait_for(self._free.acquire(), self.wait)
        except asyncio.TimeoutError:
            raise HTTPError(503, "all places are taken") from None
        try:
            kernel_id: str = await super().start_kernel(**kwargs)
        except BaseException:
            self._free.release()
            raise
        visit = CallContext.get(CallContext.JUPYTER_HANDLER)
        if isinstance(visit, Visit):
            await visit.take(kernel_id)
        return kernel_id

    def remove_kernel(self, kernel_id: str) -> Any:
        """Its process has ended."""
        kernel = super().remove_kernel(kernel_id)
        if kernel is not None:
            self._free.release()
        return kernel

    def notify_disconnect(self, kernel_id: str) -> None:
        """A page went without a word; it may come back, from a laptop that was closed."""
        super().notify_disconnect(kernel_id)
        if kernel_id in self:
            self._kernels[kernel_id].last_activity = datetime.now(timezone.utc)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Jupyter has one timeout; a kernel without a page has a shorter one."""
        kernel = self._kernels[kernel_id]
        idle = datetime.now(timezone.utc) - kernel.last_activity
        if (
            not self._kernel_connections.get(kernel_id)
            and kernel.execution_state != "busy"
            and idle > timedelta(seconds=self.left_timeout)
        ):
            self.log.info("Kernel %s has had no page for %s", kernel_id, idle)
            await self.shutdown_kernel(kernel_id)
        else:
            await super().cull_kernel_if_idle(kernel_id)


class Visit(TornadoVoilaHandler):
    """A page, from its request until it is complete."""

    _kernel_id: str | None = None
    _gone = False

    async def prepare(self) -> None:
        await super().prepare()
        # Reading it sets the cookie that the page sends along when it is closed and asks for its
        # kernel's end. Voila itself never sets it, and refuses what the page asks.
        self.xsrf_token  # noqa: B018

    @authenticated
    async def get(self, path: str | None = None) -> None:
        async for part in self.get_generator(path=path):
            if self._gone:  # Voila would wait for more of it for ever
                break
            self.write(part)
            self.flush()
        if self._kernel_id is not None:  # as it is for a file that a notebook links to
            self.write(NARROW + ENDED)

    async def take(self, kernel_id: str) -> None:
        """The kernel that was started for this page."""
        self._kernel_id = kernel_id
        if self._gone:
            await self._end()
            raise HTTPError(400, "the page was closed before its kernel had started")

    def on_connection_close(self) -> None:
        """The page was closed before it was complete, and cannot yet ask for anything itself."""
        super().on_connection_close()
        self._gone = True
        if self._kernel_id is not None:
            IOLoop.current().add_callback(self._end)

    async def _end(self) -> None:
        with suppress(HTTPError):  # ended meanwhile
            await self.kernel_manager.shutdown_kernel(self._kernel_id, now=True)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page of our own where all places are taken."""
        if status_code != 503:
            super().write_error(status_code, **kwargs)
            return
        self.set_header("Retry-After", str(RETRY))
        self.finish(FULL.format(places=self.kernel_manager.limit, retry=RETRY))


class Server(Voila):
    """Voila with places."""

    classes: ClassVar = [*Voila.classes, Places]
    aliases: ClassVar = {**Voila.aliases, "places": "Places.limit"}

    def init_settings(self) -> dict[str, Any]:
        self.voila_configuration.multi_kernel_manager_class = Places
        return super().init_settings()

    def init_handlers(self) -> list[Any]:
        return [
            (address, Visit if handler is TornadoVoilaHandler else handler, *rest)
            for address, handler, *rest in super().init_handlers()
        ]


def options() -> list[str]:
    """Voila's options: this machine only, a page with margins, large uploads, kernels that end."""
    options = [
        "--Voila.ip=127.0.0.1",
        "--VoilaConfiguration.show_margins=True",
        # Notebook 7's own plugin, which fails in Voila and is not needed there.
        "--VoilaConfiguration.extension_denylist=@jupyter-notebook/lab-extension",
        f"--Voila.tornado_settings={{'websocket_max_message_size': {MESSAGE_LIMIT}}}",
        # A page that is open may be looked at for an hour without being touched.
        "--MappingKernelManager.cull_idle_timeout=3600",
        "--MappingKernelManager.cull_interval=60",
        "--MappingKernelManager.cull_connected=True",
    ]
    if not has_screen():
        options.append("--no-browser")
    return options


def command(arguments: list[str]) -> list[str]:
    """Voila's arguments; what is given counts instead of ours."""
    notebooks = [one for one in arguments if not one.startswith("-")] or [str(FIRST)]
    given = {argument.partition("=")[0] for argument in arguments}
    ours = [option for option in options() if option.partition("=")[0] not in given]
    rest = [one for one in arguments if one.startswith("-")]
    return [*notebooks, *ours, *rest]


if __name__ == "__main__":
    Server.launch_instance(command(sys.argv[1:]))
