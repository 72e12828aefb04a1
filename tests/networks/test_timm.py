"""timm's networks by name: the hub's cache, downloads from a hub of our own, the Explorer."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipywidgets as w
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from waiting import SECONDS

import pullback_widgets as pw
from pullback_widgets.networks import loaded
from pullback_widgets.networks.catalogue import (
    CATALOGUE,
    entry,
    is_cached,
    listed_names,
    load_model,
)
from pullback_widgets.networks.download import DownloadError
from pullback_widgets.networks.imagenet import imagenet_categories
from pullback_widgets.networks.timm_source import cached_file
from pullback_widgets.widgets.explorer.choices import ExplorerChoices

ARCHITECTURE = "test_resnet"  # the smallest of timm's with ReLUs
TITLE = f"{ARCHITECTURE}.r160_in1k"
NAME = f"timm/{TITLE}"
COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights in both formats of the hub."""
    torch.manual_seed(0)
    state = timm.create_model(ARCHITECTURE).state_dict()
    folder = tmp_path_factory.mktemp("weights")
    files = {name: folder / name for name in ("model.safetensors", "pytorch_model.bin")}
    save_file(state, files["model.safetensors"])
    torch.save(state, files["pytorch_model.bin"])
    return files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no connection."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "hub"


def put(cache: Path, file: Path, name: str = NAME, commit: str = COMMIT) -> Path:
    """Put weights into the cache as the hub's client does; returns the file with the content."""
    folder = cache / f"models--{name.replace('/', '--')}"
    content = file.read_bytes()
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    link = folder / "snapshots" / commit / file.name
    for path in (blob, link, folder / "refs" / "main"):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.symlink_to(Path("..", "..", "blobs", blob.name))
    (folder / "refs" / "main").write_text(COMMIT)
    return blob


def listed_timm() -> list[str]:
    return [name for name in listed_names() if name not in CATALOGUE]


def same_weights(model: pw.Model, file: Path) -> bool:
    stored = timm.models.load_state_dict(str(file))
    own = model.module.state_dict()
    return own.keys() == stored.keys() and all(torch.equal(own[k], stored[k]) for k in own)


# Names


def test_the_tag_of_the_default_weights_is_filled_in() -> None:
    assert entry("timm/resnet18").name == "timm/resnet18.a1_in1k"
    found = entry("timm/resnet18.a1_in1k")
    assert (found.title, found.classes) == ("resnet18.a1_in1k", 1000)
    assert entry("timm/mobilenetv3_large_100.miil_in21k").classes == 11221


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("timm/resnet18.a1_in21k", r"nearest: timm/resnet18\.a1_in1k, timm/resnet18\.a"),
        ("timm/ResNet18", r"nearest: timm/resnet18,"),
        ("timm/resnext51", r"nearest: timm/resnet51q, timm/res2next50"),
        ("timm/resnet34.a1_in2k", r"nearest: timm/resnet34\.a1_in1k"),
        ("timm/zzzzzzzz", r"no network 'zzzzzzzz' .*; timm\.list_pretrained"),
        ("timm/", r"timm\.list_pretrained"),
        ("resnet34", r"those of timm as timm/NAME"),
        ("timm/gcvit_tiny.in1k", r"not on the Hugging Face hub.*pw\.Model"),
        ("timm/vit_base_patch16_sapiens2.fb", r"3 x 1024 x 768 .* square RGB"),
    ],
)
def test_unusable_name(name: str, says: str) -> None:
    for function in (entry, is_cached, load_model):
        with pytest.raises(ValueError, match=says) as caught:
            function(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "first"),
    [(1000, "tench"), (11821, "benthos"), (11221, "benthos"), (21841, "organism, being")],
)
def test_names_of_the_classes(classes: int, first: str) -> None:
    categories = imagenet_categories(classes)
    assert categories is not None and len(categories) == classes
    assert categories[0] == first


def test_classes_that_are_not_imagenet_s_have_no_names() -> None:
    assert imagenet_categories(0) is None
    assert imagenet_categories(768) is None


# The cache


def test_listing_imports_no_networks_and_asks_nobody(cache: Path, weights: dict[str, Path]) -> None:
    put(cache, weights["model.safetensors"])
    put(cache, weights["pytorch_model.bin"], "timm/resnet18.a1_in1k")
    put(cache, weights["model.safetensors"], "timm/ViT-B-16-SigLIP")  # no network of timm's
    put(cache, weights["model.safetensors"], "someone/resnet18.a1_in1k")
    put(cache, weights["model.safetensors"], "timm/resnet34.a1_in1k").unlink()  # deleted by hand
    (cache / "models--timm--resnet26.bt_in1k" / "blobs").mkdir(parents=True)  # never finished
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('asked somebody')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pullback_widgets.networks.catalogue import CATALOGUE, entry_label, listed_names\n"
        "print(*listed_names()[len(CATALOGUE):])\n"
        "assert [entry_label(name) for name in listed_names()]\n"
        "assert not {'timm', 'torchvision', 'IPython', 'ipywidgets'} & set(sys.modules)\n"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HF_HUB_CACHE": str(cache), "HOME": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == ["timm/resnet18.a1_in1k", NAME] == listed_timm()


def test_without_a_cache_nothing_is_listed(cache: Path) -> None:
    assert listed_timm() == []
    assert not is_cached(NAME)


@pytest.mark.parametrize("format_", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("name", [NAME, f"timm/{ARCHITECTURE}"])
def test_from_the_cache(name: str, format_: str, cache: Path, weights: dict[str, Path]) -> None:
    put(cache, weights[format_])
    calls: list[tuple[int, int]] = []
    assert is_cached(name)
    model = load_model(name, progress=lambda *call: calls.append(call), device="cpu")
    assert same_weights(model, weights[format_]) and not calls
    assert (model.mean, model.std, model.size) == ((0.5,) * 3, (0.5,) * 3, 160)
    assert (model.name, model.catalogue_name) == (TITLE, NAME)
    assert model.categories is not None and model.class_index("golf ball") == 574
    assert not any(module.training for module in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    assert not any(isinstance(one, dict) for one in model.module.pretrained_cfg.values())


def test_the_newest_snapshot_is_loaded(cache: Path, weights: dict[str, Path]) -> None:
    put(cache, weights["pytorch_model.bin"], commit="0" * 40)
    put(cache, weights["model.safetensors"], commit="f" * 40)
    put(cache, weights["model.safetensors"], commit=COMMIT)
    file = cached_file(NAME)
    assert file is not None and file.parent.name == COMMIT


def test_code_in_a_file_is_not_run(cache: Path, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return pytest.fail, ("this code must not run",)

    evil = tmp_path / "pytorch_model.bin"
    torch.save({"weight": Code()}, evil)
    put(cache, evil)
    with pytest.raises(DownloadError, match="cannot be read"):
        load_model(NAME)


def test_a_damaged_file_is_refused_and_named(cache: Path, weights: dict[str, Path]) -> None:
    blob = put(cache, weights["model.safetensors"])
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1  # still good safetensors
    blob.write_bytes(content)
    with pytest.raises(DownloadError, match=r"its SHA-256 is not .* delete that file") as caught:
        load_model(NAME)
    assert f" {blob} " in str(caught.value) and "\n" not in str(caught.value)
    blob.unlink()
    assert not is_cached(NAME)


def test_a_shared_file_behind_two_links_is_found(cache: Path, weights: dict[str, Path]) -> None:
    """Newer clients of the hub may share content: then the last name is no SHA-256 of it."""
    blob = put(cache, weights["model.safetensors"])
    shared = cache / "shared" / ("0" * 64)
    shared.parent.mkdir()
    blob.rename(shared)
    blob.symlink_to(shared)
    assert same_weights(load_model(NAME, device="cpu"), weights["model.safetensors"])
    shared.write_bytes(b"damaged")
    with pytest.raises(DownloadError, match="SHA-256") as caught:
        load_model(NAME)
    assert f" {shared} " in str(caught.value)


def by_hand(cache: Path, content: bytes) -> Path:
    """Where the error message says."""
    file = cache / f"models--timm--{TITLE}" / "snapshots" / "main" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_offline_it_is_said_what_to_do_and_that_works(
    cache: Path, weights: dict[str, Path]
) -> None:
    calls: list[tuple[int, int]] = []
    with pytest.raises(DownloadError, match=r"offline mode.*by hand") as caught:
        load_model(NAME, progress=lambda *call: calls.append(call))
    message = str(caught.value)
    file = by_hand(cache, weights["model.safetensors"].read_bytes())
    assert f"https://huggingface.co/{NAME}/resolve/main/{file.name} " in message
    assert f" {file.parent} " in message and TITLE in message and "\n" not in message
    assert not calls
    assert is_cached(NAME) and listed_timm() == [NAME]
    assert same_weights(load_model(NAME, device="cpu"), weights["model.safetensors"])


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_wrong_file_put_there_by_hand(content: bytes, cache: Path) -> None:
    file = by_hand(cache, content)
    with pytest.raises(DownloadError, match="cannot be read .* delete that file") as caught:
        load_model(NAME)
    assert f" {file} " in str(caught.value)


def test_weights_of_another_network(cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.safetensors"
    save_file({"conv.weight": torch.zeros(1)}, other)
    put(cache, other)
    with pytest.raises(DownloadError, match="cannot be read"):
        load_model(NAME)


# Downloads


@dataclass
class Hub:
    """A hub with one repository, on this machine."""

    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    half: threading.Event = field(default_factory=threading.Event)
    """The second half of a file is sent when this is set."""

    def publish(self, file: Path) -> None:
        self.files[file.name] = file.read_bytes()
        self.etags[file.name] = hashlib.sha256(self.files[file.name]).hexdigest()


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    published = Hub()
    published.half.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            folder, _, file = self.path.rpartition("/")
            content = published.files.get(file)
            if folder != f"/{NAME}/resolve/main" or content is None:
                self.send_response(404)
                known = folder.startswith(f"/{NAME}/")
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Etag", f'"{published.etags[file]}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("ETag", '"something else"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                published.half.wait(SECONDS)
                self.wfile.write(content[len(content) // 2 :])

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        address = f"http://127.0.0.1:{server.server_port}"
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield published
        server.shutdown()
        thread.join()


def left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("blobs/*"))


@pytest.mark.parametrize("format_", ["model.safetensors", "pytorch_model.bin"])
def test_download_then_cache(
    format_: str,
    hub: Hub,
    cache: Path,
    weights: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.publish(weights[format_])
    hub.half.clear()
    calls: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        calls.append((done, total))
        if done:
            hub.half.set()

    model = load_model(NAME, progress=report, device="cpu")
    assert same_weights(model, weights[format_])
    total = len(hub.files[format_])
    assert all(call[1] == total for call in calls)
    done = [call[0] for call in calls]
    assert done == sorted(set(done)) and done[0] == 0 and done[-1] == total
    assert 0 < done[1] <= total // 2
    assert left_behind(cache) == [hub.etags[format_]]

    calls.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # the cache is enough
    assert is_cached(NAME) and listed_timm() == [NAME]
    assert same_weights(load_model(NAME, progress=report, device="cpu"), weights[format_])
    assert not calls
    # timm itself finds them there too
    assert timm.create_model(TITLE, pretrained=True).conv1[0].weight is not None


def test_a_download_that_arrives_damaged_is_not_kept(
    hub: Hub, cache: Path, weights: dict[str, Path]
) -> None:
    hub.publish(weights["model.safetensors"])
    hub.etags["model.safetensors"] = "0" * 64
    calls: list[tuple[int, int]] = []
    with pytest.raises(DownloadError, match=r"SHA-256 is not .* try again later") as caught:
        load_model(NAME, progress=lambda *call: calls.append(call))
    assert "2 MB" in str(caught.value) and "\n" not in str(caught.value)
    assert left_behind(cache) == [] and not is_cached(NAME)
    assert all(done < total for done, total in calls)
    hub.publish(weights["model.safetensors"])
    assert same_weights(load_model(NAME, device="cpu"), weights["model.safetensors"])


def test_a_damaged_file_is_loaded_again_once_it_is_deleted(
    hub: Hub, cache: Path, weights: dict[str, Path]
) -> None:
    hub.publish(weights["model.safetensors"])
    blob = put(cache, weights["model.safetensors"])
    blob.write_bytes(b"damaged")
    with pytest.raises(DownloadError, match="delete that file"):
        load_model(NAME)
    blob.unlink()
    assert same_weights(load_model(NAME, device="cpu"), weights["model.safetensors"])


def test_a_repository_without_weights(hub: Hub) -> None:
    with pytest.raises(DownloadError, match=r"404.*by hand"):
        load_model(NAME)


def test_nobody_listens(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(DownloadError, match=r"refused.*by hand") as caught:
        load_model(NAME)
    assert "\n" not in str(caught.value)


def test_error_of_the_callback_is_its_own(hub: Hub, cache: Path, weights: dict[str, Path]) -> None:
    def broken(done: int, total: int) -> None:
        raise ZeroDivisionError("mine")

    hub.publish(weights["model.safetensors"])
    with pytest.raises(ZeroDivisionError, match="mine"):
        load_model(NAME, progress=broken)
    assert left_behind(cache) == []


# The Explorer


def network_list(explorer: pw.Explorer) -> w.Dropdown:
    waiting: list[w.Widget] = [explorer]
    while waiting:
        one = waiting.pop()
        if getattr(one, "description", "") == "Network":
            return one
        waiting += getattr(one, "children", ())
    raise AssertionError("there is no list of networks")


@pytest.fixture
def no_network_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets what other tests have loaded, and whatever is loaded now."""
    monkeypatch.setattr(loaded, "_loaded", weakref.WeakValueDictionary())


@pytest.mark.usefixtures("no_network_yet")
def test_the_explorer_shows_a_network_of_timm(cache: Path, weights: dict[str, Path]) -> None:
    put(cache, weights["model.safetensors"])
    explorer = pw.Explorer(f"timm/{ARCHITECTURE}", temperature=0.5)
    try:
        assert explorer.wait(SECONDS) and not explorer.error
        model = explorer.model
        assert isinstance(model, pw.Model) and model.catalogue_name == NAME
        assert explorer.pullback.shape == (3, 160, 160)
        box = network_list(explorer)
        assert box.value == NAME
        assert (f"{TITLE}  (timm, in the local cache)", NAME) in box.options
        text = explorer.code()
        assert f'model = pw.load_model("{NAME}")' in text
        names: dict[str, Any] = {}
        exec(text, names)
        assert torch.equal(names["pullback"], explorer.pullback)
        assert "image/png" in explorer._stored.bundle()[0]
    finally:
        explorer.close()


@pytest.mark.usefixtures("no_network_yet")
def test_the_explorer_downloads_a_network_and_goes_on_without_one(
    hub: Hub, cache: Path, weights: dict[str, Path]
) -> None:
    explorer = pw.Explorer()
    try:
        assert explorer.wait(SECONDS)
        first = explorer.model
        explorer.model = NAME
        assert explorer.wait(SECONDS)
        assert "404" in explorer.error and explorer.model is first
        assert NAME not in [value for _, value in network_list(explorer).options]
        explorer.attempt("model", "timm/test_resnet.nonsense")
        assert f"nearest: {NAME}" in explorer.error and explorer.model is first

        hub.publish(weights["model.safetensors"])
        hub.half.clear()
        seen: list[str] = []

        def watch(change: Any) -> None:
            if "downloading" in change["new"]:
                seen.append(change["new"])
                hub.half.set()

        explorer._status.observe(watch, "value")
        explorer.target = "golf ball"
        explorer.model = NAME
        assert explorer.wait(SECONDS) and not explorer.error
        assert f"downloading {TITLE}: 0 of 2 MB" in seen[0]
        assert explorer.model.catalogue_name == NAME == network_list(explorer).value
        assert explorer.target == "golf ball"  # both know ImageNet's classes
    finally:
        explorer.close()


def test_a_class_stays_chosen_only_where_the_classes_are_the_same() -> None:
    choices = ExplorerChoices()
    choices.choose(model="efficientnet_lite0", target="golf ball")
    choices.model = "timm/resnet18"
    assert (choices.model, choices.target) == ("timm/resnet18.a1_in1k", "golf ball")
    choices.model = "timm/mobilenetv3_large_100.miil_in21k"
    assert choices.target is None
