"""A photograph, from wherever it comes, to the tensor that everything else works on.

An image is a float tensor (3, H, W), RGB, in [-1, 1], where 0 is mid-grey; for networks of another
number of channels it has theirs. Whatever cannot become
one is refused with an :class:`ImageError`, whose one sentence says what to do instead.
"""

from __future__ import annotations

import difflib
import importlib.util
import io
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from .colour import to_8_bit, to_srgb
from .image_error import ImageError as ImageError
from .image_tensor import Range as Range
from .image_tensor import checked_image, checked_range

MAX_PIXELS = 50_000_000
"""Larger photographs are refused before they are decoded."""

CENTRE = 0.875
"""Share of the shorter side that the centre crop keeps: 224 of 256, as ImageNet networks are
commonly evaluated. A photograph of 256 x 256 is thus cropped at 224 and not resampled."""

_UPRIGHT = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_ORIENTATION = 0x0112

_FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "JXL", "MPO", "PCX", "PNG"),
    *("PPM", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
"""The files that are opened, as Pillow and its plug-ins call them. Among the others are those for
which Pillow starts a program, such as Ghostscript for EPS."""


@dataclass(frozen=True)
class Sample:
    """A photograph inside another installed package: a title, and where the file lies."""

    title: str
    package: str
    distribution: str
    file: str

    @property
    def path(self) -> Path:
        """The file. The package is found, not imported: scikit-image takes long to import.

        Raises:
            ImageError: If the package, or the file in it, is missing.
        """
        spec = importlib.util.find_spec(self.package)
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder, self.file)
            if path.is_file():
                return path
        raise ImageError(
            f"The sample photograph {Path(self.file).stem!r} comes with the Python package "
            f"{self.distribution}, which is not (completely) installed here; "
            f"run: pip install {self.distribution}"
        )


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "coffee": Sample("Coffee cup", "skimage", "scikit-image", "data/coffee.png"),
        "chelsea": Sample("Chelsea the cat", "skimage", "scikit-image", "data/chelsea.png"),
        "rocket": Sample("Rocket", "skimage", "scikit-image", "data/rocket.jpg"),
        "astronaut": Sample("Astronaut", "skimage", "scikit-image", "data/astronaut.png"),
        "grace_hopper": Sample(
            "Grace Hopper", "matplotlib", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg"
        ),
        "motorcycle": Sample("Motorcycle", "skimage", "scikit-image", "data/motorcycle_left.png"),
    }
)
"""Sample photographs by name, the default first."""


def load_photograph(source: Any) -> Image.Image:
    """Open a photograph, upright, opaque and in colour.

    Transparency is laid over white, 16-bit grey is scaled to 8 bits, colours of another profile
    become sRGB (but of the samples, which are taken as they are), of an animation the first frame
    is taken.

    Args:
        source: A name of :data:`SAMPLES`, a path (str or Path), the bytes of an image file, a PIL
            image, or a uint8 or uint16 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Returns:
        A PIL image of mode RGB, independent of the source.

    Raises:
        ImageError: If ``source`` is none of these, cannot be read, or has more than
            :data:`MAX_PIXELS` pixels.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source, "the PIL image")
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        if not len(source):
            raise ImageError("The image has no bytes at all; give a whole image file, not 0 bytes.")
        return _decode(io.BytesIO(source), "the given bytes")
    if isinstance(source, str) and source in SAMPLES:
        # As they are: scales and published numbers were measured on these very pixels, and one of
        # the files has another profile.
        return _open(SAMPLES[source].path, profiled=False)
    if isinstance(source, (str, os.PathLike)):
        return _open(_checked_path(source))
    hint = " (a torch tensor goes to to_tensor or Session)" if isinstance(source, Tensor) else ""
    raise ImageError(
        f"A photograph cannot be read from {type(source).__name__}{hint}; give a sample name "
        f"({', '.join(SAMPLES)}), a path, the bytes of an image file, a PIL image, or a uint8 "
        "array of shape (H, W, 3)."
    )


def to_tensor(
    source: Any, size: int, channels: int | None = 3, range: Range | None = None
) -> Tensor:
    """Make a photograph, or check a tensor, as an image in [-1, 1].

    A photograph is resized (bilinear, antialiased) so that its shorter side is ``size / CENTRE``,
    and the centre is cropped.

    Args:
        source: What :func:`load_photograph` takes, or a floating-point tensor (C, H, W) in
            [-1, 1], which is cloned and keeps its size, dtype and device.
        size: Side of the result in pixels, for photographs.
        channels: C. Of a photograph 3 are RGB and 1 is its luma; no other number can be made of
            one. None for RGB, and for tensors of any number.
        range: What a tensor is in; by default [-1, 1], with a warning if it looks like [0, 1].

    Returns:
        A photograph as float32 (C, size, size), a tensor as it was; in [-1, 1], without gradient.

    Raises:
        ImageError: If ``source`` cannot be used.
    """
    if isinstance(source, Tensor):
        return checked_image(source, batch=False, channels=channels, range=range)
    photograph = load_photograph(source)
    if channels not in (None, 1, 3):
        raise ImageError(
            f"The network takes images of {channels} channels, and a photograph has 3; give a "
            f"floating-point tensor ({channels}, H, W) in [-1, 1]."
        )
    if channels == 1:
        photograph = photograph.convert("L")
    width, height = photograph.size
    kept = CENTRE * min(width, height)
    left, top = (width - kept) / 2, (height - kept) / 2
    # Only the box is resized: a strip of 1 x 10000 never becomes one of 256 x 2560000.
    square = photograph.resize(
        (size, size), Image.Resampling.BILINEAR, box=(left, top, left + kept, top + kept)
    )
    pixels = torch.from_numpy(np.array(square)).view(size, size, -1).permute(2, 0, 1)
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1)


def to_batch(
    source: Any, size: int, channels: int | None = 3, range: Range | None = None
) -> tuple[Tensor, bool]:
    """Make one image or several into a batch.

    Args:
        source: What :func:`to_tensor` takes, a floating-point tensor (N, C, H, W) in [-1, 1], or a
            list or tuple of what :func:`to_tensor` takes.
        size: Side in pixels for photographs.
        channels: C, as for :func:`to_tensor`.
        range: What tensors are in, as for :func:`to_tensor`.

    Returns:
        The batch (N, C, H, W), and whether ``source`` was a single image.

    Raises:
        ImageError: If an image cannot be used, the images differ in size, or there is none.
        ValueError: If ``range`` is none.
    """
    spans = checked_range(range)
    if isinstance(source, Tensor) and source.dim() == 4:
        return checked_image(source, batch=True, channels=channels, range=spans), False
    if not isinstance(source, (list, tuple)):
        return to_tensor(source, size, channels, spans).unsqueeze(0), True
    if not source:
        raise ImageError("The list of images is empty; give at least one image.")
    images = []
    for number, item in enumerate(source, start=1):
        try:
            images.append(to_tensor(item, size, channels, spans))
        except ImageError as error:
            raise ImageError(f"Image {number} of {len(source)}: {error}") from error
    one_size((image.shape[1], image.shape[2]) for image in images)
    return torch.stack([image.to(images[0].device) for image in images]), False


def one_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The height and width that all images have.

    Raises:
        ImageError: If they have several.
    """
    different = set(sizes)
    if len(different) > 1:
        listed = ", ".join(f"{height} x {width}" for height, width in sorted(different))
        raise ImageError(
            f"The images must have one size, and these have {listed} (height x width); resize the "
            "tensors to one size, or give the photographs themselves."
        )
    return different.pop()


def _checked_path(source: str | os.PathLike[str]) -> Path:
    text = os.fspath(source)
    if re.match(r"(https?|ftp|s3|file)://|data:", text, re.IGNORECASE):
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise ImageError(
            f"{shown!r} is an address, and photographs are not fetched from the network; "
            "download it first and give the path of the file."
        )
    path = Path(text).expanduser()
    try:
        if path.is_file():
            return path
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError):  # a name too long for the system, a NUL in it
        exists, folder = False, False
    if folder:
        raise ImageError(f"{text!r} is a folder; give the path of one image file in it.")
    if exists:
        raise ImageError(f"{text!r} is not a regular file; give the path of an image file.")
    near = difflib.get_close_matches(text.lower(), SAMPLES, n=1)
    hint = f"did you mean the sample {near[0]!r}?" if near else f"samples: {', '.join(SAMPLES)}."
    shown = text if len(text) <= 200 else text[:197] + "..."
    raise ImageError(f"There is no file {shown!r}; check the path, or name a sample: {hint}")


def _open(path: Path, *, profiled: bool = True) -> Image.Image:
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise ImageError(f"{str(path)!r} is an empty file; save or copy the image again.")
            file.seek(0)
            return _decode(file, repr(str(path)), profiled=profiled)
    except OSError as error:
        raise ImageError(
            f"{str(path)!r} cannot be read ({error.strerror or error}); "
            "check the file and its permissions."
        ) from error


def _decode(file: BinaryIO, what: str, *, profiled: bool = True) -> Image.Image:
    try:
        # Pillow's own guard against huge images warns here, above a limit higher than ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = _recognised(file)
    except Image.DecompressionBombError as error:
        raise _too_large(what) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"Pillow finds no image that it can read in {what}; give a JPEG, PNG, WebP, GIF, TIFF "
            "or BMP file (convert others, such as HEIC, SVG or raw, to JPEG first)."
        ) from error
    except MemoryError as error:
        raise _no_memory(what) from error
    except Exception as error:  # on damaged headers the decoders raise almost anything
        raise _damaged(what, error) from error
    with opened:
        return _to_rgb(opened, what, profiled=profiled)


def _recognised(file: BinaryIO) -> Image.Image:
    """The image in a file of one of the formats; of those that Pillow knows at once at first."""
    Image.preinit()
    try:
        return Image.open(file, formats=[one for one in _FORMATS if one in Image.OPEN])
    except UnidentifiedImageError:
        Image.init()
        file.seek(0)
        return Image.open(file, formats=[one for one in _FORMATS if one in Image.OPEN])


def _to_rgb(image: Image.Image, what: str, *, profiled: bool = True) -> Image.Image:
    """An upright, opaque 8-bit copy."""
    width, height = image.size
    if not width or not height:
        raise ImageError(f"The image is {width} x {height} pixels; give one that is not empty.")
    if width * height > MAX_PIXELS:
        raise _too_large(what, (width, height))
    try:
        image.load()
        upright = _UPRIGHT.get(_orientation(image))  # after load(): PNG may keep EXIF at its end
        rgb = to_srgb(image, what, profiled=profiled)
        return rgb if upright is None else rgb.transpose(upright)
    except ImageError:
        raise
    except MemoryError as error:
        raise _no_memory(what) from error
    except Exception as error:  # on damaged data the decoders raise almost anything
        if "closed" in str(error) or getattr(image, "fp", image) is None:
            raise ImageError(
                f"The file of {what} was closed before its pixels were read; give it inside of the "
                "with block, call image.load() there, or give the path of the file."
            ) from error
        raise _damaged(what, error) from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged metadata is no reason to refuse the pixels
        return 1


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = " (channels come last: array.transpose(1, 2, 0))"
        elif array.ndim == 4:
            hint = " (for a batch give a list of arrays: list(array))"
        raise ImageError(
            f"The array has the shape {array.shape}; expected (H, W, 3), or (H, W), (H, W, 1), "
            f"(H, W, 4){hint}."
        )
    height, width = array.shape[:2]
    if height * width > MAX_PIXELS:  # before anything is copied
        raise _too_large("the array", (width, height))
    if array.size == 0:
        raise ImageError(f"The array has the shape {array.shape}: no pixels; give a whole image.")
    if array.dtype != np.uint8:
        if array.dtype.kind != "f" and array.dtype.newbyteorder("=") != np.uint16:
            raise ImageError(
                f"The array holds {array.dtype}; expected uint8 in 0..255 (or uint16 in 0..65535): "
                "array.astype(np.uint8), scaled before if need be."
            )
        array = to_8_bit(array, "the array")
    return _to_rgb(Image.fromarray(np.ascontiguousarray(array)), "the array")


def _too_large(what: str, size: tuple[int, int] | None = None) -> ImageError:
    # Pillow refuses the largest by itself and does not tell their size.
    pixels = f"{size[0]} x {size[1]} pixels" if size else "too many pixels"
    return ImageError(
        f"There are {pixels} in {what}, and at most "
        f"{MAX_PIXELS // 1_000_000} million are accepted; make it smaller first."
    )


def _no_memory(what: str) -> ImageError:
    return ImageError(
        f"There is too little memory for the pixels of {what}; make it smaller first, or close "
        "other programs."
    )


def _damaged(what: str, error: Exception) -> ImageError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return ImageError(
        f"{what[0].upper()}{what[1:]} cannot be decoded ({reason}); the file is damaged or "
        "incomplete: copy or download it again, or save it anew as PNG."
    )
