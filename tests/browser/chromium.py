"""Starts a Chromium for the browser tests; as a program, installs one where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

OPTIONS = [
    "--no-sandbox",  # which root has not; these pages come from this machine only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # nothing that calls home, no page of another machine
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


def launch(playwright: Playwright) -> Browser | None:
    """The first Chromium that starts: one on the PATH, else playwright's own; or None."""
    from playwright.sync_api import Error

    found = [path for name in NAMES if (path := shutil.which(name))]
    if Path(playwright.chromium.executable_path).exists():
        found.append(playwright.chromium.executable_path)
    for executable in found:
        try:
            return playwright.chromium.launch(executable_path=executable, args=OPTIONS)
        except Error as error:
            # For example Ubuntu's chromium-browser, which only asks for a snap.
            print(f"{executable} does not start: {error.message.splitlines()[0]}")
    return None


def starts() -> bool:
    """Whether a Chromium starts here."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser:
            browser.close()
    return browser is not None


def install() -> bool:
    """Tries playwright's download, then (as root on Debian and its kin) the system's package."""
    with_apt = (
        sys.platform.startswith("linux") and os.geteuid() == 0 and bool(shutil.which("apt-get"))
    )
    playwright = [sys.executable, "-m", "playwright"]
    if _run(*playwright, "install", "chromium"):
        if starts():
            return True
        # Downloaded, but system libraries are missing.
        if with_apt and _run(*playwright, "install-deps", "chromium") and starts():
            return True
    return (
        with_apt
        and _run("apt-get", "update")
        and _run("apt-get", "install", "--yes", "chromium")
        and starts()
    )


def _run(*command: str) -> bool:
    print("+", *command, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0


if __name__ == "__main__" and not starts() and not install():
    print(
        "No Chromium could be started or installed, so the browser tests will not run; "
        "install Chromium or Google Chrome with this system's package manager and run again."
    )
