"""A command in small surroundings: one core, one thread, little memory.

``ulimit -v`` would be of no use: it counts addresses, of which torch reserves many times what it
uses. A memory cgroup counts what is used; with systemd a user gets one, and with cgroups of the
first version root does. Where there is neither, the memory is not limited.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MEMORY = 2 * 1024**3
OLD_CGROUPS = Path("/sys/fs/cgroup/memory")


def run(command: Sequence[str]) -> int:
    """Run a command in small surroundings and say which; its exit status."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ["OMP_NUM_THREADS"] = "1"
    systemd = [
        *("systemd-run", "--user", "--scope", "--quiet"),
        *("-p", f"MemoryMax={MEMORY}", "-p", "MemorySwapMax=0"),
    ]
    with suppress(OSError):
        if subprocess.run([*systemd, "true"], capture_output=True).returncode == 0:
            print("One core, one thread, 2 GB (systemd).", flush=True)
            return subprocess.run([*systemd, *command]).returncode
    with suppress(OSError):
        return _in_cgroup(command)
    print("One core, one thread; memory is measured and cannot be limited here.", flush=True)
    return subprocess.run(command).returncode


def _in_cgroup(command: Sequence[str]) -> int:
    """Run it in a memory cgroup of its own.

    Raises:
        OSError: If there can be none.
    """
    group = OLD_CGROUPS / f"pullback-notebooks-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(MEMORY))
        print("One core, one thread, 2 GB (cgroup).", flush=True)
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)]
        return subprocess.run([*enter, *command]).returncode
    finally:
        group.rmdir()
