"""Files that are broken, enormous or strange: the right picture, or one clear sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import corpus, whole_ones
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from seeded import FEW
from waiting import SECONDS

from pullback_widgets.engine import image as images
from pullback_widgets.engine.colour import to_srgb
from pullback_widgets.engine.image import ImageError, load_photograph, to_tensor

MEGABYTES = 200
"""What a file may take besides what Python and torch take."""

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"

TESTS = Path(__file__).parent.parent
FILES = {one.name: one.content for one in whole_ones() if one.size == (23, 17)}


def is_clear(sentence: str) -> bool:
    """Whether it is one sentence that a person may read, with what to do next."""
    return "\n" not in sentence and 20 < len(sentence) < 500 and sentence[-1] in ".)"


def test_there_are_enough_of_them() -> None:
    files = list(corpus())
    assert len({one.name for one in files}) == len(files) >= 500
    assert sum(one.size is not None for one in files) >= 100
    assert sum(one.refused for one in files) >= 50


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux'")
def test_each_is_the_right_picture_or_a_sentence_in_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, str(TESTS / "loading.py"), str(MEGABYTES)],
        cwd=TESTS.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
        capture_output=True,
        text=True,
        timeout=5 * SECONDS,  # whatever hangs
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        found[one.pop("name")] = one
    assert len(found) >= 500
    assert {name: one for name, one in found.items() if not one["right"]} == {}
    said = [one["sentence"] for one in found.values() if "sentence" in one]
    assert [one for one in said if not is_clear(one)] == []
    assert [one for one in said if "too little memory" in one] == []


@FEW
@given(st.sampled_from(list(FILES.values())), st.data())
def test_changed_anywhere_it_is_a_picture_or_a_sentence(content: bytes, data: Any) -> None:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    said = ""
    try:
        found = load_photograph(bytes(changed[:cut]) or b"\0").mode
    except ImageError as error:
        found, said = "", str(error)
    assert found == "RGB" or is_clear(said)


@FEW
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_whatever_is_given_is_refused_in_a_sentence(content: bytes | str) -> None:
    with pytest.raises(ImageError) as caught:
        load_photograph(content or b"\0")
    assert "\n" not in str(caught.value) or "\n" in str(content)


def test_the_ending_of_a_name_means_nothing(tmp_path: Path) -> None:
    for content, name in [("png 23x17", "a.jpg"), ("jpeg 23x17", "a.gif"), ("gif 23x17", "a.txt")]:
        path = tmp_path / name
        path.write_bytes(FILES[content])
        assert load_photograph(path).size == (23, 17)
    text = tmp_path / "text.png"
    text.write_bytes(b"This is no image.")
    with pytest.raises(ImageError, match="no image"):
        load_photograph(text)


def test_links_are_followed_to_files_alone(tmp_path: Path) -> None:
    real = tmp_path / "real.png"
    real.write_bytes(FILES["png 23x17"])
    link, broken, round_about = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    link.symlink_to(real)
    broken.symlink_to(tmp_path / "nowhere.png")
    round_about.symlink_to(round_about)
    assert load_photograph(link).size == (23, 17)
    for one in (broken, round_about):
        with pytest.raises(ImageError, match="There is no file"):
            load_photograph(one)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)  # whoever opens it waits for ever
    link = tmp_path / "link.png"
    link.symlink_to(pipe)
    for one in (pipe, link, Path("/dev/zero"), Path("/dev/stdin")):
        with pytest.raises(ImageError, match="not a regular file"):
            load_photograph(one)
    with pytest.raises(ImageError, match="is a folder"):
        load_photograph(tmp_path)


def test_no_program_is_started_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(os, "system", started)
    Image.init()
    monkeypatch.setitem(Image.OPEN, "EPS", (started, None))  # as if the file were one
    with pytest.raises(ImageError, match="finds no image"):
        load_photograph(POSTSCRIPT)


@pytest.mark.parametrize("name", list(FILES))
def test_a_large_picture_is_converted_in_strips_with_the_same_result(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_photograph(FILES[name])
    monkeypatch.setattr("pullback_widgets.engine.colour.STRIP", 5 * 23)
    assert load_photograph(FILES[name]).tobytes() == whole.tobytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "La", "P", "1", "I;16", "CMYK", "PA"])
def test_strips_are_rows_of_the_same_picture(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.effect_noise((19, 31), 90)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(noise).astype(np.uint16) * 257)
    else:
        picture = noise.convert("RGBA") if mode in ("RGBA", "LA", "PA", "La") else noise
        picture = picture.convert("LA") if mode == "La" else picture
        picture = picture.convert(mode)
    whole = to_srgb(picture, "it")
    monkeypatch.setattr("pullback_widgets.engine.colour.STRIP", 100)
    assert to_srgb(picture, "it").tobytes() == whole.tobytes()


def test_where_memory_runs_out_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(images, "to_srgb", full)
    with pytest.raises(ImageError, match="too little memory for the pixels of the given bytes"):
        to_tensor(FILES["png 23x17"], 8)
