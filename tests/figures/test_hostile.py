"""Recipes, arrays and folders that someone wrote to do harm, or that were damaged."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from corpus import COLOUR, encoded, png, zeros
from hypothesis import given
from hypothesis import strategies as st
from networks import image, network, wrap
from PIL import Image
from seeded import FEW
from waiting import SECONDS
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.drawing import files
from pullback_widgets.figures import packing
from pullback_widgets.figures.recipe_text import to_text

MEGABYTES = 200
LAYER = "conv1"
DEEP = "[" * 100_000 + "]" * 100_000
MODEL = wrap(network("chain"))
REFUSALS = (ValueError, TypeError)  # TraitError, ImageError and UnicodeError are none too many
PHOTOGRAPH = encoded(Image.new("RGB", (8, 8), COLOUR), "PNG")


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails where Python or NumPy took more than a file may take."""
    tracemalloc.start()
    try:
        yield
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < MEGABYTES * 1_000_000


def refused(recipe: Any, said: str = ".") -> str:
    """The one sentence with which it is refused."""
    with pytest.raises(ValueError, match=said) as caught:
        pw.open_recipe(recipe, model=MODEL)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    explorer = pw.Explorer(MODEL, "coffee", target=pw.Channel(LAYER, 1))
    assert explorer.wait(SECONDS)
    written: dict[str, Any] = json.loads(files.as_json(explorer.recipe()))
    explorer.close()
    return written


# JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is not JSON"),
        ("\0", "it is not JSON"),
        (DEEP, "nested too deeply"),
        ('{"format": 1, "a": ' + DEEP + "}", "nested too deeply"),
        ('{"format": ' + "9" * 1_000_000 + "}", "too long"),
        ("[" + "0," * 2_000_000 + "0]", "too large"),
        ("{" * 10_000, "it is not JSON|too deeply"),
        ("!!python/object/apply:os.system ['true']", "it is not JSON"),
        ("format: 1\nwidget: Explorer\n", "it is not JSON"),
        ('{"format": NaN}', "no recipe"),
        ('{"format": Infinity}', "no recipe"),
        ('{"format": 1e400}', "no recipe"),
        ('{"__proto__": {"format": 1}}', "no recipe"),
        ('{"format": 1, "widget": "__class__"}', "does not have"),
        ('{"format": 1, "widget": "Softening"}', "does not have"),
        ('{"format": 1, "widget": "open_recipe"}', "does not have"),
        ('{"format": 1, "widget": ["Explorer"]}', "does not have"),
        ('{"format": 1, "widget": "os"}', "does not have"),
        ('{"format": 1}', "damaged"),
    ],
    ids=lambda one: one[:25],
)
def test_json_that_is_no_recipe(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text, "utf-8")
    with little_memory():
        refused(path, said)
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode())).decode().rstrip("=")
    with little_memory():
        refused(f"recipe:{packed}")


def test_a_pickle_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    ran = tmp_path / "ran"
    path.write_bytes(b"cbuiltins\nopen\n(V" + str(ran).encode() + b"\nVw\ntR.")
    refused(path, "not JSON")
    path.write_bytes(b"\x80\x04\xff")
    refused(path, "not JSON")
    assert not ran.exists()


def test_a_text_that_becomes_enormous() -> None:
    packed = base64.urlsafe_b64encode(zeros(300)).decode().rstrip("=")
    with little_memory():
        refused(f"recipe:{packed}", "too large")


@pytest.mark.parametrize(
    "name", ["a\0b.json", "a" * 5000, "~nobody-of-this-name/x.json", "/dev/zero", "."], ids=repr
)
def test_what_no_file_is_called(name: str) -> None:
    refused(name, "is no recipe")


def test_a_text_without_its_beginning_is_taken_for_a_file(recipe: dict[str, Any]) -> None:
    text = to_text(recipe).removeprefix("recipe:")
    with pytest.raises((ValueError, FileNotFoundError)):
        pw.open_recipe(text, model=MODEL)


@FEW
@given(st.text(max_size=200), st.integers(0, 3))
def test_any_text_after_the_beginning_is_damaged(text: str, more: int) -> None:
    refused("recipe:" + text + "=" * more)


# What stands in a recipe -------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**30), 2**63, 2**31])
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["__class__", "../../etc/passwd", "<img src=x>", "Difference", "load", LAYER])
)
KEYS = [
    "kind",
    "dtype",
    "vector",
    "mask",
    "first",
    "second",
    "layer",
    "channel",
    "png",
    "npz",
    "sample",
    "file",
    "sha256",
    "folder",
    "named",
    "temperature",
    "gate",
    "__proto__",
    "factors",
    "index",
    "name",
]
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@FEW
@given(data=st.data())
def test_any_value_of_a_choice_opens_or_is_refused(recipe: dict[str, Any], data: Any) -> None:
    changed = {**recipe, data.draw(st.sampled_from(sorted(recipe))): data.draw(ANYTHING)}
    opened_or_refused(changed)


def opened_or_refused(changed: Any) -> None:
    """A widget that works or says what is wrong; or one sentence."""
    try:
        opened = pw.open_recipe(changed, model=MODEL)
    except REFUSALS:
        return
    opened.stop()
    assert opened.wait(SECONDS)
    opened.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"image": {"sample": "/etc/hostname"}}, "names the sample photograph '/etc/hostname'"),
        ({"image": {"sample": ["coffee"]}}, "names the sample photograph"),
        ({"image": {"png": base64.b64encode(png(30_000, 30_000)).decode()}}, "damaged"),
        ({"image": {"png": base64.b64encode(b"\x89PNG\r\n").decode()}}, "damaged"),
        ({"image": {"png": "%%%"}}, "damaged"),
        ({"image": "coffee.png"}, "damaged"),
        ({"target": {"kind": "Direction", "layer": LAYER, "vector": [1], "dtype": "load"}}, "load"),
        (
            {"target": {"kind": "Direction", "layer": LAYER, "vector": ["x"], "dtype": "float32"}},
            "",
        ),
        ({"target": {"kind": "__init__"}}, "damaged"),
        ({"softening": {"temperature": 10**400}}, "temperature is|damaged"),
        ({"softening": {"temperature": float("nan")}}, "damaged|temperature"),
        ({"softening": {"__class__": 1}}, "damaged"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_values_that_would_do_harm(recipe: dict[str, Any], changed: Any, said: str) -> None:
    with little_memory():
        refused({**recipe, **changed}, said)


def test_a_target_inside_a_thousand_others(recipe: dict[str, Any]) -> None:
    target: Any = 1
    for _ in range(3000):
        target = {"kind": "Difference", "first": target, "second": 1}
    refused({**recipe, "target": target}, "damaged")


def test_a_file_elsewhere_is_read_only_where_its_sum_is_known(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(PHOTOGRAPH)
    for place in (str(secret), f"{tmp_path}/../{tmp_path.name}/secret.png"):
        refused({**recipe, "image": {"file": place, "sha256": "0" * 64}}, "is not the file it was")


def test_what_is_said_to_be_a_photograph_may_be_anything(recipe: dict[str, Any]) -> None:
    for place in ("/dev/zero", "/proc/self/mem", "/dev", "", "a" * 300, "\0"):
        with little_memory():
            refused(
                {**recipe, "image": {"file": place, "sha256": ""}},
                "is not here|is not the file it was|damaged",
            )


def test_the_name_of_an_image_is_no_path(recipe: dict[str, Any]) -> None:
    written = {"name": "../../.ssh/<b>x</b>.png", "png": base64.b64encode(PHOTOGRAPH).decode()}
    opened = pw.open_recipe({**recipe, "image": written}, model=MODEL)
    assert opened.wait(SECONDS)
    assert "/" not in opened.stem() and "<" not in opened.stem()
    assert opened.image.filename == "b>.png"
    opened.close()


def test_a_recipe_makes_no_folder(tmp_path: Path, page: Page) -> None:
    atlas = pw.layer_atlas(MODEL, LAYER, [image(1)], side=8)
    place = tmp_path / "new"
    written = json.loads(files.as_json({**atlas.recipe(), "folder": str(place)}))
    opened = pw.open_recipe(written, model=MODEL)
    assert opened.wait(SECONDS)
    assert opened.error == "" and "nothing is kept on disk" in " ".join(opened.notes)
    assert not place.exists() and opened.folder is None
    opened.close()


# Arrays ------------------------------------------------------------------------------------------


def zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in parts.items():
            written.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(shape: tuple[int, ...], kind: str = "<f8", content: bytes = b"") -> bytes:
    """An array that says how large it is, whatever is in it."""
    file = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


def objects() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    return file.getvalue()


ARRAYS: dict[str, Callable[[], bytes]] = {
    "no bytes": lambda: b"",
    "no zip": lambda: b"PK\x03\x04" + b"\0" * 100,
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "an array alone": lambda: npy((2,), content=b"\0" * 16),
    "objects": lambda: zipped(image=objects()),
    "larger than it is": lambda: zipped(image=npy((10**5, 10**5))),
    "overflowing": lambda: zipped(image=npy((2**62, 2**62))),
    "less than nothing": lambda: zipped(image=npy((-1, 5))),
    "no header": lambda: zipped(image=b"\x93NUMPY\x01\0\xff\xff"),
    "code in the header": lambda: zipped(
        image=b"\x93NUMPY\x01\0\x20\0__import__('os').abort()       "
    ),
    "later version": lambda: zipped(image=b"\x93NUMPY\x09\0\x02\0{}"),
    "nothing in it": lambda: zipped(),
    "cut short": lambda: zipped(image=npy((9, 9), content=b"\1" * 648))[:-40],
    "no text": lambda: zipped(settings=npy((), "<i8", b"\1" * 8)),
    "no settings": lambda: zipped(image=npy((1,), content=b"\0" * 8)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_none(name: str, tmp_path: Path) -> None:
    content = ARRAYS[name]()
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with (
        little_memory(),
        pytest.raises(ValueError, match="is no NPZ file of this package|settings") as one,
    ):
        files.load_npz(path)
    assert "\n" not in str(one.value)
    if name in ("no text", "no settings", "nothing in it"):
        return
    with little_memory(), pytest.raises(ValueError, match="arrays in the recipe are damaged"):
        packing.unpacked_arrays({"npz": base64.b64encode(content).decode()})


def test_arrays_that_become_enormous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped(image=npy((150_000_000,), "|u1", bytes(150_000_000)))
    assert len(content) < 1_000_000
    with little_memory(), pytest.raises(ValueError, match="more than 128 MB"):
        packing.unpacked_arrays({"npz": base64.b64encode(content).decode()})
    monkeypatch.setattr(files.arrays_in, "__defaults__", (100_000_000,))
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with little_memory(), pytest.raises(ValueError, match="more than 100 MB"):
        files.load_npz(path)


@FEW
@given(data=st.data())
def test_an_npz_changed_anywhere_is_read_or_refused(tmp_path_factory: Any, data: Any) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    files.save_npz(path, {"x": np.arange(60.0).reshape(3, 20)}, {"a": 1})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    said = ""
    try:
        files.load_npz(path)
    except ValueError as error:
        said = str(error)
        assert "is no NPZ file of this package" in said


def test_arrays_of_every_kind_come_back(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 4), np.int64),
        "one": np.float32(3),
        "flags": np.array([True, False]),
        "words": np.array(["a", "bc"]),
    }
    read, settings = files.load_npz(files.save_npz(tmp_path / "a.npz", arrays, {"b": "<é>"}))
    assert settings == {"b": "<é>"} and set(read) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == np.asarray(values).dtype and read[name].flags.writeable


def test_an_image_of_one_channel_is_kept_in_a_recipe() -> None:
    grey = (np.arange(16, dtype=np.float32).reshape(1, 4, 4) / 127.5) - 1
    tensor = torch.from_numpy(grey)
    assert torch.equal(packing.unpacked_image(packing.packed_image(tensor)), tensor)


# The atlas' folder -------------------------------------------------------------------------------


def atlas(folder: Path) -> Any:
    return pw.layer_atlas(MODEL, LAYER, {"a": image(1), "b": image(2)}, side=8, folder=folder)


@pytest.fixture(scope="module")
def wanted() -> Any:
    return pw.layer_atlas(MODEL, LAYER, {"a": image(1), "b": image(2)}, side=8)


def same(first: Any, second: Any) -> bool:
    return all(np.array_equal(one, second.arrays()[name]) for name, one in first.arrays().items())


@pytest.mark.parametrize(
    "state",
    [
        '{"seen": -5, "skipped": {}}',
        '{"seen": 1000000000, "skipped": {}}',
        '{"seen": "2", "skipped": {}}',
        '{"seen": NaN, "skipped": {}}',
        '{"seen": 2, "skipped": {"c": "no such image"}}',
        '{"seen": 2, "skipped": ["a"]}',
        '{"seen": 2, "skipped": {"a": {"b": 1}}}',
        '{"seen": 2}',
        DEEP,
        "[2]",
    ],
    ids=lambda one: one[:40],
)
def test_a_state_that_cannot_be_starts_anew(tmp_path: Path, wanted: Any, state: str) -> None:
    atlas(tmp_path)
    (tmp_path / "state.json").write_text(state)
    assert same(atlas(tmp_path), wanted)


def test_a_state_sets_nothing_but_itself(tmp_path: Path, wanted: Any) -> None:
    atlas(tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    harm = {"request": 1, "__class__": "x", "figure": 2, "made_with": {}, "folder": "/"}
    (tmp_path / "state.json").write_text(json.dumps({**state, **harm}))
    again = atlas(tmp_path)
    assert same(again, wanted) and again.folder == tmp_path and callable(again.figure)


def test_examples_that_are_no_images_start_anew(tmp_path: Path, wanted: Any) -> None:
    for wrong in (10**9, -7):
        atlas(tmp_path)
        values = np.lib.format.open_memmap(tmp_path / "example.npy", "r+")
        values[:] = wrong
        values.flush()
        assert same(atlas(tmp_path), wanted)


@pytest.mark.parametrize("name", ["activation.npy", "done.npy", "patches.npy"])
@pytest.mark.parametrize("kind", sorted(ARRAYS))
def test_a_file_of_the_folder_may_be_anything(
    tmp_path: Path, wanted: Any, name: str, kind: str
) -> None:
    atlas(tmp_path)
    (tmp_path / name).write_bytes(ARRAYS[kind]())
    assert same(atlas(tmp_path), wanted)


@pytest.mark.parametrize("name", ["activation.npy", "state.json", "settings.json"])
def test_a_link_is_not_written_through(tmp_path: Path, name: str) -> None:
    folder, mine = tmp_path / "atlas", tmp_path / "mine.txt"
    atlas(folder)
    mine.write_text("my thesis")
    (folder / name).unlink()
    (folder / name).symlink_to(mine)
    with pytest.raises(ValueError, match="is a link to another place; give an empty or new folder"):
        atlas(folder)
    assert mine.read_text() == "my thesis"
