"""Where the disk is full, nothing half-written stands under a final name."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page

import pullback_widgets as pw
from pullback_widgets.drawing import files

resource = pytest.importorskip("resource")
IMAGES = {"a": image(1), "b": image(2)}


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file may become longer than this: writing on is an OSError, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def grid() -> Any:
    return pw.counterfactual_grid(wrap(network("chain")), IMAGES, [1], steps=2)


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg", ".npz", ".json", ".gif", ".webp"])
@pytest.mark.parametrize("before", [None, b"what was there"])
def test_an_export_is_whole_or_not_there(
    page: Page, tmp_path: Path, ending: str, before: bytes | None
) -> None:
    explorer = pw.Explorer(wrap(network("chain")), image(1), target=2, steps=2, step_size=0.5)
    assert explorer.wait(SECONDS)
    path = tmp_path / f"picture{ending}"
    if before is not None:
        path.write_bytes(before)
    with full_after(100), pytest.raises(OSError):
        explorer.save(path)
    left = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert left == ({} if before is None else {path.name: before})
    assert explorer.save(path) == path and path.stat().st_size > 100
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    explorer.close()


@pytest.mark.parametrize("ending", [".png", ".npz", ".json"])
def test_a_figure_too(grid: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"grid{ending}"
    with full_after(60), pytest.raises(OSError):
        grid.save(path)
    assert list(tmp_path.iterdir()) == []


def test_no_room_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(self: Path, *arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        files.save_npz(tmp_path / "a.npz", {"x": np.zeros(3)}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_written_through(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    link.symlink_to(real)
    files.save_json(link, {"a": 1})
    assert link.is_symlink() and "1" in real.read_text()


def atlas(folder: Path | None) -> Any:
    model = wrap(network("chain"))
    return pw.layer_atlas(model, "conv1", IMAGES, side=16, batch_size=2, folder=folder)


@pytest.mark.parametrize("room", [0, 200, 1000, 3000])
def test_an_atlas_goes_on_once_there_is_room(tmp_path: Path, room: int) -> None:
    with full_after(room), pytest.raises(OSError):
        atlas(tmp_path)
    again, wanted = atlas(tmp_path), atlas(None)
    for name, values in wanted.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], values)
    assert not [one.name for one in tmp_path.iterdir() if files.PART in one.name]


def test_the_files_of_an_atlas_have_no_holes(tmp_path: Path) -> None:
    """What is mapped into memory ends Python where the disk has no room for it later on."""
    atlas(tmp_path)
    for one in tmp_path.glob("*.npy"):
        found = one.stat()
        assert found.st_blocks * 512 >= found.st_size, one.name


def test_the_widget_says_it_and_goes_on(page: Page, tmp_path: Path) -> None:
    model = wrap(network("chain"))
    place = tmp_path / "atlas"
    with full_after(200):
        view = pw.LayerAtlas(model, "conv1", IMAGES, side=16, folder=place)
        assert view.wait(SECONDS)
    assert view.error and "\n" not in view.error
    view.run()
    assert view.wait(SECONDS)
    assert view.error == "" and view.result.progress == 1
    view.close()
