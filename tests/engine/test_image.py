"""Photographs from everywhere, and one sentence for what is none."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import pullback_widgets as pw
from pullback_widgets.engine import image as image_module
from pullback_widgets.engine.image import (
    CENTRE,
    MAX_PIXELS,
    SAMPLES,
    ImageError,
    Sample,
    load_photograph,
    to_batch,
    to_tensor,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def distance(pixel: Any, colour: Any) -> int:
    """The largest difference of any channel."""
    return int(np.abs(np.subtract(pixel, colour)).max())


def photograph(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def huge_png(width: int, height: int) -> bytes:
    """The header of a PNG, without its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


# Samples


def test_samples_are_these_and_the_coffee_comes_first() -> None:
    expected = ["coffee", "chelsea", "rocket", "astronaut", "grace_hopper", "motorcycle"]
    assert list(SAMPLES) == expected
    with pytest.raises(TypeError):
        SAMPLES["x"] = SAMPLES["coffee"]  # type: ignore[index]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_a_photograph(name: str) -> None:
    opened = load_photograph(name)
    assert opened.mode == "RGB" and min(opened.size) >= 300
    assert np.asarray(opened).std() > 20
    assert SAMPLES[name].title


def test_samples_need_not_import_their_packages() -> None:
    code = (
        "import sys\n"
        "from pullback_widgets.engine.image import SAMPLES, load_photograph\n"
        "[load_photograph(name) for name in SAMPLES]\n"
        "sys.exit(bool({'skimage', 'matplotlib', 'scipy', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "sample",
    [
        Sample("Gone", "no_such_package_here", "no-such-dist", "data/gone.png"),
        Sample("Gone", "PIL", "no-such-dist", "data/gone.png"),
    ],
    ids=["package", "file"],
)
def test_missing_sample_names_the_package_to_install(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "SAMPLES", {"gone": sample})
    with pytest.raises(ImageError, match=r"'gone'.*pip install no-such-dist"):
        load_photograph("gone")


# Kinds of sources


def test_every_source_of_the_same_pixels_gives_the_same(tmp_path: Path) -> None:
    original = photograph()
    path = tmp_path / "x.png"
    original.save(path)
    content = path.read_bytes()
    array = np.asarray(original)
    sources = [path, str(path), content, bytearray(content), memoryview(content), original, array]
    for source in sources:
        opened = load_photograph(source)
        assert opened.mode == "RGB"
        assert np.array_equal(np.asarray(opened), array)


def test_photograph_is_independent_of_its_source() -> None:
    array = np.zeros((4, 4, 3), np.uint8)
    opened = Image.fromarray(array.copy())
    from_array, from_pil = load_photograph(array), load_photograph(opened)
    array[:] = 255
    opened.paste("white", (0, 0, 4, 4))
    assert from_array.getpixel((0, 0)) == from_pil.getpixel((0, 0)) == (0, 0, 0)


def test_path_with_a_sample_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph().save(tmp_path / "coffee", "PNG")
    monkeypatch.chdir(tmp_path)
    assert load_photograph(Path("coffee")).size == (40, 30)
    assert load_photograph("coffee").size == (600, 400)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_undone(orientation: int, kind: str) -> None:
    upright = Image.new("RGB", (32, 16), BLUE)
    upright.paste(RED, (0, 0, 16, 8))  # top left
    upright.paste(GREEN, (16, 0, 32, 8))  # top right
    # How a camera held that way stores it: the inverse of what the reader has to do.
    undo = image_module._UPRIGHT.get(orientation)
    swapped = {Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270}
    redo = next(iter(swapped - {undo})) if undo in swapped else undo
    stored = upright if redo is None else upright.transpose(redo)
    assert stored.size == ((16, 32) if orientation >= 5 else (32, 16))
    exif = Image.new("1", (1, 1)).getexif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    if kind == "WEBP":
        options = {"lossless": True}
    opened = load_photograph(encoded(stored, kind, exif=exif, **options))
    assert opened.size == (32, 16)
    for position, colour in (((6, 3), RED), ((26, 3), GREEN), ((6, 12), BLUE)):
        assert distance(opened.getpixel(position), colour) < 12


def test_exif_orientation_6_means_turned_clockwise() -> None:
    # Fixed by the standard, unlike the test above by our own table: row 0 is the right side.
    stored = Image.new("RGB", (4, 2), BLUE)
    stored.putpixel((0, 0), RED)
    exif = Image.new("1", (1, 1)).getexif()
    exif[0x0112] = 6
    opened = load_photograph(encoded(stored, exif=exif))
    assert opened.size == (2, 4) and opened.getpixel((1, 0)) == RED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_matter() -> None:
    content = encoded(photograph(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00")
    assert load_photograph(content).size == (40, 30)


def with_alpha() -> Image.Image:
    opened = Image.new("RGBA", (8, 4), (255, 0, 0, 255))
    opened.paste((0, 0, 0, 0), (4, 0, 8, 4))
    return opened


def two_tone(mode: str) -> Image.Image:
    """Left black (index 0), right white (index 1)."""
    opened = Image.new(mode, (8, 4), 0)
    opened.paste(1 if mode == "P" else 255, (4, 0, 8, 4))
    if mode == "P":
        opened.putpalette([0, 0, 0, 255, 255, 255])
    return opened


@pytest.mark.parametrize(
    ("source", "left", "right"),
    [
        (encoded(with_alpha()), RED, WHITE),
        (with_alpha(), RED, WHITE),
        (np.asarray(with_alpha()), RED, WHITE),
        (encoded(with_alpha(), "WEBP", lossless=True), RED, WHITE),
        (with_alpha().convert("RGBa"), RED, WHITE),
        (with_alpha().convert("LA"), (76, 76, 76), WHITE),
        (encoded(with_alpha().convert("LA")), (76, 76, 76), WHITE),
        (with_alpha().convert("LA").convert("La"), (76, 76, 76), WHITE),
        (encoded(with_alpha().quantize(4)), RED, WHITE),
        (encoded(two_tone("P")), (0, 0, 0), WHITE),
        (encoded(two_tone("P"), transparency=0), WHITE, WHITE),
        (encoded(two_tone("L"), transparency=0), WHITE, WHITE),
        (encoded(two_tone("L").convert("RGB"), transparency=(0, 0, 0)), WHITE, WHITE),
        (encoded(two_tone("1")), (0, 0, 0), WHITE),
        (encoded(two_tone("L")), (0, 0, 0), WHITE),
        (np.asarray(two_tone("L")), (0, 0, 0), WHITE),
        (np.asarray(two_tone("L"))[:, :, None], (0, 0, 0), WHITE),
        (np.asarray(two_tone("L")).astype(np.uint16) * 257, (0, 0, 0), WHITE),
        (encoded(Image.new("CMYK", (8, 4), (0, 255, 255, 0)), "JPEG"), (254, 0, 0), (254, 0, 0)),
        (Image.new("YCbCr", (8, 4), (76, 85, 255)), (254, 0, 0), (254, 0, 0)),
    ],
)
def test_modes(source: Any, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    opened = load_photograph(source)
    assert (opened.mode, opened.size) == ("RGB", (8, 4))
    assert distance(opened.getpixel((1, 1)), left) <= 2
    assert distance(opened.getpixel((6, 1)), right) <= 2


def test_half_transparent_is_mixed_with_white() -> None:
    opened = load_photograph(Image.new("RGBA", (2, 2), (255, 0, 0, 128)))
    assert distance(opened.getpixel((0, 0)), (255, 127, 127)) <= 1


def test_adobe_cmyk_is_not_inverted() -> None:
    """An Adobe APP14 marker says that the four inks are stored inverted."""
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    plain = encoded(ink, "JPEG", quality=100)
    assert b"Adobe" in plain  # Pillow writes the marker, and the inks inverted
    assert distance(load_photograph(plain).getpixel((4, 4)), RED) <= 3


@pytest.mark.parametrize("kind", ["png", "tiff", "I", "I;16B", "array", ">u2", "RGB array"])
def test_16_bit_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 0x8080, 65535, 300, 40000]], np.uint16)
    grey = Image.fromarray(values)
    assert grey.mode == "I;16"
    makers: dict[str, Callable[[], Any]] = {
        "png": lambda: encoded(grey),
        "tiff": lambda: encoded(grey, "TIFF"),
        "I": lambda: Image.fromarray(values.astype(np.int32)),
        "I;16B": lambda: Image.frombytes("I;16B", (6, 1), values.astype(">u2").tobytes()),
        "array": lambda: values,
        ">u2": lambda: values.astype(">u2"),
        "RGB array": lambda: np.repeat(values[:, :, None], 3, axis=2),
    }
    opened = np.asarray(load_photograph(makers[kind]()))
    assert opened.shape == (1, 6, 3)
    assert np.abs(opened[0, :, 0].astype(int) - [0, 1, 128, 255, 1, 156]).max() <= 1
    assert (opened[..., 0] == opened[..., 2]).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (16, 8), colour) for colour in (RED, GREEN, BLUE)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(content)).n_frames == 3  # type: ignore[attr-defined]
    assert distance(load_photograph(content).getpixel((8, 4)), RED) <= 3


# Refusals


def text_file(folder: Path) -> Path:
    path = folder / "notes.jpg"
    path.write_text("not an image")
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.png"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: b"", "no bytes"),
        (lambda _: b"hello", "no image that it can read in the given bytes; give a JPEG"),
        (text_file, "no image that it can read in '.*notes.jpg'"),
        (empty_file, "empty.png' is an empty file; save or copy"),
        (lambda folder: folder, "is a folder; give the path of one image"),
        (lambda folder: folder / "gone.png", "no file '.*gone.png'; check the path.*coffee"),
        (lambda _: "cofee", "no file 'cofee'.*did you mean the sample 'coffee'"),
        (lambda _: "x" * 5000, "no file 'xxx"),
        (lambda _: "a\0b", "no file"),
        (lambda _: "https://example.org/cat.jpg", "is an address.*download it first"),
        (lambda _: "FILE:///cat.jpg", "is an address.*download it first"),
        (lambda _: "data:image/png;base64," + "A" * 500, r"\.\.\.' is an address"),
        (lambda _: encoded(photograph(), "JPEG")[:-300], "given bytes cannot be decoded .*trunc"),
        (lambda _: encoded(photograph())[:-300], "cannot be decoded .*trunc.*copy or download"),
        (lambda _: encoded(photograph())[:20], "bytes"),
        (lambda _: np.zeros((4, 4, 3)), "floating-point.*uint8"),
        (lambda _: Image.fromarray(np.ones((4, 4), np.float32)), "floating-point.*uint8"),
        (lambda _: Image.fromarray(np.full((4, 4), 70000, np.int32)), "70000, beyond 16 bits"),
        (lambda _: Image.fromarray(np.full((4, 4), -1, np.int32)), "-1 .*beyond 16 bits"),
        (lambda _: np.zeros((4, 4, 3), np.int64), "holds int64; expected uint8"),
        (lambda _: np.zeros((4, 4), bool), "holds bool; expected uint8"),
        (lambda _: np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\).*transpose"),
        (lambda _: np.zeros((2, 8, 8, 3), np.uint8), r"list\(array\)"),
        (lambda _: np.zeros((8, 8, 2), np.uint8), r"shape \(8, 8, 2\)"),
        (lambda _: np.zeros(8, np.uint8), r"shape \(8,\)"),
        (lambda _: np.zeros((0, 8, 3), np.uint8), "no pixels"),
        (lambda _: Image.new("RGB", (0, 8)), "0 x 8 pixels"),
        (lambda _: np.broadcast_to(np.uint8(0), (50_001, 1000)), "1000 x 50001.*50 million"),
        (lambda _: np.broadcast_to(np.uint8(0), (10**6, 10**6)), "1000000 x 1000000.*50 million"),
        (lambda _: torch.zeros(3, 4, 4), "torch tensor"),
        (lambda _: None, "from NoneType; give a sample name"),
        (lambda _: 3, "from int; give a sample name"),
        (lambda _: huge_png(7072, 7072), "7072 x 7072.*50 million.*smaller"),
        (lambda _: huge_png(10_000, 10_000), "10000 x 10000.*50 million.*smaller"),
        (lambda _: huge_png(100_000, 100_000), "50 million.*smaller"),
    ],
)
def test_refusals_are_one_clear_line(make: Any, says: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=says) as caught:
            load_photograph(make(tmp_path))
    message = str(caught.value)
    assert "\n" not in message and message[0] in f"'{message[0].upper()}" and len(message) < 500
    assert isinstance(caught.value, ValueError)


def test_the_limit_itself_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_PIXELS == 50_000_000
    monkeypatch.setattr(image_module, "MAX_PIXELS", 1200)
    assert load_photograph(photograph(40, 30)).size == (40, 30)
    for source in (photograph(41, 30), np.asarray(photograph(41, 30))):
        with pytest.raises(ImageError, match="41 x 30"):
            load_photograph(source)


def test_unreadable_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = text_file(tmp_path)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"notes.jpg' cannot be read \(Permission denied\)"):
        load_photograph(path)


@pytest.mark.parametrize("good", [True, False])
def test_files_are_closed(good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.gif"
    frames = [photograph(seed=seed) for seed in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    if not good:
        path.write_bytes(path.read_bytes()[:200])
    opened = []
    original = Path.open

    def spy(self: Path, *args: Any, **options: Any) -> Any:
        opened.append(original(self, *args, **options))
        return opened[-1]

    monkeypatch.setattr(Path, "open", spy)
    if good:
        load_photograph(path).getpixel((0, 0))
    else:
        with pytest.raises(ImageError):
            load_photograph(path)
    assert len(opened) == 1 and opened[0].closed


# To tensors


def test_tensor_of_a_photograph() -> None:
    x = to_tensor(photograph(500, 300), 64)
    assert x.shape == (3, 64, 64) and x.dtype == torch.float32 and x.is_contiguous()
    assert -1 <= x.min() < 0 < x.max() <= 1
    assert to_tensor("coffee", 224).shape == (3, 224, 224)


def test_range_is_minus_one_to_one() -> None:
    x = to_tensor(np.array([[[0, 255, 128]]], np.uint8), 2)
    torch.testing.assert_close(x[:, 0, 0], torch.tensor([-1.0, 1.0, 128 / 127.5 - 1]))
    assert x.min() == -1 and x.max() == 1


def test_centre_crop_keeps_256_at_224_untouched() -> None:
    """The usual evaluation of ImageNet networks: shorter side 256, centre 224."""
    assert CENTRE == 224 / 256
    photo = photograph(256, 256)
    expected = torch.from_numpy(np.array(photo)[16:240, 16:240]).permute(2, 0, 1) / 127.5 - 1
    assert torch.equal(to_tensor(photo, 224), expected)


@pytest.mark.parametrize("name", ["coffee", "grace_hopper", "astronaut"])
def test_crop_equals_resizing_the_whole_then_cropping(name: str) -> None:
    photo = load_photograph(name)
    scale = 256 / min(photo.size)
    width, height = (round(side * scale) for side in photo.size)
    whole = photo.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 224) // 2, (height - 224) // 2
    expected = np.array(whole.crop((left, top, left + 224, top + 224)), float)
    ours = ((to_tensor(photo, 224) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.array_equal(ours.round(), expected)


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert to_tensor(stripes, 32).abs().max() < 0.05  # mid-grey, not black and white


@pytest.mark.parametrize("shape", [(1, 10_000), (10_000, 1), (1, 1), (2, 50_000)])
def test_extreme_shapes(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    largest = []
    original = Image.Image.resize

    def spy(self: Image.Image, *args: Any, **options: Any) -> Image.Image:
        result = original(self, *args, **options)
        largest.append(result.width * result.height)
        return result

    monkeypatch.setattr(Image.Image, "resize", spy)
    array = np.zeros((*shape, 3), np.uint8)
    array[shape[0] // 2, shape[1] // 2] = 255
    x = to_tensor(array, 32)
    assert x.shape == (3, 32, 32) and max(largest) == 32 * 32
    assert x.max() > 0.8  # the centre is what is kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_tensor_is_taken_as_it_is(dtype: torch.dtype) -> None:
    given = (torch.rand(3, 5, 7) * 2 - 1).to(dtype).requires_grad_()
    taken = to_tensor(given, 224)
    assert torch.equal(taken, given) and taken.dtype == dtype
    assert not taken.requires_grad and taken.data_ptr() != given.data_ptr()


def test_rounding_beyond_the_range_is_tolerated() -> None:
    assert to_tensor(torch.full((3, 2, 2), 1 + 5e-7), 4).max() > 1
    with pytest.raises(ImageError):
        to_tensor(torch.full((3, 2, 2), 1 + 5e-6), 4)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.uint8), r"torch.uint8.*127\.5"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "torch.int64"),
        (torch.zeros(4, 4, 3), r"\(4, 4, 3\).*permute"),
        (torch.zeros(1, 4, 4), r"\(1, 4, 4\); expected \(3, H, W\)"),
        (torch.zeros(4, 4), r"\(4, 4\); expected"),
        (torch.zeros(()), r"\(\); expected"),
        (torch.zeros(3, 0, 4), r"\(3, 0, 4\); expected"),
        (torch.zeros(2, 3, 4, 4), r"\(2, 3, 4, 4\); expected \(3, H, W\)"),
        (torch.full((3, 4, 4), 255.0), "255; expected .* 127.5"),
        (torch.full((3, 4, 4), -1.01), "-1.01"),
        (torch.full((3, 4, 4), float("inf")), "inf"),
        (torch.tensor([0.0] * 47 + [float("nan")]).view(3, 4, 4), "NaN"),
    ],
)
def test_bad_tensors(tensor: torch.Tensor, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        to_tensor(tensor, 4)


# To batches


@pytest.mark.parametrize("source", ["rocket", torch.zeros(3, 16, 16), photograph()])
def test_single_image_is_a_batch_of_one(source: Any) -> None:
    batch, single = to_batch(source, 16)
    assert single and torch.equal(batch, to_tensor(source, 16)[None])


@pytest.mark.parametrize("kind", [list, tuple])
def test_list_is_a_batch_in_its_order(kind: type) -> None:
    items = ["rocket", torch.zeros(3, 16, 16), np.asarray(photograph())]
    batch, single = to_batch(kind(items), 16)
    assert not single and batch.shape == (3, 3, 16, 16)
    for row, item in zip(batch, items, strict=True):
        assert torch.equal(row, to_tensor(item, 16))


@pytest.mark.parametrize("count", [1, 2])
def test_tensor_of_four_dimensions_is_a_batch(count: int) -> None:
    given = torch.rand(count, 3, 5, 7)
    batch, single = to_batch(given, 16)
    assert not single and torch.equal(batch, given) and batch.data_ptr() != given.data_ptr()
    assert to_batch([given[0]], 16)[1] is False


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ([], "list of images is empty"),
        ((), "list of images is empty"),
        ([torch.zeros(3, 4, 4), torch.zeros(3, 4, 5)], r"one size.*4 x 4, 4 x 5"),
        (["coffee", torch.zeros(3, 17, 16)], "one size"),
        (["coffee", b"", "rocket"], "Image 2 of 3: The image has no bytes"),
        ([["coffee"]], "Image 1 of 1: .* from list"),
        (torch.zeros(0, 3, 4, 4), r"\(0, 3, 4, 4\); expected \(N, 3, H, W\)"),
        (torch.zeros(2, 4, 4, 3), "permute"),
        (torch.full((2, 3, 4, 4), 2.0), "reaches from 2 to 2"),
    ],
)
def test_bad_batches(source: Any, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        to_batch(source, 16)


# The range of tensors


def between(low: float, high: float, *shape: int) -> torch.Tensor:
    spread = torch.rand(shape or (3, 8, 8), generator=torch.Generator().manual_seed(0))
    spread.view(-1)[:2] = torch.tensor([0.0, 1.0])
    return spread * (high - low) + low


def test_a_tensor_that_looks_like_0_to_1_is_told_of_once() -> None:
    given = between(0, 1)
    with pytest.warns(UserWarning, match=r"from 0 to 1 .*x \* 2 - 1 .*range=\(0, 1\)") as told:
        assert torch.equal(to_tensor(given, 8), given)
    assert len(told) == 1 and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_tensor(given, 8)
        for fine in (between(-0.1, 1), torch.zeros(3, 8, 8), torch.full((3, 8, 8), 0.5)):
            to_tensor(fine, 8)
        to_tensor(between(0, 1), 8, range=(-1, 1))


@pytest.mark.parametrize("span", [(0, 1), [0.0, 1.0], (0, 255), (-3, 3), (-1, 1)])
def test_a_range_says_what_black_and_white_are(span: Any) -> None:
    low, high = span
    expected = between(-1, 1)
    given = (expected + 1) / 2 * (high - low) + low
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (given, [given], given[None]):
            batch, _ = to_batch(source, 8, range=span)
            torch.testing.assert_close(batch[0], expected, rtol=0, atol=1e-6)
    assert torch.equal(to_batch("coffee", 8, range=span)[0], to_batch("coffee", 8)[0])


def test_a_session_reads_a_range() -> None:
    model = pw.Model(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)), size=8)
    given = between(0, 1)
    session = pw.Session(model, given, range=(0, 1))
    assert torch.equal(session.image, given * 2 - 1)
    pulled = pw.pullback(model, given, 1, range=(0, 1))
    assert torch.equal(pulled, session.pullback(1))


@pytest.mark.parametrize("span", [(1, 0), (0, 0), (0, 1, 2), 1, "ab", (0, float("inf")), (0, None)])
def test_a_range_is_two_numbers(span: Any) -> None:
    with pytest.raises(ValueError, match="expected the two numbers that mean black and white"):
        to_batch(torch.zeros(3, 8, 8), 8, range=span)


def test_a_tensor_outside_of_its_range_is_refused() -> None:
    with pytest.raises(ImageError, match=r"from -1 to 1; expected the range .*\[0, 1\]"):
        to_batch(between(-1, 1), 8, range=(0, 1))


# Colours


def swapped_profile() -> bytes:
    """SRGB with red and blue exchanged, by the same name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack(">I", profile[128:132])
    places = [132 + 12 * n for n in range(count)]
    red, blue = (
        next(at for at in places if profile[at : at + 4] == tag) + 4 for tag in (b"rXYZ", b"bXYZ")
    )
    profile[red : red + 8], profile[blue : blue + 8] = (
        profile[blue : blue + 8],
        profile[red : red + 8],
    )
    return bytes(profile)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("RGB", "JPEG"), ("RGBA", "TIFF")],
)
def test_colours_of_a_profile_become_srgb(mode: str, kind: str) -> None:
    picture = Image.new("RGB", (16, 16), (20, 40, 200))
    picture = picture.quantize(4) if mode == "P" else picture.convert(mode)
    file = io.BytesIO()
    picture.save(file, kind, icc_profile=swapped_profile())
    got = load_photograph(file.getvalue()).getpixel((3, 3))
    assert np.abs(np.subtract(got, (200, 40, 20))).max() <= 6


def test_srgb_profiles_change_nothing_whatever_they_are_called() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode in ("RGB", "L"):
        file = io.BytesIO()
        picture = Image.fromarray(pixels).convert(mode)
        picture.save(file, "PNG", icc_profile=profile)
        assert np.array_equal(load_photograph(file.getvalue()), picture.convert("RGB"))


def test_a_damaged_profile_does_not_matter() -> None:
    file = io.BytesIO()
    photograph().save(file, "PNG", icc_profile=b"nonsense")
    assert np.array_equal(load_photograph(file.getvalue()), np.asarray(photograph().convert("RGB")))


def test_the_samples_are_taken_as_they_are() -> None:
    """One of them has another profile; scales are measured on its pixels as they are."""
    with Image.open(SAMPLES["rocket"].path) as file:
        assert "icc_profile" in file.info
        raw = np.asarray(file.convert("RGB"))
    assert np.array_equal(load_photograph("rocket"), raw)
    assert not np.array_equal(load_photograph(SAMPLES["rocket"].path), raw)


def png_of_16_bits(kind: int, values: list[int], clear: list[int]) -> bytes:
    """A PNG of 4 x 4 equal pixels with a transparent colour, which Pillow cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 4, 4, 16, kind, 0, 0, 0)
    rows = (b"\0" + struct.pack(f">{len(values)}H", *values) * 4) * 4
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("kind", "values", "clear", "expected"),
    [
        (0, [30000], [30000], (255, 255, 255)),
        (0, [30001], [30000], (117, 117, 117)),  # the same in 8 bits
        (2, [51400, 10280, 5140], [51400, 10280, 5140], (255, 255, 255)),
        (2, [51400, 10280, 5140], [51400, 10280, 0], (200, 40, 20)),
    ],
)
def test_transparency_of_16_bits_is_kept(
    kind: int, values: list[int], clear: list[int], expected: tuple[int, ...]
) -> None:
    got = load_photograph(png_of_16_bits(kind, values, clear)).getpixel((1, 1))
    assert got == expected


@pytest.mark.parametrize("load_first", [True, False])
def test_a_closed_picture(load_first: bool, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as inside:
        if load_first:
            inside.load()
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    for picture in (inside, closed):
        if load_first and picture is inside:
            assert load_photograph(picture).size == photograph().size
            continue
        with pytest.raises(ImageError, match="PIL image was closed before .*inside of the with"):
            load_photograph(picture)


def test_a_file_of_too_many_pixels_is_refused_in_good_english(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pullback_widgets.engine.image.MAX_PIXELS", 1)
    with pytest.raises(ImageError, match=r"^There are \d+ x \d+ pixels in the given bytes, and at"):
        load_photograph(encoded(photograph()))
