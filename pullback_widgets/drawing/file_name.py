"""What files are called: after what they show."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 80
"""Characters of a name, without its ending."""


def file_name(*parts: str) -> str:
    """Words with hyphens between them, in small letters, digits and dots that any system takes.

    Args:
        parts: Such as the photograph, the target and the softening in words. Where the name would
            be too long, the longest of them are cut.

    Returns:
        Such as ``coffee-golf-ball-relative-0.85``; without an ending.
    """
    words = [word for word in map(_safe, parts) if word]
    while len("-".join(words)) > LONGEST:
        longest = max(range(len(words)), key=lambda i: len(words[i]))
        words[longest] = words[longest][:-1]
    return "-".join(word.strip("-.") for word in words) or "pullback"


def _safe(text: str) -> str:
    # The number of a class stands beside its name, and a temperature needs no sign.
    text = re.sub(r"\(class \d+\)|\bT = ", "", text)
    text = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-.")
