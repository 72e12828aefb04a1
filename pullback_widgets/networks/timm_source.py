"""timm's networks by name, with their weights from the Hugging Face hub.

Listing what is in the hub's local cache imports neither timm nor torchvision, and asks no server.
"""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .download import Progress, not_downloaded, unreadable, watched
from .imagenet import imagenet_categories
from .source import Entry, Pretrained, Source

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_FILES = ("model.safetensors", "pytorch_model.bin")
"""What weights are called on the hub, best first: safetensors cannot hold code."""


class Timm(Source):
    """The pretrained networks of timm that are on the Hugging Face hub."""

    prefix = "timm/"

    def names(self) -> list[str]:
        """The networks whose weights are in the local cache, such as ``timm/resnet18.a1_in1k``."""
        start = _folder(self.prefix).name
        names = (folder.name.removeprefix(start) for folder in _cache().glob(f"{start}*"))
        # The other things that timm has on the hub bear names that no architecture can have.
        networks = (self.prefix + name for name in names if name.partition(".")[0].isidentifier())
        return sorted(name for name in networks if cached_file(name))

    def entry(self, name: str) -> Entry:
        config = configuration(name)
        title = _title(config)
        return Entry(self.prefix + title, title, "timm, Hugging Face", classes=config.num_classes)

    def label(self, name: str) -> str:
        here = ", in the local cache" if cached_file(name) else ""
        return f"{name.removeprefix(self.prefix)}  (timm{here})"

    def is_cached(self, entry: Entry) -> bool:
        return cached_file(configuration(entry.name).hf_hub_id) is not None

    def load(self, entry: Entry, progress: Progress | None) -> Pretrained:
        config = configuration(entry.name)
        return Pretrained(
            _load(config, progress),
            imagenet_categories(entry.classes),
            mean=config.mean,
            std=config.std,
            size=config.input_size[-1],
        )


def cached_file(repository: str) -> Path | None:
    """The weights of a repository of the hub if they are in the local cache.

    Args:
        repository: For most networks the same as their name.
    """
    folder = _folder(repository)
    main = folder / "refs" / "main"
    newest = main.read_text("utf-8").strip() if main.is_file() else ""
    snapshots = sorted(
        (folder / "snapshots").glob("*"), key=lambda path: (path.name != newest, path.name)
    )
    files = (snapshot / name for snapshot in snapshots for name in _FILES)
    return next((file for file in files if file.is_file()), None)


def configuration(name: str) -> Any:
    """What timm knows of a network and its weights.

    Args:
        name: ``timm/resnet18.a1_in1k``, or without the tag for timm's default weights.

    Returns:
        A ``PretrainedCfg`` of timm's; ``hf_hub_id`` is the repository.

    Raises:
        ValueError: If there is no such network, or it cannot be loaded or shown images here.
    """
    import timm
    from timm.models import get_pretrained_cfg

    short = name.removeprefix(Timm.prefix)
    try:
        found = get_pretrained_cfg(short)
    except RuntimeError:  # an architecture, but no such tag
        found = None
    if found is None or not found.has_weights:
        known = timm.list_models(pretrained=True, include_tags="." in short)
        near = difflib.get_close_matches(short.lower(), known)
        hint = f"nearest: {', '.join(Timm.prefix + one for one in near)}; " if near else ""
        raise ValueError(
            f"timm has no network {short!r} with pretrained weights; {hint}"
            "timm.list_pretrained() has them all."
        )
    if not found.hf_hub_id:
        raise ValueError(
            f"The weights of timm's {short} are not on the Hugging Face hub, where they could be "
            f"verified; make the network with timm.create_model({short!r}, pretrained=True) and "
            "wrap it in pw.Model."
        )
    channels, height, width = found.input_size
    if channels != 3 or height != width:
        raise ValueError(
            f"timm's {short} takes images of {channels} x {height} x {width} numbers; choose a "
            "network for square RGB images."
        )
    return found


def _title(config: Any) -> str:
    """Architecture and tag of a configuration, such as ``resnet18.a1_in1k``."""
    return f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)


def _load(config: Any, progress: Progress | None) -> nn.Module:
    """Build a network with its weights, downloading them into the hub's cache if need be.

    A file in the cache is a link to one that is named by the SHA-256 of its content, which is
    checked. One that is no link, as when it was put there by hand, must only fit the network.

    Args:
        config: Of :func:`configuration`.
        progress: As of ``load_model``.

    Raises:
        DownloadError: If the weights cannot be downloaded, stored or read.
    """
    import timm

    name = _title(config)
    file = cached_file(config.hf_hub_id)
    if file is None:
        file = _download(config.hf_hub_id, name, progress)
    try:
        _verify(file, file.readlink().name if file.is_symlink() else "")
        module: nn.Module = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay={"state_dict": _read(file)}
        )
    except Exception as error:  # a damaged file makes its readers raise almost anything
        raise unreadable(name, file.resolve(), error) from error
    used: Any = module.pretrained_cfg
    used.pop("state_dict")  # or all weights would stay in memory twice
    return module


def _download(repository: str, name: str, progress: Progress | None) -> Path:
    import huggingface_hub as hub

    folder = _folder(repository)
    by_hand = hub.hf_hub_url(repository, _FILES[0]), folder / "snapshots" / "main"
    try:
        wanted, stored = _published(repository)
    except Exception as error:
        raise not_downloaded(name, 0, error, *by_hand) from error
    size = stored.size or 0
    with watched(folder / "blobs", f"{stored.etag}.*incomplete", size, progress):
        try:
            file = Path(hub.hf_hub_download(repository, wanted))
            try:
                _verify(file, stored.etag or "")
            except ValueError:
                file.resolve().unlink()
                raise
        except Exception as error:
            raise not_downloaded(name, size, error, *by_hand) from error
    return file


def _published(repository: str) -> tuple[str, HfFileMetadata]:
    """The name of the weights on the hub, and what the hub says of them."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    best, other = _FILES
    try:
        return best, get_hf_file_metadata(hf_hub_url(repository, best))
    except EntryNotFoundError:
        return other, get_hf_file_metadata(hf_hub_url(repository, other))


def _verify(file: Path, blob: str) -> None:
    """Compare a file with the name of its content in the cache, for weights their SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(2**20):
            digest.update(piece)
    if len(blob) == digest.digest_size * 2 and blob != digest.hexdigest():
        raise ValueError("its SHA-256 is not the published one")


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    stored: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return stored


def _folder(repository: str) -> Path:
    return _cache() / f"models--{repository.replace('/', '--')}"


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)
