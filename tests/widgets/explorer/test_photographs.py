"""The photographs of the Explorer: uploads, folders, and which part the network sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from explorers import explained, right
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, find, upload, upload_all

import pullback_widgets as pw
from pullback_widgets.drawing import pixels
from pullback_widgets.engine.image import load_photograph
from pullback_widgets.widgets.kit.crop import MIDDLE, PADDED, SQUEEZED, START, cropped

BACK, NEXT = "◀ Previous photo", "Next photo ▶"
PART = "The network sees"


def png(seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (20, 16, 3)).astype(np.uint8)
    return pixels.png(values)


def seen(explorer: pw.Explorer, source: object) -> bool:
    """Whether the network saw this photograph."""
    assert explorer.wait(SECONDS) and not explorer.error
    assert explorer.result is not None
    return torch.equal(explorer.result.image, pw.Session(explorer.model, source).image)


def labels(explorer: pw.Explorer) -> list[str]:
    """The list, without the samples."""
    return [label for label, _ in find(explorer, "Photograph").options][6:]


def test_an_upload_is_shown(explorer: pw.Explorer, page: Page) -> None:
    for seed in (0, 1, 1):  # the same file may be chosen again
        upload(explorer, "photo.png", png(seed))
        frame = right(explorer, page)
        assert torch.equal(frame.image, pw.Session(explorer.model, png(seed)).image)
    assert find(explorer, "Photograph").value not in ("coffee", "chelsea")


def test_uploads_stay_in_the_list_under_their_names(explorer: pw.Explorer) -> None:
    explorer.image = "chelsea"
    upload_all(explorer, {"dog.png": png(1), "cat.png": png(2)})
    assert seen(explorer, png(2))
    upload(explorer, "dog.png", png(3))  # another one of this name
    upload(explorer, "coffee", png(4))  # the name of a sample
    upload(explorer, "dog.png", png(1))  # one that is there
    assert seen(explorer, png(1))
    box = find(explorer, "Photograph")
    assert labels(explorer)[:4] == ["dog.png", "cat.png", "dog.png (2)", "coffee (2)"]
    assert box.value == "dog.png"
    for name, seed in (("dog.png (2)", 3), ("coffee (2)", 4), ("cat.png", 2)):
        box.value = name
        assert seen(explorer, png(seed))
    box.value = "coffee"
    assert explorer.image == "coffee"


def test_an_upload_names_files_and_recipes(explorer: pw.Explorer) -> None:
    upload(explorer, "My dog.png", png())
    assert explorer.wait(SECONDS)
    assert explorer.stem.startswith("my-dog-")
    recipe = explorer.recipe()
    assert recipe["image"]["name"] == "My dog.png"
    again = pw.open_recipe(recipe, model=explorer.model)
    try:
        assert again.wait(SECONDS)
        assert again.stem == explorer.stem and labels(again) == ["My dog"]
        assert torch.equal(again.result.image, explorer.result.image)
    finally:
        again.close()


@pytest.mark.parametrize("content", [b"", b"no photograph", png()[:100]], ids=len)
def test_a_bad_upload_is_explained_and_the_old_image_stays(
    explorer: pw.Explorer, page: Page, content: bytes
) -> None:
    explorer.image = "chelsea"
    before = right(explorer, page)
    messages = page.messages
    upload(explorer, "bad.png", content)
    assert explorer.wait(SECONDS)
    explained(explorer)
    assert explorer.image == find(explorer, "Photograph").value == "chelsea"
    assert "bad.png" not in labels(explorer)
    assert page.messages == messages
    assert page.shows(explorer, before)
    upload(explorer, "good.png", png())
    right(explorer, page)


# Folders -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(["a.png", "b.png", "c.png"]):
        (tmp_path / name).write_bytes(png(number))
    (tmp_path / "notes.txt").write_text("no photograph")
    return tmp_path


def test_a_folder_is_gone_through(explorer: pw.Explorer, folder: Path) -> None:
    explorer.image = folder
    assert explorer.image == str(folder / "a.png")  # how Python sees it
    assert seen(explorer, png(0))
    assert labels(explorer)[:3] == ["a.png", "b.png", "c.png"]
    back, forth = find(explorer, BACK), find(explorer, NEXT)
    assert back.disabled and not forth.disabled
    for seed in (1, 2):
        forth.click()
        assert seen(explorer, png(seed))
    assert forth.disabled and not back.disabled
    back.click()
    assert seen(explorer, png(1)) and find(explorer, "Photograph").value == str(folder / "b.png")
    assert explorer.stem.startswith("b-") and f"{str(folder / 'b.png')!r}" in explorer.code()


def test_an_explorer_opens_on_a_folder(folder: Path) -> None:
    explorer = pw.Explorer(image=str(folder))
    try:
        assert explorer.image == str(folder / "a.png") and labels(explorer)[1] == "b.png"
    finally:
        explorer.wait(SECONDS)
        explorer.close()


def test_samples_and_uploads_are_gone_through(explorer: pw.Explorer) -> None:
    explorer.image = "coffee"
    find(explorer, NEXT).click()
    assert explorer.image == "chelsea"
    find(explorer, BACK).click()
    assert explorer.image == "coffee" and find(explorer, BACK).disabled
    upload_all(explorer, {"dog.png": png(1), "cat.png": png(2)})
    find(explorer, BACK).click()
    assert seen(explorer, png(1)) and find(explorer, BACK).disabled
    explorer.image = image(2)
    assert find(explorer, BACK).disabled and find(explorer, NEXT).disabled


def test_a_damaged_file_is_passed(explorer: pw.Explorer, folder: Path) -> None:
    (folder / "b.png").write_bytes(b"no photograph")
    explorer.image = folder
    find(explorer, NEXT).click()
    assert "b.png" in explorer.error and explorer.image == str(folder / "a.png")
    find(explorer, NEXT).click()
    assert seen(explorer, png(2))


def test_a_folder_without_photographs_is_explained(explorer: pw.Explorer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder with some"):
        explorer.image = tmp_path


def test_functions_take_one_image(folder: Path) -> None:
    with pytest.raises(ValueError, match="is a folder; give the path of one image file"):
        pw.temperature_strip(wrap(network("residual")), folder, 1)


# The part that the network sees ------------------------------------------------------------------


def test_a_part_is_chosen_and_stays_for_the_next_photograph(explorer: pw.Explorer) -> None:
    explorer.image = "coffee"
    part = find(explorer, PART)
    assert part.value == MIDDLE and not part.disabled
    for name in (START, SQUEEZED, PADDED):
        part.value = name
        assert seen(explorer, cropped("coffee", name, "coffee"))
        assert find(explorer, "Photograph").value == "coffee"
    find(explorer, NEXT).click()
    assert seen(explorer, cropped("chelsea", PADDED, "chelsea")) and part.value == PADDED
    upload(explorer, "photo.png", png())
    assert seen(explorer, cropped(png(), PADDED, "photo")) and part.value == PADDED
    assert explorer.stem.startswith("photo-all-on-grey-")
    part.value = MIDDLE
    assert seen(explorer, png()) and bytes(explorer.image) == png()


def test_python_gives_the_photograph_as_it_is(explorer: pw.Explorer) -> None:
    explorer.image = "coffee"
    find(explorer, PART).value = SQUEEZED
    explorer.image = "chelsea"
    assert find(explorer, PART).value == MIDDLE and seen(explorer, "chelsea")


def test_a_tensor_has_no_parts(explorer: pw.Explorer) -> None:
    assert find(explorer, PART).disabled
    explorer.image = "coffee"
    find(explorer, PART).value = SQUEEZED
    find(explorer, "Photograph").value = "(your own)"
    assert find(explorer, PART).disabled and find(explorer, PART).value == MIDDLE
    assert explorer.wait(SECONDS) and not explorer.error


def test_parts_with_the_same_pixels_are_no_change(explorer: pw.Explorer) -> None:
    white = np.full((20, 20, 3), 255, np.uint8)
    upload(explorer, "white.png", pixels.png(white))
    for name in (SQUEEZED, PADDED, SQUEEZED, MIDDLE):
        find(explorer, PART).value = name
        assert explorer.wait(SECONDS) and find(explorer, PART).value == name
    assert np.array_equal(np.asarray(load_photograph(explorer.image)), white)


def test_a_part_opens_again_from_its_recipe(explorer: pw.Explorer) -> None:
    explorer.image = "coffee"
    find(explorer, PART).value = START
    assert explorer.wait(SECONDS)
    again = pw.open_recipe(explorer.recipe(), model=explorer.model)
    try:
        assert again.wait(SECONDS)
        assert torch.equal(again.result.image, explorer.result.image)
        assert labels(again) == ["coffee, left or top"]
    finally:
        again.close()
