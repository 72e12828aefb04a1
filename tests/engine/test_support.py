"""Every ReLU network of torchvision, and of many timm families: what of them is softened.

``python tests/engine/test_support.py --write`` writes the table of ``docs/support.md`` anew.
``PULLBACK_WIDGETS_SHARD=2/4`` runs the second quarter of the networks only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import pullback_widgets as pw

TABLE = Path(__file__).resolve().parents[2] / "docs" / "support.md"

# Families of torchvision whose nonlinearities are ReLU-like; all their members are tested.
FAMILIES = (
    "alexnet", "vgg", "resnet", "resnext", "wide_resnet", "densenet", "googlenet", "inception_v3",
    "squeezenet", "shufflenet", "mnasnet", "mobilenet_v2", "regnet_x",
)  # fmt: skip
TIMM = (
    "cspresnet50", "densenet121", "dla34", "dpn68", "ecaresnet26t", "ese_vovnet19b_dw",
    "gernet_s", "ghostnet_100", "hardcorenas_a", "hgnet_tiny",
    "hrnet_w18_small", "inception_resnet_v2", "inception_v4", "legacy_seresnet18",
    "legacy_xception", "mnasnet_small", "mobilenetv2_050", "mobileone_s0", "nasnetalarge",
    "pnasnet5large", "regnetx_002", "regnety_002", "repvgg_a0", "res2net50_26w_4s", "resnest14d",
    "resnet10t", "resnetv2_50", "resnext50_32x4d", "selecsls42", "semnasnet_050", "seresnet18",
    "skresnet18", "spnasnet_100", "tf_efficientnet_lite0", "tresnet_m", "vgg11", "vovnet39a",
    "wide_resnet50_2",
)  # fmt: skip
SIDE = {"inception_v3": 96, "nasnetalarge": 96, "inception_v4": 96, "inception_resnet_v2": 96}
DEFAULT_SIDE = 64
CLASSES = 10
NEARLY_HARD = pw.Softening(1e-30, "sigmoid", "absolute", "detached", 1.0)
"""So cold that every gate is open or closed; what is exactly at the threshold is half open."""


class Row(NamedTuple):
    """A network's line in the table."""

    network: str
    input: str
    gates: str
    scales: str
    held: str
    kept: str

    def __str__(self) -> str:
        return f"| {' | '.join(self)} |"


def networks() -> list[str]:
    """All names, torchvision's first."""
    named = [
        name
        for name in torchvision.models.list_models(module=torchvision.models)
        if name.startswith(FAMILIES)
    ]
    timm_names = [f"timm/{name}" for name in TIMM if timm.is_model(name)]
    return [*named, *timm_names]


def shard() -> list[str]:
    """The networks that this run tests."""
    part, _, parts = os.environ.get("PULLBACK_WIDGETS_SHARD", "1/1").partition("/")
    return networks()[int(part) - 1 :: int(parts)]


def build(name: str) -> pw.Model:
    """A network with random weights, and with batch norms that are no identities.

    Their statistics are those of the test's picture and a few others. With any others the values
    of a deep network overflow, or exceed 6, above which a ReLU6 is shut for the gradient but not
    at T → 0.
    """
    size = SIDE.get(name.removeprefix("timm/"), DEFAULT_SIDE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: nn.Module
        if name.startswith("timm/"):
            module = timm.create_model(name.removeprefix("timm/"), num_classes=CLASSES)
        else:
            options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            module = torchvision.models.get_model(
                name, weights=None, num_classes=CLASSES, **options
            )
        module.eval()
        for one in module.modules():
            if isinstance(one, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(one.weight, 0.4, 0.8)
                nn.init.normal_(one.bias, std=0.2)
                one.momentum = 1.0
                one.train()
        with torch.no_grad():
            module(torch.cat([picture(size)[None].float(), torch.rand(3, 3, size, size) * 2 - 1]))
    return pw.Model(module.eval().double(), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), size, name=name)


def picture(size: int) -> Tensor:
    """Random multiples of 1/256, which the model's normalisation leaves as they are."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(-255, 256, (3, size, size), generator=generator).double() / 256


def row_of(model: pw.Model, report: pw.Report) -> Row:
    """What the table says of a network."""
    origins = {
        scale: report.count(scale)
        for scale in ("batch norm", "sum", "calibration")
        if report.count(scale)
    }
    kept = [f"{number} {name}" for name, number in report.kept.items()]
    kept += [f"no gradient through {number} {name}" for name, number in report.cut.items()]
    return Row(
        model.name,
        str(model.size),
        str(len(report.gates)),
        ", ".join(f"{number} {scale}" for scale, number in origins.items()),
        ", ".join(f"{number} {name}" for name, number in report.held.items()) or "-",
        ", ".join(kept) or "-",
    )


@pytest.mark.parametrize("name", shard())
def test_network(name: str) -> None:
    model = build(name)
    x = picture(model.size)
    with torch.no_grad():
        wanted = model.module(x[None])[0]
    session = pw.Session(model, x)
    assert torch.equal(session.logits, wanted)  # bit for bit

    soft = session.pullback(3)
    assert bool(torch.isfinite(soft).all()) and bool(soft.any())

    variable = x.clone().requires_grad_()
    (plain,) = torch.autograd.grad(model.module(variable[None])[0, 3], variable)
    hard = session.pullback(3, pw.Softening.hard())
    assert torch.equal(hard, plain) or (hard - plain).norm() <= 1e-5 * plain.norm()
    nearly = session.pullback(3, NEARLY_HARD)
    # Of a network with neither products nor norms of the image this is the gradient.
    held = session.pullback(3, pw.Softening.held())
    assert (nearly - held).norm() <= 1e-9 * held.norm()
    if not session.report.held:
        assert (held - plain).norm() <= 1e-9 * plain.norm()

    assert session.report.gates
    if made_with() in TABLE.read_text("utf-8"):
        assert str(row_of(model, session.report)) in TABLE.read_text("utf-8").splitlines()


def test_the_table_has_every_network_once() -> None:
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| ")]
    listed = [line.split("|")[1].strip() for line in lines[2:]]
    if made_with() in TABLE.read_text("utf-8"):
        assert listed == networks()
    assert len(set(listed)) == len(listed)
    assert sum(name.startswith("timm/") for name in listed) >= 30


def made_with() -> str:
    """The versions that the table's numbers hold for."""
    torchvision_version = torchvision.__version__.partition("+")[0]
    return f"torchvision {torchvision_version} and timm {timm.__version__}"


INTRODUCTION = """# Supported networks

Written by `python tests/engine/test_support.py --write` with {versions}.

Any PyTorch network works. For the networks below a test checks, with random weights, that the
forward pass is unchanged to the last bit, that the pullback is finite, that at T → 0 it is the held
map, which is the gradient where nothing but ReLU and max-pooling is not linear (of a ReLU6 as long
as nothing exceeds 6: soft gates have no upper threshold), and that the numbers in this table hold.

* *Gates*: ReLUs (also ReLU6, LeakyReLU, PReLU, however they are written), smooth activations and
  max-poolings that are softened.
* *Scale*: what a relative temperature is a multiple of: the batch norm before the gate, a sum of
  such, or the standard deviation on calibration photographs (max-poolings always).
* *Held*: operations that are linear because a part of them is held constant: the statistics of a
  norm, the weights of attention, the bounded factor of a product of two values of the image.
* *Keeps its own derivative*: nonlinearities that are left as they are, by autograd's name.

`pw.report(model)` tells the same of any network, and the Explorer shows it under the network.

"""


def write() -> None:
    """Write the table anew."""
    lines = [
        str(Row("network", "input", "gates", "scale", "held", "keeps its own derivative")),
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in networks():
        model = build(name)
        lines.append(str(row_of(model, pw.Session(model, picture(model.size)).report)))
        print(lines[-1], flush=True)
    TABLE.write_text(INTRODUCTION.format(versions=made_with()) + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("Run it with --write to write docs/support.md anew, or with pytest to test it.")
    write()
