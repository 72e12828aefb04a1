"""Lines of text under a picture."""

import io

import numpy as np
import pytest
from PIL import Image

from pullback_widgets.drawing import pixels
from pullback_widgets.drawing.captioned import captioned

PICTURE = np.full((60, 400, 3), 128, np.uint8)


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_picture_stays_and_text_stands_under_it() -> None:
    seen = read(captioned(pixels.png(PICTURE), ["golf ball → espresso, T = 0.85", "second"]))
    assert np.array_equal(seen[:60], PICTURE) and seen.shape[1] == 400
    below = seen[60:]
    assert below.min() < 60 and below.max() == 255
    rows = (below < 128).any((1, 2))
    assert np.flatnonzero(np.diff(rows.astype(int)) == 1).size >= 2  # two lines


@pytest.mark.parametrize("line", ["word " * 40, "w" * 300])
def test_long_lines_are_broken_at_spaces(line: str) -> None:
    one = read(captioned(pixels.png(PICTURE), ["word"]))
    many = read(captioned(pixels.png(PICTURE), [line]))
    assert many.shape[1] == 400
    assert (many.shape[0] > 2 * one.shape[0] - 60) == (" " in line)
    if " " in line:
        assert (many[60:, -4:] == 255).all()


def test_letters_beyond_ascii_are_letters() -> None:
    boxes = read(captioned(pixels.png(PICTURE), ["\uffff\uffff"]))  # what no font has
    for text in ("±→", "\N{MINUS SIGN}\N{MULTIPLICATION SIGN}"):
        assert not np.array_equal(read(captioned(pixels.png(PICTURE), [text])), boxes)
