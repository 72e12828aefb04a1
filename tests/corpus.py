"""Hundreds of odd image files, made here from seeds: whole ones of every kind, and broken ones.

A whole one is a picture in one colour, so that the right one is known whatever the format does.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

COLOUR = (204, 64, 48)
GREY = 96
OVER_WHITE = (230, 160, 152)
"""The colour, half transparent, over white."""

NOTHING = {**dict.fromkeys(("1", "P", "L", "RGB"), (0, 0, 0)), "RGBA": (255, 255, 255)}
"""What a picture of zeros looks like."""


class Odd(NamedTuple):
    """A file that someone may give.

    Attributes:
        name: What it is, unlike all others.
        content: Of the file.
        size: Width and height of the right picture; None where there may be none.
        colour: Its colour.
        refused: Whether there must be no picture.
    """

    name: str
    content: bytes
    size: tuple[int, int] | None = None
    colour: tuple[int, int, int] = COLOUR
    refused: bool = False


def corpus() -> Iterator[Odd]:
    """All of them, the same in every run."""
    whole = list(whole_ones())
    yield from whole
    yield from _turned()
    yield from _bombs()
    yield from _strangers()
    chosen = [one for one in whole if one.size == (23, 17)]
    for number, one in enumerate(chosen):
        yield from _cut(one)
        yield from _flipped(one, random.Random(number))
        yield from _shuffled(one, random.Random(1000 + number))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def whole_ones() -> Iterator[Odd]:
    """Every kind of file, in several sizes."""
    grey = (GREY, GREY, GREY)
    for size in [(23, 17), (1, 1), (1, 300), (300, 1)]:
        rgb = Image.new("RGB", size, COLOUR)
        end = "x".join(map(str, size))
        palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
        half = Image.new("RGBA", size, (*COLOUR, 127))
        clear = Image.new("P", size, 1)
        clear.putpalette([0, 0, 0, *COLOUR])
        files: dict[str, tuple[bytes, tuple[int, int, int]]] = {
            "png": (encoded(rgb, "PNG"), COLOUR),
            "png palette": (encoded(palette, "PNG"), COLOUR),
            "png clear palette": (encoded(clear, "PNG", transparency=1), (255, 255, 255)),
            "png half": (encoded(half, "PNG"), OVER_WHITE),
            "png grey": (encoded(Image.new("L", size, GREY), "PNG"), grey),
            "png grey alpha": (encoded(Image.new("LA", size, (GREY, 255)), "PNG"), grey),
            "png 16 bit": (encoded(_grey_16(size), "PNG"), grey),
            "png one bit": (encoded(Image.new("1", size, 1), "PNG"), (255, 255, 255)),
            "jpeg": (encoded(rgb, "JPEG", quality=95), COLOUR),
            "jpeg progressive": (encoded(rgb, "JPEG", quality=95, progressive=True), COLOUR),
            "jpeg grey": (encoded(Image.new("L", size, GREY), "JPEG", quality=95), grey),
            "jpeg cmyk": (encoded(Image.new("CMYK", size, (0, 0, 0, 0)), "JPEG"), (255,) * 3),
            "gif": (encoded(rgb, "GIF"), COLOUR),
            "gif animated": (
                encoded(
                    rgb,
                    "GIF",
                    save_all=True,
                    append_images=[Image.new("RGB", size, "blue")] * 3,
                ),
                COLOUR,
            ),
            "webp": (encoded(rgb, "WEBP", lossless=True), COLOUR),
            "webp animated": (
                encoded(
                    rgb,
                    "WEBP",
                    lossless=True,
                    save_all=True,
                    append_images=[Image.new("RGB", size, "blue")] * 3,
                ),
                COLOUR,
            ),
            "tiff": (encoded(rgb, "TIFF"), COLOUR),
            "tiff lzw": (encoded(rgb, "TIFF", compression="tiff_lzw"), COLOUR),
            "tiff 16 bit": (encoded(_grey_16(size), "TIFF"), grey),
            "tiff cmyk": (encoded(Image.new("CMYK", size, (0, 0, 0, 0)), "TIFF"), (255,) * 3),
            "tiff pages": (
                encoded(rgb, "TIFF", save_all=True, append_images=[Image.new("L", (5, 5))] * 2),
                COLOUR,
            ),
            "bmp": (encoded(rgb, "BMP"), COLOUR),
            "ppm": (encoded(rgb, "PPM"), COLOUR),
            "tga": (encoded(rgb, "TGA"), COLOUR),
            "pcx": (encoded(rgb, "PCX"), COLOUR),
            "jpeg2000": (encoded(rgb, "JPEG2000"), COLOUR),
        }
        for kind, (content, colour) in files.items():
            yield Odd(f"{kind} {end}", content, size, colour)


def _grey_16(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.full(size[::-1], GREY * 257, np.uint16))


def _turned() -> Iterator[Odd]:
    """Turned by their EXIF, with EXIF that makes no sense among it."""
    rgb = Image.new("RGB", (23, 17), COLOUR)
    for orientation in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        size = (17, 23) if 5 <= orientation <= 8 else (23, 17)
        for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
            content = encoded(rgb, kind, exif=exif)
            yield Odd(f"{kind} turned {orientation}", content, size)
    yield Odd("exif of noise", encoded(rgb, "PNG", exif=random.Random(0).randbytes(500)))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, mode: int = 2, more: bytes = b"", data: bytes = b"") -> bytes:
    """A PNG that says how large it is, whatever is in it."""
    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    body = _chunk(b"IHDR", header) + more + _chunk(b"IDAT", data or zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


@functools.cache
def zeros(megabytes: int) -> bytes:
    """So many megabytes of nothing, compressed to a hundredth."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(b"\0" * 1_000_000) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


def _bombs() -> Iterator[Odd]:
    """Small files that say they are enormous, or become so."""
    large = 2**31 - 1
    for width, height in [(10**5, 10**5), (large, large), (1, large), (large, 1), (0, 9), (9, 0)]:
        yield Odd(f"png of {width} x {height}", png(width, height), refused=True)
    yield Odd("png, all of it", png(40_000, 40_000, data=zeros(200)), refused=True)
    text = b"Comment\0\0" + zeros(100)
    small = encoded(Image.new("RGB", (23, 17), COLOUR), "PNG")
    end = small.index(b"IDAT") - 4
    yield Odd("png with much text", small[:end] + _chunk(b"zTXt", text) + small[end:])
    long_text = b"Comment\0\1\0\0\0" + zeros(100)
    yield Odd("png with long text", small[:end] + _chunk(b"iTXt", long_text) + small[end:])
    profile = b"profile\0\0" + zeros(100)
    yield Odd("png with a large profile", small[:end] + _chunk(b"iCCP", profile) + small[end:])
    yield Odd("png without end", small[:end] + _chunk(b"IDAT", small[end + 8 :]))
    many = small[:end] + _chunk(b"tEXt", b"a\0b") * 20_000 + small[end:]
    yield Odd("png of many parts", many, (23, 17))
    gif = bytearray(encoded(Image.new("RGB", (23, 17), COLOUR), "GIF"))
    gif[6:10] = b"\xff" * 4
    yield Odd("gif of 65535 x 65535", bytes(gif), refused=True)
    jpeg = bytearray(encoded(Image.new("RGB", (23, 17), COLOUR), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff" * 4
    yield Odd("jpeg of 65535 x 65535", bytes(jpeg), refused=True)
    bmp = bytearray(encoded(Image.new("RGB", (23, 17), COLOUR), "BMP"))
    for width, height in [(large, large), (-(2**31), 1), (30_000, -30_000), (0, 0)]:
        bmp[18:26] = struct.pack("<ii", width, height)
        yield Odd(f"bmp of {width} x {height}", bytes(bmp), refused=True)
    for size in ("100000 100000", f"{large} {large}", "1 " + "9" * 40, "9" * 10_000 + " 1"):
        yield Odd(f"ppm of {size[:30]}", f"P6 {size} 255 ".encode() + b"\0" * 99, refused=True)
    yield Odd("ppm in letters", b"P3 9000 9000 255 " + b"1 " * 1000, refused=True)
    for mode in ("1", "P", "L", "RGB", "RGBA"):  # which are not too large
        content = encoded(Image.new(mode, (4000, 4000)), "PNG", compress_level=1)
        yield Odd(f"png of 4000 x 4000, {mode}", content, (4000, 4000), NOTHING[mode])
    yield from _tiffs()
    webp = bytearray(encoded(Image.new("RGBA", (23, 17), (*COLOUR, 9)), "WEBP", exif=b"Exif\0\0"))
    at = webp.find(b"VP8X")
    webp[at + 12 : at + 18] = b"\xff" * 6
    yield Odd("webp of 16777216", bytes(webp), refused=True)
    tga = bytearray(encoded(Image.new("RGB", (23, 17), COLOUR), "TGA"))
    tga[12:16] = b"\xff" * 4
    yield Odd("tga of 65535 x 65535", bytes(tga), refused=True)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(png(9, 9)), 22)
    yield Odd("icon of 30000 x 30000", icon + png(30_000, 30_000, 6), refused=True)


def _tiffs() -> Iterator[Odd]:
    """TIFFs that say what cannot be."""

    def tiff(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
        listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return (
            b"II*\0" + struct.pack("<IH", 8, len(entries)) + listed + struct.pack("<I", following)
        )

    def plain(width: int, height: int, count: int = 300, **other: int) -> list[Any]:
        tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
        tags |= {279: count} | {int(name[1:]): value for name, value in other.items()}
        return [(tag, 4, 1, value) for tag, value in sorted(tags.items())]

    top = 2**32 - 1
    yield Odd("tiff of 65535 x 65535", tiff(plain(65_535, 65_535)), refused=True)
    yield Odd("tiff of 4294967295", tiff(plain(top, top)), refused=True)
    yield Odd("tiff that follows itself", tiff(plain(20, 20), 8))
    yield Odd("tiff of long strips", tiff(plain(20, 20, top)))
    yield Odd("tiff of far strips", tiff(plain(20, 20, t273=top)))
    yield Odd("tiff of many samples", tiff(plain(20, 20, t277=65_535)))
    yield Odd("tiff of many bits", tiff(plain(20, 20, t258=65_535)))
    yield Odd("tiff of strange compression", tiff(plain(20, 20, t259=7)))
    lists = [(tag, kind, top, 8) for tag in (256, 258, 273, 34675) for kind in (2, 3, 4, 5, 12)]
    yield Odd("tiff of endless lists", tiff(lists), refused=True)
    yield Odd("tiff of many entries", b"II*\0" + struct.pack("<IH", 8, 65_535), refused=True)


def _strangers() -> Iterator[Odd]:
    """What is no image, whatever its name says, and what would run a program."""
    texts = {
        "nothing": b"",
        "one byte": b"\0",
        "text": b"This is no image.",
        "html": b"<html><img src=x onerror=alert(1)></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "pdf": b"%PDF-1.7\n" + b"0" * 200,
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "zip": b"PK\x03\x04" + b"\0" * 200,
        "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "zeros": b"\0" * 100_000,
        "png only": b"\x89PNG\r\n\x1a\n",
        "jpeg only": b"\xff\xd8\xff",
        "gif only": b"GIF89a",
        "webp only": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        "tiff only": b"II*\0",
        "bmp only": b"BM",
        "mpeg": b"\0\0\1\xb3\xff\xff\xff" + b"\0" * 50,
        "hdf5": b"\x89HDF\r\n\x1a\n" + b"\0" * 500,
        "grib": b"GRIB\0\0\0\1" + b"\0" * 500,
    }
    for name, content in texts.items():
        yield Odd(name, content, refused=True)
    array = io.BytesIO()
    np.save(array, np.zeros((9, 9, 3), np.uint8))
    yield Odd("npy", array.getvalue(), refused=True)
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], object), allow_pickle=True)
    yield Odd("npy of objects", objects.getvalue(), refused=True)
    for seed in range(10):
        yield Odd(f"noise {seed}", random.Random(seed).randbytes(2000), refused=True)


def _cut(one: Odd) -> Iterator[Odd]:
    """Cut off at many places."""
    length = len(one.content)
    for share in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        yield Odd(f"{one.name} cut at {share}", one.content[: int(share * length)])


def _flipped(one: Odd, draw: random.Random) -> Iterator[Odd]:
    """A few bits changed, in the head more than elsewhere."""
    for number in range(10):
        content = bytearray(one.content)
        for _ in range(draw.randint(1, 6)):
            end = min(len(content), 60) if draw.random() < 0.7 else len(content)
            content[draw.randrange(end)] ^= 1 << draw.randrange(8)
        yield Odd(f"{one.name} flipped {number}", bytes(content))


def _shuffled(one: Odd, draw: random.Random) -> Iterator[Odd]:
    """Parts doubled, left out, or overwritten."""
    for number in range(5):
        first, last = sorted(draw.randrange(len(one.content)) for _ in range(2))
        part = one.content[first:last]
        new = draw.choice([b"", part * 3, b"\xff" * len(part), draw.randbytes(len(part))])
        yield Odd(f"{one.name} shuffled {number}", one.content[:first] + new + one.content[last:])
