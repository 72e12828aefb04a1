"""What all downloads of weights share: how far they are, and what is said when they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

Progress = Callable[[int, int], None]

_POLL_SECONDS = 0.1


class DownloadError(RuntimeError):
    """The weights of a network are not to be had: no network, no room, or a damaged file."""


def not_downloaded(
    title: str, size: int, error: Exception, address: str, folder: Path
) -> DownloadError:
    """The error to raise where weights did not arrive.

    Args:
        title: What people call the network.
        size: Bytes, 0 if unknown.
        error: Why.
        address: What to download by hand.
        folder: Where to put that file.
    """
    megabytes = f" ({size / 1e6:.0f} MB)" if size else ""
    return DownloadError(
        f"The weights of {title}{megabytes} could not be downloaded ({_reason(error)}); try again "
        f"later, or put the file {address} into the folder {folder} by hand; networks that are "
        "already here go on working."
    )


def unreadable(title: str, file: Path, error: Exception) -> DownloadError:
    """The error to raise where weights are here but damaged."""
    return DownloadError(
        f"The weights of {title} in {file} cannot be read ({_reason(error)}); delete that file "
        "and load the network again, the other networks go on working."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, RuntimeError) and "invalid hash value" in str(error):
        return "what arrived is damaged or incomplete: its SHA-256 is not the published one"
    if isinstance(error, URLError):
        return f"no connection: {error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__


@contextmanager
def watched(folder: Path, pattern: str, total: int, progress: Progress | None) -> Iterator[None]:
    """While the body downloads, report how far it is; if it fails, leave no rest behind.

    What ``progress`` raises at the start or the end comes out as it is.

    Args:
        folder: Where the unfinished file is written.
        pattern: Of its name. The file is moved away when it is complete.
        total: Its size in bytes.
        progress: Called with the bytes done and ``total``: at the start, a few times a second from
            another thread, and when the body is done.
    """
    if progress:
        progress(0, total)
    others = set(folder.glob(pattern))  # left by, or just being written by, another process
    stop = threading.Event()

    def watch(report: Progress) -> None:
        last = 0
        while not stop.wait(_POLL_SECONDS):
            done = max(map(_bytes_in, set(folder.glob(pattern)) - others), default=0)
            if last < done < total:
                last = done
                report(done, total)

    watcher = None
    if progress:
        watcher = threading.Thread(target=watch, args=(progress,), daemon=True)
        watcher.start()
    try:
        yield
    except BaseException:
        # Downloaders remove their file themselves, unless closing it fails too, as on a full disk.
        for path in set(folder.glob(pattern)) - others:
            path.unlink(missing_ok=True)
        raise
    finally:
        stop.set()
        if watcher:
            watcher.join()
    if progress:
        progress(total, total)


def _bytes_in(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # moved into place since it was listed
        return 0
