"""A photograph that came through the browser."""

from __future__ import annotations


class Upload(bytes):
    """The bytes of a file, with its name, which Pillow's images call ``filename``, too.

    Attributes:
        filename: What the file was called.
    """

    filename: str

    def __new__(cls, filename: str, content: bytes) -> Upload:
        """Name the bytes."""
        made = super().__new__(cls, content)
        made.filename = filename
        return made
