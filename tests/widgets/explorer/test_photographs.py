"""Photographs uploaded to the Explorer."""

import numpy as np
import pytest
import torch
from explorers import explained, right
from waiting import SECONDS
from widgets import Page, find, upload

import pullback_widgets as pw
from pullback_widgets.drawing import pixels


def png(seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (20, 16, 3)).astype(np.uint8)
    return pixels.png(values)


def test_an_upload_is_shown(explorer: pw.Explorer, page: Page) -> None:
    for seed in (0, 1, 1):  # the same file may be chosen again
        upload(explorer, "photo.png", png(seed))
        frame = right(explorer, page)
        assert torch.equal(frame.image, pw.Session(explorer.model, png(seed)).image)
    assert find(explorer, "Photograph").value not in ("coffee", "chelsea")


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
    assert page.messages == messages
    assert page.shows(explorer, before)
    upload(explorer, "good.png", png())
    right(explorer, page)
