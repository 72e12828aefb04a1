"""The layer atlas against the engine called directly; stopping and going on."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compute import atlas_steps
from networks import CLASSES, Crowded, image, seeded, wrap
from PIL import Image
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.drawing import pixels
from pullback_widgets.drawing.files import load_npz
from pullback_widgets.figures import atlas as atlas_module
from pullback_widgets.figures.atlas import Atlas

SIZE, SIDE = 24, 16
LAYER, CHANNELS = "bn2", 9
IMAGES = {f"photo {n}": image(seed=n, size=SIZE) for n in range(5)}


class Net(nn.Module):
    """Two convolutions, whose units see a part of the image, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, CHANNELS, 3)
        self.bn2 = nn.BatchNorm2d(CHANNELS)
        self.head = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        return self.head(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


def wrapped(module: nn.Module | None = None, seed: int = 0) -> pw.Model:
    return wrap(seeded(Net() if module is None else module, seed), size=SIZE)


@pytest.fixture
def model() -> pw.Model:
    return wrapped()


def made(model: pw.Model, **options: Any) -> Atlas:
    return pw.layer_atlas(model, LAYER, IMAGES, **{"side": SIDE, "batch_size": 2, **options})


def parts(model: pw.Model, **options: Any) -> Iterator[Atlas]:
    return atlas_steps(model, LAYER, IMAGES, **{"side": SIDE, "batch_size": 2, **options})


def same(first: Atlas, second: Atlas) -> bool:
    pairs = zip(first.arrays().values(), second.arrays().values(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_every_channel_is_the_engine_s_pullback_on_its_strongest_image(
    model: pw.Model, batch_size: int
) -> None:
    softening = pw.Softening.relative(0.6)
    atlas = made(model, batch_size=batch_size, softening=softening)
    sessions = [pw.Session(model, one) for one in IMAGES.values()]
    values = torch.stack([session.activations(LAYER) for session in sessions])
    strength = values.clamp_min(0).mean((2, 3))
    np.testing.assert_allclose(atlas.activation, strength.amax(0).numpy(), rtol=1e-6)
    assert atlas.example.tolist() == strength.argmax(0).tolist()
    assert atlas.progress == 1.0 and atlas.done.all()
    for row, channel in enumerate(atlas.channels.tolist()):
        session = sessions[atlas.example[row]]
        pulled = session.pullback(pw.Channel(LAYER, channel, reduce="max"), softening)
        top, left = atlas.corner[row]
        place = (slice(None), slice(top, top + atlas.box), slice(left, left + atlas.box))
        energy = pulled.square().sum()
        sums = F.avg_pool2d(pulled.square().sum(0)[None, None], atlas.box, 1) * atlas.box**2
        assert pulled[place].square().sum() >= sums.max() - 1e-9 * energy  # nowhere is there more
        for shown, part, to_bytes in (
            ("pullback", pulled[place], pixels.signed_map),
            ("photograph", session.image[place], pixels.photograph),
        ):
            wanted = to_bytes(
                F.interpolate(part.float()[None], (SIDE, SIDE), mode="bilinear", antialias=True)[0]
            )
            seen = atlas.picture(channel, shown)  # type: ignore[arg-type]
            assert np.abs(wanted.astype(int) - seen).max() <= 1


def test_all_images_and_all_channels_are_the_default(model: pw.Model) -> None:
    atlas = pw.layer_atlas(pw.Model(model.module.float(), size=SIZE), side=8)
    assert len(atlas.sources) == len(pw.SAMPLES)
    assert atlas.layer.name == LAYER == atlas_module.middle_layer(atlas.model)
    assert atlas.channels.tolist() == list(range(atlas.layer.shape[0]))


def test_the_middle_layer_is_half_way_through_the_network() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 5, 3, 2), nn.ReLU(), nn.Conv2d(5, 6, 3, 2),
        nn.ReLU(), nn.Flatten(), nn.Linear(6 * 2 * 2, 7),
    )  # fmt: skip
    photo = image(size=SIZE).float()
    assert pw.layer_atlas(pw.Model(module, size=SIZE), images=photo).layer.name == "3"
    flat = pw.Model(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 4)), size=SIZE)
    with pytest.raises(ValueError, match="no layer with positions; name a layer"):
        pw.layer_atlas(flat, images=photo)


def test_some_channels_are_computed_as_among_all(model: pw.Model) -> None:
    whole, some = made(model), made(model, channels=[7, 2, 4])
    assert some.channels.tolist() == [7, 2, 4]
    for channel in (7, 2, 4):
        row = whole.row(channel)
        assert some.activation[some.row(channel)] == whole.activation[row]
        # Among other channels of the batch, rounding may differ by a byte.
        differences = some.picture(channel).astype(int) - whole.picture(channel)
        assert np.abs(differences).max() <= 1
    with pytest.raises(ValueError, match="Channel 3 of 'bn2' is not in this atlas"):
        some.row(3)


def test_a_layer_without_positions_shows_the_whole_image(model: pw.Model) -> None:
    atlas = pw.layer_atlas(model, "head", IMAGES, side=SIDE)
    assert atlas.box == SIZE and not atlas.corner.any() and atlas.done.all()


def test_the_box_is_as_large_as_what_a_unit_sees() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(4 * 32 * 32, 3),
        )  # fmt: skip
    model = pw.Model(module.eval(), size=32)
    boxes = [pw.layer_atlas(model, name, image(size=32).float()).box for name in ("0", "2")]
    assert boxes[0] == 3 and 4 <= boxes[1] <= 7


def test_channels_can_be_sorted_and_searched(model: pw.Model) -> None:
    atlas = made(model)
    count = len(atlas.channels)
    strongest = atlas.order()
    values = [atlas.activation[atlas.row(channel)] for channel in strongest]
    assert values == sorted(values, reverse=True)
    assert atlas.order("channel") == list(range(count)) == atlas.find("", "channel")
    assert atlas.find("3") == [3]
    assert atlas.find(" 2 - 4 ", "channel") == [2, 3, 4]
    named = atlas.find("PHOTO 1")
    assert named == [channel for channel in strongest if atlas.name(channel) == "photo 1"]
    assert atlas.find("nothing of the kind") == [] == atlas.find(str(count))
    with pytest.raises(ValueError, match='by is \'size\'; expected "activation" or "channel"'):
        atlas.order("size")  # type: ignore[arg-type]


# Stopping and going on ---------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 6])
def test_stopped_anywhere_it_goes_on_to_the_same_end(
    model: pw.Model, tmp_path: Path, after: int
) -> None:
    whole, folder = made(model), tmp_path / "atlas"
    stopped = parts(model, folder=folder)
    for _ in range(after + 1):
        half = next(stopped)
    stopped.close()
    assert (half.progress > 0) == (after > 0) and half.progress < 1
    seen, done = half.seen, half.done.copy()
    del half, stopped
    again = parts(model, folder=folder)
    first = next(again)
    assert first.seen == seen and np.array_equal(first.done, done)  # nothing is lost
    *_, last = again
    assert same(last, whole) and last.folder == folder
    # A finished one opens without computing anything.
    assert len(list(parts(model, folder=folder))) == 1


def test_an_exception_loses_nothing_that_was_there(
    model: pw.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, calls = atlas_module._put, 0

    def dies(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        kept(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(atlas_module, "_put", dies)
        made(model, folder=tmp_path)
    assert next(parts(model, folder=tmp_path)).done.sum() == 2  # a batch is whole or not there
    assert same(made(model, folder=tmp_path), made(model))


def test_a_folder_of_other_settings_is_left_alone(model: pw.Model, tmp_path: Path) -> None:
    made(model, folder=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for options, what in (
        ({"softening": pw.Softening.hard()}, "softening pw.Softening.relative.0.85. instead of"),
        ({"side": 8}, "side 16 instead of 8"),
        ({"channels": [1]}, "other channels|channels .* instead of"),
    ):
        with pytest.raises(ValueError, match=f"was begun with {what}|with {what}"):
            made(model, folder=tmp_path, **options)
    with pytest.raises(ValueError, match="was begun with other weights"):
        made(wrapped(seed=5), folder=tmp_path)
    changed = {**IMAGES, "photo 1": image(seed=77, size=SIZE)}
    with pytest.raises(ValueError, match="was begun with other images_hash"):
        pw.layer_atlas(model, LAYER, changed, side=SIDE, batch_size=2, folder=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files; give an empty or new one"):
        made(model, folder=tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["patches.npy", "state.json", "settings.json", "done.npy"])
@pytest.mark.parametrize("harm", ["missing", "empty", "cut short"])
def test_a_damaged_folder_starts_anew(
    model: pw.Model, tmp_path: Path, name: str, harm: str
) -> None:
    made(model, folder=tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(content[: len(content) // 2] if harm == "cut short" else b"")
    if name == "settings.json":  # whose folder it is cannot be known
        with pytest.raises(ValueError, match="holds other files|cannot be read"):
            made(model, folder=tmp_path)
        return
    assert same(made(model, folder=tmp_path), made(model))


def test_cut_short_before_its_first_file_a_folder_can_be_used(
    model: pw.Model, tmp_path: Path
) -> None:
    (tmp_path / "settings.part").write_text("{")
    assert same(made(model, folder=tmp_path), made(model))


def test_cut_short_while_examples_are_noted_nothing_is_wrong(
    model: pw.Model, tmp_path: Path
) -> None:
    steps = parts(model, folder=tmp_path)
    atlas = next(steps)

    class Breaking(np.ndarray):
        def __setitem__(self, place: Any, values: Any) -> None:
            raise KeyboardInterrupt

    atlas.activation = atlas.activation.view(Breaking)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert same(made(model, folder=tmp_path), made(model))


def test_images_that_are_alike_give_the_first(model: pw.Model) -> None:
    alike = {f"{n}": IMAGES["photo 1"] for n in range(5)}
    atlas = pw.layer_atlas(model, LAYER, alike, side=SIDE, batch_size=2)
    assert not atlas.example.any()


def test_an_earlier_atlas_spares_the_search_for_examples(model: pw.Model) -> None:
    first = made(model)
    again = parts(model, softening=pw.Softening.hard(), earlier=first)
    start = next(again)
    assert start is not first and start.surveyed and not start.done.any()
    *_, last = again
    assert same(last, made(model, softening=pw.Softening.hard()))
    assert same(first, made(model))  # as it was
    # Half of one with the same settings goes on.
    half_way = parts(model)
    for _ in range(4):
        half = next(half_way)
    half_way.close()
    *_, last = parts(model, earlier=half)
    assert last is half and same(half, first)
    # Another layer or other images start anew.
    other = next(atlas_steps(model, "bn1", IMAGES, side=SIDE, earlier=first))
    assert other.seen == 0 and not other.activation.any()


def test_the_channels_that_are_wanted_come_first(model: pw.Model) -> None:
    wanted = [5, 1]
    steps = parts(model, first=lambda atlas: wanted)
    for atlas in steps:
        if atlas.done.any():
            break
    assert atlas.channels[atlas.done].tolist() == sorted(wanted)


# Many channels, many images ----------------------------------------------------------------------


def anonymous_memory() -> int:
    """Bytes of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("no RssAnon")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_2048_channels_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    module = seeded(nn.Sequential(nn.Conv2d(3, 2048, 4, stride=4), nn.ReLU(), nn.Flatten()))
    pictures = [image(seed=n, size=32) for n in range(3)]
    sizes = []
    for atlas in atlas_steps(
        pw.Model(module, size=32), "0", pictures, side=16, batch_size=16, folder=tmp_path
    ):
        done = int(atlas.done.sum())
        if done and done % 256 == 0:
            gc.collect()
            sizes.append(anonymous_memory())
    assert len(sizes) == 8 and atlas.done.all()
    # The values of a batch are 17 MB; had each batch left its own, there would be 128 times that.
    assert max(sizes) - sizes[0] < 100_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs, and what else lies in folders."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for n in range(7):
        pixels = random.integers(0, 256, (40, 40 + n, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a photograph")
    (folder / "notes.txt").write_text("no image at all")
    return folder


def test_a_folder_s_unreadable_files_are_skipped_and_named(model: pw.Model, folder: Path) -> None:
    float_model = pw.Model(model.module.float(), size=SIZE)
    atlas = pw.layer_atlas(float_model, LAYER, folder, side=8, batch_size=3)
    assert len(atlas.sources) == 8 and list(atlas.skipped) == ["broken"]
    assert set(atlas.example.tolist()) <= set(range(7)) and atlas.done.all()
    assert "broken" in atlas.settings()["skipped"]
    (folder / "0.png").unlink()
    alone = folder / "broken.jpg"
    with pytest.raises(pw.ImageError):
        pw.layer_atlas(float_model, LAYER, [folder / "1.png", alone], side=8)
    for path in folder.glob("*.png"):
        path.unlink()
    with pytest.raises(pw.ImageError, match="No image can be read; the first"):
        pw.layer_atlas(float_model, LAYER, folder, side=8)


def test_a_folder_of_images_is_never_in_memory_as_a_whole(
    model: pw.Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[Any] = []
    most = 0
    kept = pw.Model.image

    def counted(model: pw.Model, source: Any) -> Tensor:
        nonlocal most
        import weakref

        pixels = kept(model, source)
        alive.append(weakref.ref(pixels))
        most = max(most, sum(ref() is not None for ref in alive))
        return pixels

    monkeypatch.setattr(pw.Model, "image", counted)
    (folder / "broken.jpg").unlink()
    pw.layer_atlas(pw.Model(model.module.float(), size=SIZE), LAYER, folder, side=8, batch_size=2)
    assert len(alive) >= 7 and most <= 4  # a batch, and the one before until it is let go


# What comes out ----------------------------------------------------------------------------------


def test_results_come_out(model: pw.Model, tmp_path: Path) -> None:
    atlas = made(model)
    arrays, settings = load_npz(atlas.save(tmp_path / "atlas.npz"))
    assert set(arrays) == set(atlas.arrays())
    np.testing.assert_array_equal(arrays["pullbacks"], atlas.pullbacks)
    assert settings["layer"] == LAYER and settings["softening"] == "pw.Softening.relative(0.85)"
    json.dumps(atlas.settings())
    for ending in (".png", ".pdf", ".svg"):
        assert atlas.save(tmp_path / f"atlas{ending}").stat().st_size > 1000


def test_the_figure_has_pages(monkeypatch: pytest.MonkeyPatch, model: pw.Model) -> None:
    atlas = made(model)
    monkeypatch.setattr(atlas_module, "PER_PAGE", 5)

    def titles(**options: Any) -> list[str]:
        figure = atlas.figure(**options)
        return [text for axes in figure.axes if (text := axes.get_title())]

    labels = [atlas.label(channel) for channel in atlas.order()]
    assert titles() == labels[:5] and titles(page=1) == labels[5:10]
    assert titles(by="channel") == [atlas.label(channel) for channel in range(5)]
    assert titles(search="3") == [atlas.label(3)] and titles(search="no such") == []
    atlas.page, atlas.by, atlas.search = 1, "channel", "0-6"
    assert titles() == [atlas.label(5), atlas.label(6)]
    assert "atlas.figure(page=1, by='channel', search='0-6')" in atlas.code()
    with pytest.raises(ValueError, match="page is 9; there are pages 0 to 1"):
        atlas.figure(9)


def test_its_code_computes_the_same(folder: Path, tmp_path: Path) -> None:
    model = pw.load_model("efficientnet_lite0")
    for images, options in (
        ("rocket", {"channels": [3, 1]}),
        (["rocket", "coffee"], {"channels": [2], "folder": tmp_path / "new"}),
        ({"mine": "rocket", "second": "coffee"}, {"channels": [2], "folder": tmp_path / "named"}),
        (folder, {"channels": [0], "softening": pw.Softening.hard()}),
    ):
        atlas = pw.layer_atlas(model, "blocks.1.0.bn1", images, side=8, batch_size=2, **options)
        names: dict[str, Any] = {}
        exec(atlas.code(), names)
        assert same(names["atlas"], atlas)
        assert "your" not in atlas.code()
    assert "# your images" in made(wrapped()).code()


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 0}, "side is 0; expected a whole number from 1 up"),
        ({"batch_size": True}, "batch_size is True; expected a whole number from 1 up"),
        ({"channels": []}, "A channel is missing; choose different ones from 0 to"),
        ({"channels": [1, 1]}, "A channel is given twice"),
        ({"channels": [99]}, "A channel is 99; choose different ones from 0 to"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    model: pw.Model, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(model, **options)


def test_unknown_layers_and_images_of_two_sizes_are_refused(model: pw.Model) -> None:
    with pytest.raises(ValueError, match="There is no layer 'bn3'"):
        pw.layer_atlas(model, "bn3", IMAGES)
    with pytest.raises(ValueError, match="must have one size, and these have 32 x 32, 40 x 40"):
        pw.layer_atlas(model, LAYER, [image(size=32), image(size=40)])
    with pytest.raises(TypeError, match="softening"):
        pw.layer_atlas(model, LAYER, IMAGES, softening=0.5)  # type: ignore[arg-type]


def test_values_that_are_not_finite_are_said(model: pw.Model) -> None:
    model.module.bn2.weight.data[3] = float("nan")
    with pytest.raises(ValueError, match="Layer 'bn2' has NaN or infinite values.* on 'photo 0'"):
        made(model)


def test_a_layer_that_is_silent_on_grey_shows_the_whole_image() -> None:
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, bias=False)
            self.squared = nn.Identity()
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.squared(self.conv(x).square()).mean((2, 3)))

    with pytest.warns(UserWarning, match="1 pow keeps its own derivative"):
        atlas = pw.layer_atlas(wrapped(Square()), "squared", IMAGES, side=SIDE)
    assert atlas.box == SIZE


def test_images_may_have_another_size_than_the_model_says(model: pw.Model) -> None:
    module = seeded(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    )
    oblong = pw.Model(module, size=99)  # photographs would not fit, these tensors do
    atlas = pw.layer_atlas(oblong, "0", image(size=8), side=SIDE)
    assert atlas.done.all() and atlas.box == 3


def test_images_may_be_in_half_precision(model: pw.Model) -> None:
    float_model = pw.Model(model.module.float(), size=SIZE)
    atlas = pw.layer_atlas(float_model, LAYER, image(size=SIZE).bfloat16(), side=SIDE)
    assert atlas.done.all()


def test_the_model_is_as_it_was(model: pw.Model) -> None:
    model.module.train()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    made(model)
    assert all(one.training for one in model.module.modules())
    after = model.module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_where_memory_runs_out_batches_are_smaller() -> None:
    crowded = Crowded(seeded(Net()), 3)
    model = wrap(crowded, size=SIZE)
    found = pw.layer_atlas(model, "module.bn2", IMAGES, side=SIDE, batch_size=8)
    expected = made(wrapped(), batch_size=3)
    assert found.progress == 1.0
    np.testing.assert_array_equal(found.example, expected.example)
    np.testing.assert_allclose(found.pullbacks, expected.pullbacks, atol=1e-6)
    assert set(crowded.batches) >= {8, 4, 2}
