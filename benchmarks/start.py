"""What the first picture costs in a fresh interpreter: time and memory beyond ``import torch``.

``python benchmarks/start.py`` runs, in a new process for each round and with one thread, ``import
torch`` and then the first cell of a notebook line by line, the packages that it imports one by one
before that. Prints seconds, CPU seconds and peak memory after each step, what the step adds, and
what all of it takes beyond ``import torch``. It is the least of all rounds: what else runs on a
machine only adds. The peak is read from ``/proc``, so this needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

STEPS = (
    "import torch",
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


def run(threads: int) -> tuple[list[Used], list[str]]:
    """The steps in a new process: what is used after each, and which large packages came along."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(steps=STEPS, others=OTHERS)],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    used, came = json.loads(done.stdout)
    return [Used(*one) for one in used], came


def least(rounds: Iterable[Used]) -> Used:
    """Of each number."""
    return Used(*map(min, zip(*rounds, strict=True)))


def difference(after: Used, before: Used) -> Used:
    """What is used in between."""
    return Used(*(a - b for a, b in zip(after, before, strict=True)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    run(options.threads)  # reads the files from the disk
    rounds = [run(options.threads) for _ in range(options.rounds)]
    cells = [used for used, _ in rounds]
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{options.threads} threads, {options.rounds} rounds, load {load}")
    print("| step | seconds | CPU seconds | MB | adds |\n| --- | --- | --- | --- | --- |")
    for number, step in enumerate(STEPS):
        used = least(cell[number] for cell in cells)
        adds = least(difference(c[number], c[number - 1]) if number else c[0] for c in cells)
        print(
            f"| `{step}` | {used.seconds:.2f} | {used.cpu:.2f} | {used.megabytes:.0f} "
            f"| {adds.seconds:.2f} s, {adds.megabytes:.0f} MB |"
        )
    more = least(difference(cell[-1], cell[0]) for cell in cells)
    print(
        f"first picture beyond `import torch`: {more.seconds:.2f} s (goal {GOAL_SECONDS} s), "
        f"{more.cpu:.2f} CPU s, {more.megabytes:.0f} MB (goal {GOAL_MEGABYTES} MB)"
    )
    print(f"imported on the way, of {', '.join(OTHERS)}: {', '.join(rounds[0][1]) or 'none'}")


if __name__ == "__main__":
    main()
