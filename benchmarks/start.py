"""What the first picture costs in a fresh interpreter: time and memory beyond ``import torch``.

``python benchmarks/start.py`` runs, in turn and each time in a new process with one thread,

* ``import torch`` alone,
* the first cell of a notebook line by line, the packages that it imports one by one before that,

and prints seconds, CPU seconds and peak memory after each step, what the step adds, and what the
cell takes beyond ``import torch``. Of all rounds it takes the least: what else runs on a machine
only adds. The peak is read from ``/proc``, so this needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

TORCH = ("import torch",)
CELL = (
    *TORCH,
    "import IPython",
    "import ipywidgets",
    "import ipycanvas",
    "import pullback_widgets as pw",
    "pw.Explorer",  # public names are imported on first use
    "explorer = pw.Explorer()",
    "explorer.wait()",
)
GOAL_SECONDS, GOAL_MEGABYTES = 0.9, 180
OTHERS = ("timm", "torchvision", "torch._dynamo", "sympy", "matplotlib", "skimage", "scipy")

# Prints what has been used after each step, and which of the large packages came with it.
CHILD = """
import json, sys, time
start = time.perf_counter()
used = []
for step in {steps!r}:
    exec(step)
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    used.append((time.perf_counter() - start, time.process_time(), int(peak.split()[1]) / 1024))
print(json.dumps([used, [name for name in {others!r} if name in sys.modules]]))
"""


class Used(NamedTuple):
    """What a process has used since it started.

    Attributes:
        seconds: Since its first line, which the interpreter reaches after some 0.02 s.
        cpu: CPU seconds of all its threads, the interpreter's start included.
        megabytes: Its largest resident memory.
    """

    seconds: float
    cpu: float
    megabytes: float


def run(steps: tuple[str, ...], threads: int) -> tuple[list[Used], list[str]]:
    """Run steps in a new process: what is used after each, and which large packages came along."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(steps=steps, others=OTHERS)],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    used, came = json.loads(done.stdout)
    return [Used(*one) for one in used], came


def least(rounds: list[Used]) -> Used:
    """Of each number."""
    return Used(*map(min, zip(*rounds, strict=True)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    alone: list[Used] = []
    cells: list[list[Used]] = []
    came: list[str] = []
    for number in range(options.rounds + 1):
        (torch_alone,), _ = run(TORCH, options.threads)
        cell, came = run(CELL, options.threads)
        if number:  # the first round reads the files from the disk
            alone.append(torch_alone)
            cells.append(cell)
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{options.threads} threads, {options.rounds} rounds, load {load}")
    print("| step | seconds | CPU seconds | MB | adds |\n| --- | --- | --- | --- | --- |")
    before = used = Used(0, 0, 0)
    for number, step in enumerate(CELL):
        used = least([cell[number] for cell in cells])
        adds = f"{used.seconds - before.seconds:.2f} s, {used.megabytes - before.megabytes:.0f} MB"
        print(f"| `{step}` | {used.seconds:.2f} | {used.cpu:.2f} | {used.megabytes:.0f} | {adds} |")
        before = used
    more = Used(*(a - b for a, b in zip(used, least(alone), strict=True)))
    print(
        f"first picture beyond `import torch`: {more.seconds:.2f} s (goal {GOAL_SECONDS} s), "
        f"{more.cpu:.2f} CPU s, {more.megabytes:.0f} MB (goal {GOAL_MEGABYTES} MB)"
    )
    print(f"imported on the way, of {', '.join(OTHERS)}: {', '.join(came) or 'none'}")


if __name__ == "__main__":
    main()
