"""The networks of the table: which they are, and how they are built with random weights."""

from __future__ import annotations

import functools
import re
import warnings
from typing import Any

import timm
import torch
import torchvision
from families import OPTIONS, REBUILT, SIDES, TIMM
from torch import Tensor, nn

import pullback_widgets as pw

CLASSES = 10
DEFAULT_SIDE = 64
HALF = (0.5, 0.5, 0.5)
"""As mean and standard deviation: the network sees the image as it is."""

_ADDED = re.compile(r"bias|beta|token|pos|embed|running_mean|mean$|query|latent|probe")
"""The last word of the names of parameters and buffers that are added to what comes from an image.

Weights of attention and of position (as in relative position biases) are among them: they are held
constant, whatever they are.
"""


def names() -> list[str]:
    """All names, torchvision's first."""
    torchvisions = torchvision.models.list_models(module=torchvision.models)
    return [*torchvisions, *(f"timm/{name}" for name in TIMM if timm.is_model(name))]


def side(name: str) -> int:
    """The side of the images that a network is shown, in pixels."""
    return SIDES.get(name, DEFAULT_SIDE)


def build(name: str) -> pw.Model:
    """A network with random weights of which no part does nothing."""
    size = side(name)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how weights are initialised, which does not matter
        torch.manual_seed(0)
        module = _timm(name, size) if name.startswith("timm/") else _torchvision(name, size)
        return wrapped(module, size, name)


def wrapped(module: nn.Module, size: int, name: str) -> pw.Model:
    """A network in double precision that sees pictures as they are, and whose every part acts."""
    module.eval()
    _stir(module)
    _normalise(module, size)
    pictures = [picture(size), picture(size, 2)]
    return pw.Model(module.double(), HALF, HALF, size, name=name, calibration=pictures)


def picture(size: int, seed: int = 1) -> Tensor:
    """Random multiples of 1/256, which the model's normalisation leaves as they are."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-255, 256, (3, size, size), generator=generator).double() / 256


def without_constants(module: nn.Module) -> None:
    """Set everything to zero that a network adds to what comes from the image."""
    with torch.no_grad():
        for name, one in [*module.named_parameters(), *module.named_buffers()]:
            last = name.rpartition(".")[2]
            if one.is_floating_point() and (_ADDED.search(last) or "pos_emb" in name):
                one.zero_()


def _torchvision(name: str, size: int) -> nn.Module:
    if name in REBUILT:
        return REBUILT[name](CLASSES, size)
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # which takes a minute
    elif name.startswith("vit"):
        options["image_size"] = size
    return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options)


def _timm(name: str, size: int) -> nn.Module:
    options = dict(OPTIONS.get(name, {}))
    name = name.removeprefix("timm/")
    if _is_fixed(name):
        options["img_size"] = size
    return timm.create_model(name, num_classes=CLASSES, **options)


@functools.cache
def _is_fixed(name: str) -> bool:
    """Whether a network is built for images of one size."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    return config is not None and bool(config.fixed_input_size)


def _stir(module: nn.Module) -> None:
    """Make random what is built as a constant.

    Zeros and tiny numbers (of the last layer, of layer scales, of gains of residual branches) would
    leave nothing of a part of the network.
    """
    with torch.no_grad():
        for one in module.parameters():
            if one.is_floating_point() and bool((one == one.flatten()[0]).all()):
                if bool(one.flatten()[0] == 0):
                    nn.init.normal_(one, std=0.1 if one.dim() < 2 else one[0].numel() ** -0.5)
                else:
                    nn.init.uniform_(one, 0.4, 0.8)


def _normalise(module: nn.Module, size: int) -> None:
    """Give batch norms the statistics of the test's picture and a few others.

    With any others the values of a deep network overflow, or exceed 6, above which a ReLU6 is shut
    for the gradient but not at T → 0.
    """
    norms = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    for one in norms:
        one.momentum = 1.0
        one.train()
    if norms:
        with torch.no_grad():
            module(torch.cat([picture(size)[None].float(), torch.rand(2, 3, size, size) * 2 - 1]))
    module.eval()
