"""torchvision's networks by name, with their weights in torch's own cache."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import nn

from .download import Progress, not_downloaded, unreadable, watched
from .imagenet import imagenet_categories
from .source import Entry, Pretrained, Source


def _entry(name: str, title: str, mebibytes: float, digest: str) -> Entry:
    return Entry(
        name=name,
        title=title,
        source="torchvision, ImageNet",
        size=round(mebibytes * 2**20),
        weights="IMAGENET1K_V1",
        file=f"{name}-{digest}.pth",
    )


class Torchvision(Source):
    """torchvision's networks with weights of ImageNet, the three of the paper first."""

    entries = (
        _entry("resnet50", "ResNet50", 97.781, "0676ba61"),
        _entry("vgg11_bn", "VGG11_BN", 506.881, "6002323d"),
        _entry("densenet121", "DenseNet121", 30.845, "a639ec97"),
        _entry("resnet18", "ResNet18", 44.661, "f37072fd"),
        _entry("squeezenet1_1", "SqueezeNet1_1", 4.729, "b8a52dc0"),
        _entry("googlenet", "GoogLeNet", 49.731, "1378be20"),
    )

    def label(self, name: str) -> str:
        entry = self.entry(name)
        size = f"{entry.size / 1e6:.0f} MB"
        return f"{entry.title}  ({'downloaded' if self.is_cached(entry) else f'{size} download'})"

    def is_cached(self, entry: Entry) -> bool:
        return (_cache() / entry.file).is_file()

    def load(self, entry: Entry, progress: Progress | None) -> Pretrained:
        return Pretrained(_load(entry, progress), imagenet_categories(entry.classes))


def _load(entry: Entry, progress: Progress | None) -> nn.Module:
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(entry.name)[entry.weights]
    target = _cache() / Path(urlsplit(weights.url).path).name
    if target.is_file():
        progress = None  # nothing will be downloaded
    # torch writes into a file of this pattern and moves that into place when its hash is right.
    with watched(target.parent, f"{target.name}.*.partial", entry.size, progress):
        try:
            module: nn.Module = get_model(entry.name, weights=weights, progress=False)
        except Exception as error:  # a damaged file makes pickle raise almost anything
            if target.is_file():  # the download is complete, so it is the file
                raise unreadable(entry.title, target, error) from error
            raise not_downloaded(
                entry.title, entry.size, error, weights.url, target.parent
            ) from error
    return module


def _cache() -> Path:
    return Path(torch.hub.get_dir(), "checkpoints")
