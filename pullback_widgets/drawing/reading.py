"""What is read back, JSON and arrays: it may come from anyone, so nothing of it is run or believed.

No pickles, no sizes that are said and not there, and never more in memory than a limit.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MOST_TEXT = 64_000_000
"""Characters of JSON: some hundred photographs."""

MOST_PARTS = 1_000_000
"""Numbers, texts, lists and so on in it; each takes a hundred bytes once it is read."""

MOST_ARRAYS = 2_000_000_000
"""Bytes of all arrays of a file."""


class DamagedError(ValueError):
    """What was to be read is not what it should be; its text says in a few words why."""


def from_json(text: str) -> Any:
    """What stands in JSON.

    Raises:
        DamagedError: If it is none, too large, or nested too deeply.
    """
    if len(text) > MOST_TEXT or sum(map(text.count, ",[{")) > MOST_PARTS:
        raise DamagedError("it is too large")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DamagedError("it is not JSON") from error
    except RecursionError as error:
        raise DamagedError("it is nested too deeply") from error
    except ValueError as error:  # of a number, more digits than Python reads
        raise DamagedError("one of its numbers is too long") from error


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        DamagedError: If it is no text, no regular file, or too large.
        OSError: If it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise DamagedError("it is not a regular file")
        with path.open("rb") as file:
            content = file.read(MOST_TEXT + 1)
        if len(content) > MOST_TEXT:
            raise DamagedError("it is too large")
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedError("it is not JSON") from error
    except DamagedError:
        raise
    except ValueError as error:  # a NUL in the name
        raise DamagedError("no file can be called so") from error


def unpacked(packed: bytes) -> bytes:
    """What zlib has packed.

    Raises:
        DamagedError: If a part is missing, or it becomes too large.
    """
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, MOST_TEXT)
    except zlib.error as error:
        raise DamagedError("a part of it is missing") from error
    if unpacker.unconsumed_tail:
        raise DamagedError("it is too large")
    if not unpacker.eof:
        raise DamagedError("a part of it is missing")
    return content


def arrays_in(file: Path | BinaryIO, most: int = MOST_ARRAYS) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ, by name.

    Args:
        file: Where it is.
        most: Bytes that all of them may have.

    Raises:
        DamagedError: If it is none, or they have more.
        OSError: If it cannot be read.
    """
    found: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(file) as zipped:
            parts = zipped.infolist()
            if sum(one.file_size for one in parts) > most:
                raise DamagedError(f"its arrays have more than {most // 1_000_000} MB")
            for one in parts:
                with zipped.open(one) as part:
                    found[one.filename.removesuffix(".npy")] = _array(part, one.file_size)
    except (DamagedError, OSError):
        raise
    except Exception as error:  # what is damaged raises almost anything
        raise DamagedError("it is no NPZ file, or a part of it is missing") from error
    return found


def _array(part: Any, size: int) -> NDArray[Any]:
    """One array, of no more bytes than its part of the file has."""
    version = np.lib.format.read_magic(part)
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, by_columns, kind = headers[version](part)
    if kind.hasobject:
        raise DamagedError("it holds Python objects, which are not read, since they may run code")
    needed = kind.itemsize * math.prod(shape)
    if not 0 <= needed <= size or any(length < 0 for length in shape):
        raise DamagedError("one of its arrays says that it is larger than it is")
    content = bytearray(part.read(needed))
    values = np.frombuffer(content, kind) if needed else np.zeros(math.prod(shape), kind)
    return values.reshape(shape, order="F" if by_columns else "C")
