"""From tensors to bytes: what a value looks like, and that nothing else changes it."""

import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pullback_widgets.drawing import paper, pixels
from pullback_widgets.drawing.pixels import COLOURS, MID_GREY, RGB


def noise(seed: int = 0, size: int = 32) -> Tensor:
    return torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))


def constant(value: float, size: int = 4) -> Tensor:
    return torch.full((3, size, size), value)


# Photographs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "byte"), [(-1.0, 0), (1.0, 255), (0.0, 128), (-2.0, 0), (3.0, 255)]
)
def test_a_photograph_s_bytes(value: float, byte: int) -> None:
    shown = pixels.photograph(constant(value))
    assert shown.dtype == np.uint8
    assert shown.shape == (4, 4, 3)
    assert (shown == byte).all()


def test_bytes_become_a_tensor_and_the_same_bytes_again() -> None:
    values = torch.arange(256).float().view(1, 16, 16).repeat(3, 1, 1)
    shown = pixels.photograph(values / 127.5 - 1)
    assert (shown[..., 0].ravel() == np.arange(256)).all()


def test_channels_and_rows_stay_where_they_are() -> None:
    image = constant(-1.0)
    image[2, 0, 3] = 1.0
    shown = pixels.photograph(image)
    assert shown[0, 3].tolist() == [0, 0, 255]
    assert shown.sum() == 255


def test_what_is_not_float32_on_the_cpu_is_shown_too() -> None:
    values = noise().clamp(-1, 1)
    shown = pixels.photograph(values)
    assert np.array_equal(pixels.photograph(values.double().requires_grad_()), shown)
    assert np.array_equal(pixels.photograph(values.numpy()), shown)
    assert np.array_equal(
        pixels.photograph(values.permute(1, 2, 0).contiguous().movedim(-1, 0)), shown
    )


# Signed maps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
def test_zero_is_mid_grey(colour: str) -> None:
    values = noise()
    values[:, 0, 0] = 0.0
    shown = pixels.signed_map(values, colour)
    assert shown[0, 0].tolist() == [MID_GREY] * 3
    assert (pixels.signed_map(constant(0.0), colour) == MID_GREY).all()


def test_the_opposite_of_a_map_is_its_picture_mirrored_at_mid_grey() -> None:
    values = noise()
    above = pixels.signed_map(values).astype(int) - MID_GREY
    below = pixels.signed_map(-values).astype(int) - MID_GREY
    assert abs(above + below).max() <= 1  # of rounding


def test_brighter_means_larger() -> None:
    values = torch.linspace(-1, 1, 48).view(3, 4, 4)
    shown = pixels.signed_map(values).astype(int)
    order = np.moveaxis(shown, -1, 0).ravel()
    assert (np.diff(order) >= 0).all()
    assert order[0] == 1 and order[-1] == 255


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("factor", [1e-12, 0.25, 1e12])
def test_the_picture_does_not_depend_on_the_units(colour: str, factor: float) -> None:
    shown = pixels.signed_map(noise(), colour)
    scaled = pixels.signed_map(noise() * factor, colour)
    assert abs(shown.astype(int) - scaled.astype(int)).max() <= 1


def test_the_scale_is_a_percentile_of_the_absolute_values() -> None:
    values = torch.arange(1000.0).view(1, 10, 100) - 300.0
    assert pixels.limit(values) == np.sort(abs(values.numpy()).ravel())[995]


def test_single_pixels_do_not_darken_a_map() -> None:
    """Robust: one wild pixel changes itself and nothing else worth seeing."""
    calm = noise()
    wild = calm.clone()
    wild[0, 5, 5] = 1e6
    before, after = pixels.signed_map(calm).astype(int), pixels.signed_map(wild).astype(int)
    assert after[5, 5, 0] == 255
    after[5, 5, 0] = before[5, 5, 0]
    assert abs(before - after).max() <= 3


def test_a_small_change_of_a_map_is_a_small_change_of_its_picture() -> None:
    """No flicker while a slider is dragged."""
    values, step = noise(), 0.002 * noise(1)
    frames = [pixels.signed_map(values + i * step).astype(int) for i in range(20)]
    limits = [pixels.limit(values + i * step) for i in range(20)]
    for first, second in itertools.pairwise(frames):
        assert abs(first - second).max() <= 3
    assert max(limits) / min(limits) < 1.05


@pytest.mark.parametrize("value", [1.0, -1e-30, 1e30])
def test_a_map_of_few_values_is_shown_at_full_strength(value: float) -> None:
    sparse = torch.zeros(3, 32, 32)
    sparse[:, 3, 4] = value  # fewer than the percentile leaves out
    assert pixels.limit(sparse) == pytest.approx(abs(value))
    assert pixels.signed_map(sparse)[3, 4].tolist() == ([255] * 3 if value > 0 else [1] * 3)


def test_a_given_scale_is_used() -> None:
    shown = pixels.signed_map(constant(0.5), scale=1.0)
    assert (shown == round(MID_GREY + 127 * 0.5)).all()
    assert (pixels.signed_map(constant(5.0), scale=1.0) == 255).all()


def test_the_diverging_colours_show_the_mean_of_the_channels() -> None:
    values = constant(0.0)
    values[:, 0, 0] = torch.tensor([3.0, 0.0, 0.0])
    values[:, 0, 1] = torch.tensor([-1.0, -1.0, -1.0])
    values[:, 0, 2] = torch.tensor([1.0, -1.0, 0.0])
    shown = pixels.signed_map(values, "diverging").astype(int)
    assert shown[0, 0, 0] > shown[0, 0, 1] > shown[0, 0, 2]  # orange
    assert shown[0, 1, 2] > shown[0, 1, 1] > shown[0, 1, 0]  # blue
    assert shown[0, 2].tolist() == [MID_GREY] * 3


@pytest.mark.parametrize("draw", [pixels.photograph, pixels.signed_map])
def test_one_channel_is_grey(draw: Callable[[Tensor], RGB]) -> None:
    one = torch.rand(1, 8, 8) * 2 - 1
    assert np.array_equal(draw(one), draw(one.expand(3, 8, 8)))


@pytest.mark.parametrize("draw", [pixels.photograph, pixels.signed_map])
@pytest.mark.parametrize("shape", [(8, 8), (1, 3, 8, 8), (2, 8, 8), (8, 8, 3), ()])
def test_another_shape_is_refused(draw: Callable[[Tensor], RGB], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"shape {re.escape(str(shape))}; expected \(3, H, W\)"):
        draw(torch.zeros(shape))


def test_other_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="no colours 'grey'; choose from: rgb, diverging"):
        pixels.signed_map(noise(), "grey")


# Overlays and heat maps --------------------------------------------------------------------------


def test_an_overlay_of_nothing_is_a_pale_grey_photograph() -> None:
    image = noise().clamp(-1, 1)
    shown = pixels.overlay(constant(0.0, 32), image).astype(int)
    assert (shown == shown[..., :1]).all()
    grey = pixels.photograph(image).astype(float).mean(-1)
    assert np.corrcoef(shown[..., 0].ravel(), grey.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("colour", COLOURS)
def test_an_overlay_shows_the_sign(colour: str) -> None:
    values = constant(0.0)
    values[:, 0, 0], values[:, 0, 1] = 1.0, -1.0
    shown = pixels.overlay(values, constant(0.0), colour).astype(int)
    assert shown[0, 0, 0] > shown[3, 3, 0] > shown[0, 1, 0]


def test_heat_runs_from_dark_to_light() -> None:
    shown = pixels.heat(np.linspace(-3, 5, 50).reshape(5, 10)).astype(int)
    assert shown.shape == (5, 10, 3)
    light = shown.sum(-1).ravel()
    assert (np.diff(light) >= 0).all()
    assert light[0] < 150 < 500 < light[-1]


@pytest.mark.parametrize("value", [0.0, -7.0, 1e30])
def test_heat_of_a_constant_is_one_colour(value: float) -> None:
    shown = pixels.heat(np.full((3, 3), value))
    assert (shown == shown[0, 0]).all()


# Files and figures -------------------------------------------------------------------------------


def a_picture(height: int = 8, width: int = 8) -> RGB:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_png_keeps_every_byte() -> None:
    data = pixels.png(a_picture(5, 9))
    assert data.startswith(b"\x89PNG")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), a_picture(5, 9))


@pytest.mark.parametrize(("side", "times"), [(8, 1), (1, 1), (9, 2), (16, 2), (17, 3), (896, 112)])
def test_enlarging_repeats_pixels(side: int, times: int) -> None:
    large = pixels.enlarge(a_picture(), side)
    assert large.shape == (8 * times, 8 * times, 3)
    assert np.array_equal(large[::times, ::times], a_picture())
    assert np.array_equal(large[times - 1 :: times, times - 1 :: times], a_picture())


def test_enlarging_looks_at_the_longer_side() -> None:
    assert pixels.enlarge(a_picture(4, 8), 16).shape == (8, 16, 3)


def test_pictures_side_by_side() -> None:
    row = pixels.side_by_side([a_picture(), a_picture()[::-1]], gap=8)
    assert row.shape == (448, 2 * 448 + 8, 3)
    assert (row[:, 448:456] == 255).all()
    assert np.array_equal(row[::56, :448:56], a_picture())
    assert np.array_equal(row[::56, 456::56], a_picture()[::-1])


@pytest.mark.parametrize("kind", [str, Path])
def test_a_saved_file_has_the_same_pixels(tmp_path: Path, kind: Callable[[Path], str]) -> None:
    path = pixels.save(a_picture(), kind(tmp_path / "x.png"))
    assert path == tmp_path / "x.png"
    saved = np.asarray(Image.open(path))
    assert saved.shape == (896, 896, 3)
    assert np.array_equal(saved, pixels.enlarge(a_picture(), 896))


@pytest.mark.parametrize("name", ["x.PNG", "x.jpg", "x.webp", "x.bmp", "x.tiff"])
def test_usual_endings_work(tmp_path: Path, name: str) -> None:
    assert Image.open(pixels.save(a_picture(), tmp_path / name)).size == (896, 896)


@pytest.mark.parametrize("name", ["x", "x.nonsense", ".png.", "x.psd"])
def test_an_ending_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="picture.png"):
        pixels.save(a_picture(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_has_the_pictures_under_their_names() -> None:
    pictures = {"one": a_picture(), "two": a_picture()[::-1]}
    figure = paper.side_by_side(pictures, "a title")
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    for axes, expected in zip(figure.axes, pictures.values(), strict=True):
        (shown,) = axes.get_images()
        assert np.array_equal(shown.get_array(), expected)
        assert shown.get_interpolation() == "nearest"
    assert figure.get_suptitle() == "a title"
    figure.savefig(io.BytesIO())
    assert len(paper.side_by_side({"one": a_picture()}).axes) == 1


def test_a_figure_breaks_long_titles_and_has_no_empty_band() -> None:
    figure = paper.side_by_side({"one\nof a few words": a_picture()}, "a title of many words " * 5)
    figure.canvas.draw()
    assert "\n" in figure.get_suptitle()
    (axes,) = figure.axes
    assert axes.bbox.y0 < 0.1 * figure.bbox.height
    title = figure.texts[0].get_window_extent()
    assert axes.title.get_window_extent().y1 <= title.y0
    assert title.x0 >= 0 and title.x1 <= figure.bbox.width


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("two\nlines", ["two", "lines"]),
        ("some words that go on and on", ["some words", "that go o…"]),
        ("IMG_20241103_123456_HDR.jpg", ["IMG_202411", "03_123456…"]),
        ("", [""]),
    ],
)
def test_long_text_is_broken_and_cut(text: str, lines: list[str]) -> None:
    assert paper.wrapped(text, 10 * 0.65 * 10 / 72 + 0.001, 10, most=2).split("\n") == lines
