"""The servers behind the front ends, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

CI = Path(__file__).resolve().parent.parent.parent / ".ci"


class Server:
    """A program that serves notebooks; its files lie in ``folder``.

    Attributes:
        notebooks: The folder with the notebooks.
        log: The file with what the program says.
        url: Where the server is, with a slash at the end.
    """

    url: str

    def __init__(self, folder: Path, *command: str) -> None:
        """Start it with a Python program and its options."""
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(exist_ok=True)
        self.log = folder / "server.log"
        self.runtime = folder / "runtime"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env={
                    **os.environ,
                    "JUPYTER_CONFIG_DIR": str(folder / "config"),
                    "JUPYTER_DATA_DIR": str(folder / "data"),
                    "JUPYTER_RUNTIME_DIR": str(self.runtime),
                    "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
                    "IPYTHONDIR": str(folder / "ipython"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def _wait_until_ready(self) -> None:
        """Return once the server answers, and ``url`` is known."""
        raise NotImplementedError

    def _wait_for(self, ask: Callable[[], T], timeout: float = 120.0) -> T:
        """The answer, as soon as asking raises no OSError and no ValueError."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                return ask()
            time.sleep(0.05)
        raise RuntimeError(f"{type(self).__name__} did not start:\n{self.log.read_text()}")

    def close(self) -> None:
        """Stops the server and its kernels."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


ANY_PORT = "--ServerApp.port=0"
"""The system gives the port: of two servers that look for one from 8888 on at the same moment, the
second ends, as Jupyter Server looks first and takes it later."""


class JupyterServer(Server):
    """What JupyterLab and Notebook 7 have in common."""

    def _wait_until_ready(self) -> None:
        path = self.runtime / f"jpserver-{self._process.pid}.json"
        info: Any = self._wait_for(lambda: json.loads(path.read_text()))
        self.url, self.token = info["url"], info["token"]
        self._wait_for(lambda: self.request("GET", "api/status"))

    def address(self, name: str) -> str:
        """Where a notebook opens."""
        raise NotImplementedError

    def request(self, method: str, path: str) -> bytes:
        """One request to the server's REST interface; the body of the answer."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            body: bytes = answer.read()
        return body

    def shut_kernels_down(self) -> None:
        """Ends every notebook's session and kernel, and with them their memory."""
        for session in json.loads(self.request("GET", "api/sessions")):
            self.request("DELETE", f"api/sessions/{session['id']}")


class LabServer(JupyterServer):
    """JupyterLab as ``make lab`` starts it."""

    def __init__(self, folder: Path) -> None:
        # No question about news, which would fetch them.
        settings = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(
            json.dumps({"checkForUpdates": False, "fetchNews": "false"})
        )
        super().__init__(
            folder,
            *("-m", "pullback_widgets", "lab", str(folder / "notebooks")),
            *("--no-browser", "--expose-app-in-browser", ANY_PORT),
        )

    def address(self, name: str) -> str:
        return f"{self.url}lab/tree/{name}?reset&token={self.token}"


class NotebookServer(JupyterServer):
    """Jupyter Notebook 7 as ``jupyter notebook`` starts it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            *("-m", "notebook", "--no-browser", "--expose-app-in-browser", "--allow-root"),
            *(ANY_PORT, "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder / 'notebooks'}"),
        )

    def address(self, name: str) -> str:
        return f"{self.url}notebooks/{name}?token={self.token}"


class VoilaServer(Server):
    """Voila as ``make voila`` starts it, with one notebook at its root."""

    def __init__(self, folder: Path, notebook: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = free.getsockname()
        command = (str(CI / "serve.py"), str(notebook), "--no-browser")
        super().__init__(folder, *command, f"--port={self._address[1]}", *options)

    def kernels(self) -> set[int]:
        """The processes of the kernels that run now."""
        found = set()
        for process in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "ipykernel_launcher" in process.cmdline():  # none for one that has ended
                    found.add(process.pid)
        return found

    def wait_for_kernels(self, number: int, timeout: float = 60.0) -> set[int]:
        """The kernels' processes, as soon as there are so many."""
        deadline = time.monotonic() + timeout
        while len(found := self.kernels()) != number:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(found)} kernels:\n{self.log.read_text()}")
            time.sleep(0.05)
        return found

    def _wait_until_ready(self) -> None:
        self._wait_for(lambda: socket.create_connection(self._address, 1)).close()
        self.url = f"http://127.0.0.1:{self._address[1]}/"
