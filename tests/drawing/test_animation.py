"""Animations: pictures one after the other, with a line under each."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pullback_widgets.drawing import animation
from pullback_widgets.drawing.animation import offered, save_animation, written

FRAMES = [np.full((6, 4, 3), value, np.uint8) for value in (0, 100, 200)]


def test_an_animation_keeps_its_last_picture_longer(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "a.gif", FRAMES, seconds=0.2, side=12, hold=1.0)
    with Image.open(path) as file:
        durations = [one.info["duration"] for one in ImageSequence.Iterator(file)]
        assert file.size == (8, 12)
    assert durations == [200, 200, 1000]
    with pytest.raises(ValueError, match="nothing to animate"):
        save_animation(tmp_path / "b.gif", [])


def test_a_webp_holds_the_values_themselves(tmp_path: Path) -> None:
    noise = [np.random.default_rng(n).integers(0, 256, (8, 8, 3), np.uint8) for n in range(3)]
    with Image.open(save_animation(tmp_path / "a.webp", noise, side=8)) as file:
        assert file.format == "WEBP"
        seen = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(file)]
    np.testing.assert_array_equal(seen, noise)


def test_lines_stand_under_the_pictures(tmp_path: Path) -> None:
    lines = ["one", "a line that is much longer than that", ""]
    with Image.open(save_animation(tmp_path / "a.webp", FRAMES, lines, side=300)) as file:
        seen = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(file)]
    for frame, picture, line in zip(seen, FRAMES, lines, strict=True):
        assert (frame[:300] == picture[0, 0]).all()
        assert (frame[300:].min() < 128) == bool(line)


def test_a_long_line_has_room() -> None:
    short, long = written("W", 224), written("W" * 25, 224)
    assert short.shape == long.shape
    assert (long[:, :2] == 255).all() and (long[:, -2:] == 255).all() and long.min() < 128


def test_lines_have_letters_of_one_size() -> None:
    alone, beside = written("W", 224), written("W", 224, "W" * 25)
    assert (beside < 128).sum() < (alone < 128).sum() / 4


def test_mp4_is_offered_where_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animation, "ENCODER", "there_is_no_such_package")
    assert offered() == (".gif", ".webp")
    with pytest.raises(ValueError, match="pip install imageio-ffmpeg, or write a .webp"):
        save_animation(tmp_path / "a.mp4", FRAMES)
    monkeypatch.setattr(animation, "ENCODER", "json")
    assert offered() == (".gif", ".webp", ".mp4")


@pytest.mark.skipif(not importlib.util.find_spec("imageio_ffmpeg"), reason="writes MP4")
def test_an_mp4_has_every_picture(tmp_path: Path) -> None:
    from imageio.v2 import mimread

    odd = [one[:, :3] for one in FRAMES]
    path = save_animation(tmp_path / "a.mp4", odd, seconds=0.5, side=66, hold=1.0)
    seen = mimread(path)
    assert [round(float(one[10:20, 10:20].mean()) / 100) for one in seen] == [0, 1, 2, 2]
