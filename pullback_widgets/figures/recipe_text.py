"""A recipe as a line of text, to be pasted where a file is too much."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from ..drawing.files import as_json
from ..drawing.reading import DamagedError, from_json, unpacked

BEGINNING = "recipe:"
"""What tells such a text from the name of a file."""

LONGEST = 8_000
"""Characters that a line may have; a photograph has some 100 000."""


def to_text(recipe: Mapping[str, Any]) -> str:
    """The recipe as letters, digits, hyphens and underscores, which :func:`from_text` reads."""
    packed = zlib.compress(as_json(recipe).encode(), 9)
    return BEGINNING + base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def from_text(text: str) -> Any:
    """What a text holds; spaces and line breaks that a letter put into it do no harm.

    Raises:
        ValueError: If a part of it is missing, or it is too large.
    """
    packed = "".join(text.split()).removeprefix(BEGINNING)
    try:
        filled = packed + "=" * (-len(packed) % 4)
        content = unpacked(base64.b64decode(filled, b"-_", validate=True))
        return from_json(content.decode("utf-8"))
    except ValueError as error:  # binascii's and Unicode's are such, too
        why = f" ({error})" if isinstance(error, DamagedError) else ""
        raise ValueError(
            f"The text of the recipe is damaged{why}; copy all of it, from {BEGINNING!r} to its "
            "end."
        ) from error


def to_line(recipe: Mapping[str, Any]) -> str:
    """The line of Python that opens the recipe, or a comment if it would be too long."""
    text = to_text(recipe)
    if len(text) <= LONGEST:
        return f'pw.open_recipe("{text}")'
    return (
        f"# As a text the recipe has {len(text) / 1000:.0f} kB, too much to paste: a photograph is "
        "in it.\n# Press Recipe for the file, which pw.open_recipe opens, too."
    )
