"""Which part of a photograph a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pullback_widgets.engine.image import CENTRE, to_tensor
from pullback_widgets.widgets.kit.crop import END, LARGEST, PADDED, SQUEEZED, START, cropped

SIZE = 56


def ramp(width: int, height: int) -> Image.Image:
    """Red grows to the right and green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8))


def seen(width: int, height: int, part: str) -> np.ndarray:
    """What the network sees, as bytes."""
    image = to_tensor(cropped(ramp(width, height), part, "ramp"), SIZE)
    return ((image + 1) * 127.5).permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("width", "height", "part", "across", "down"),
    [
        (512, 256, START, (0, CENTRE / 2), ((1 - CENTRE) / 2, (1 + CENTRE) / 2)),
        (512, 256, END, (1 - CENTRE / 2, 1), ((1 - CENTRE) / 2, (1 + CENTRE) / 2)),
        (256, 512, START, ((1 - CENTRE) / 2, (1 + CENTRE) / 2), (0, CENTRE / 2)),
        (256, 512, END, ((1 - CENTRE) / 2, (1 + CENTRE) / 2), (1 - CENTRE / 2, 1)),
        (512, 256, SQUEEZED, (0, 1), (0, 1)),
        (256, 512, SQUEEZED, (0, 1), (0, 1)),
    ],
)
def test_the_network_sees_this_part_from_edge_to_edge(
    width: int, height: int, part: str, across: tuple[float, float], down: tuple[float, float]
) -> None:
    picture = seen(width, height, part)
    for found, wanted in (
        ((picture[:, 0, 0].mean(), picture[:, -1, 0].mean()), across),
        ((picture[0, :, 1].mean(), picture[-1, :, 1].mean()), down),
    ):
        assert np.allclose(np.array(found) / 255, wanted, atol=0.02)


@pytest.mark.parametrize("width", [512, 4 * LARGEST])
def test_all_of_it_stands_on_grey(width: int) -> None:
    picture = seen(width, width // 2, PADDED)
    np.testing.assert_array_equal(picture[:13], 128)
    np.testing.assert_array_equal(picture[-13:], 128)
    middle = picture[SIZE // 2]
    assert middle[0, 0] < 8 and middle[-1, 0] > 247 and abs(middle[:, 1].mean() - 128) < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3)])
@pytest.mark.parametrize("part", [START, END, PADDED, SQUEEZED])
def test_small_photographs_have_parts(size: tuple[int, int], part: str) -> None:
    image = to_tensor(cropped(ramp(*size), part, "small"), 8)
    assert image.shape == (3, 8, 8) and bool(torch.isfinite(image).all())


def test_the_name_says_the_part() -> None:
    assert cropped("coffee", SQUEEZED, "coffee").filename == "coffee, all, squeezed.png"
