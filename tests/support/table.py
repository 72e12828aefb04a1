"""The table of docs/support.md: a row for each network.

``python tests/support/table.py --write`` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import timm
import torchvision
from equalities import Measured, measured
from zoo import build, names, side

PAGE = Path(__file__).resolve().parents[2] / "docs" / "support.md"


class Row(NamedTuple):
    """A network's line."""

    network: str
    input: str
    gates: str
    scales: str
    held: str
    kept: str
    complete: str

    def __str__(self) -> str:
        return f"| {' | '.join(self)} |"


HEAD = Row(
    "network", "input", "gates", "scale", "held", "keeps its own derivative", "complete"
)  # fmt: skip


def row_of(network: Measured) -> Row:
    """What the table says of a network."""
    report = network.report
    origins = {scale: report.count(scale) for scale in ("batch norm", "sum", "calibration")}
    kept = [f"{number} {name}" for name, number in report.kept.items()]
    kept += [f"no gradient through {number} {name}" for name, number in report.cut.items()]
    return Row(
        network.network,
        str(side(network.network)),
        str(len(report.gates)),
        ", ".join(f"{number} {scale}" for scale, number in origins.items() if number) or "-",
        ", ".join(f"{number} {name}" for name, number in report.held.items()) or "-",
        ", ".join(kept) or "-",
        "-" if network.incomplete is None else "yes",
    )


def rows() -> list[list[str]]:
    """The cells of the page's table, row by row."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def made_with() -> str:
    """The versions that the table's numbers hold for."""
    torchvision_version = torchvision.__version__.partition("+")[0]
    return f"torchvision {torchvision_version} and timm {timm.__version__}"


def is_current() -> bool:
    """Whether the page was written with the versions that are installed."""
    return made_with() in PAGE.read_text("utf-8")


PREFACE = """# Supported networks

Written by `python tests/support/table.py --write` with {versions}.

Any PyTorch network works. For the {networks} networks below, all of torchvision for classification
and one of each of {families} families of timm, a test checks in double precision, with random
weights and small images, that

* the forward pass is unchanged to the last bit, and the pullback finite;
* hard gates give autograd's gradient;
* at T → 0 the soft pullback is that of the held map, which is the gradient where nothing but ReLU
  and max-pooling is not linear (of a ReLU6 as long as nothing exceeds 6: soft gates have no upper
  threshold);
* the held map is complete: without biases and other constants the logit is ⟨pullback, image⟩ to
  eight digits, in the {complete} networks in which nothing keeps its own derivative;
* the numbers in this table hold.

The columns:

* *Gates*: ReLUs (also ReLU6, LeakyReLU, PReLU, however they are written), smooth activations and
  max-poolings that are softened.
* *Scale*: what a relative temperature is a multiple of: the batch norm before the gate, a sum of
  such, or the standard deviation on calibration photographs (max-poolings always).
* *Held*: operations that are linear because a part of them is held constant: the statistics of a
  norm, the weights of attention, the bounded factor of a product of two values of the image.
* *Keeps its own derivative*: nonlinearities that are left as they are, by autograd's name.
* *Complete*: whether the held map was found complete; - where something keeps its own derivative.

Tested in the same way, from configurations: ViT, DINOv2 (also with registers or SwiGLU), Swin and
SegFormer of transformers, and the visual towers of open_clip. `pw.report(model)` tells the same of
any network, and the Explorer shows it under the network. {{doc}}`limits` says what does not work.

"""


def write() -> None:
    """Write the page anew; print each row, and first what does not hold."""
    lines = [str(HEAD), f"|{' --- |' * len(HEAD)}"]
    complete = 0
    for name in names():
        network = measured(build(name))
        for problem in network.problems():
            print(f"{name}: {problem}", file=sys.stderr)
        complete += network.incomplete is not None
        lines.append(str(row_of(network)))
        print(lines[-1], flush=True)
    families = sum(name.startswith("timm/") for name in names())
    preface = PREFACE.format(
        versions=made_with(), networks=len(names()), families=families, complete=complete
    )
    PAGE.write_text(preface + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("Run it with --write to write docs/support.md anew, or `make support` to test it.")
    write()
