"""What is sent to the Explorer's canvases."""

import threading

import ipycanvas
import numpy as np
import pytest
from explorers import Make, right
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, click, event, find

import pullback_widgets as pw
from pullback_widgets.widgets.explorer.screen import WipeCanvas
from pullback_widgets.widgets.kit.canvas import draw


def test_pictures_travel_without_loss(explorer: pw.Explorer, page: Page) -> None:
    explorer.layer = "layer1"
    right(explorer, page)
    assert page.formats <= {"BMP", "PNG"}


@pytest.mark.parametrize("name", ["pullback-screen", "pullback-strip", "pullback-curve"])
def test_a_page_that_opens_later_is_drawn_completely(
    explorer: pw.Explorer, page: Page, name: str
) -> None:
    explorer.layer = "layer1"
    explorer.wipe = 0.5
    frame = right(explorer, page)
    page.pictures.clear()
    page.on.clear()
    messages = page.messages
    event(find(explorer, name), "client_ready")
    assert page.messages > messages
    if name == "pullback-screen":
        assert page.shows(explorer, frame)


def test_an_exception_while_drawing_does_not_silence_the_canvases(page: Page) -> None:
    canvas = ipycanvas.Canvas()

    def paint() -> None:
        canvas.fill_rect(0, 0, 10, 10)
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            draw(paint)
        assert page.messages == 0  # half a drawing is not sent
    canvas.fill_rect(0, 0, 10, 10)
    assert page.messages > 0
    messages = page.messages
    draw(lambda: canvas.fill_rect(0, 0, 10, 10))
    assert page.messages > messages


def test_many_threads_may_draw(page: Page) -> None:
    screens = [WipeCanvas(16) for _ in range(4)]
    pictures = [np.full((8, 8, 3), n, np.uint8) for n in range(50)]

    def show(screen: WipeCanvas) -> None:
        for one in pictures:
            screen.show(one, one, ("one", "two"))

    threads = [threading.Thread(target=show, args=(screen,)) for screen in screens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for screen in screens:
        (shown,) = page.on[f"IPY_MODEL_{screen.box.model_id}"]
        assert (page.pictures[shown] == 49).all()


def test_only_pictures_that_changed_travel(explorer: pw.Explorer, page: Page) -> None:
    explorer.wipe = 0.4  # the second picture is sent when it is first wiped to
    right(explorer, page)
    page.pictures.clear()
    for share in (0.1, 0.2, 0.3):
        explorer.wipe = share
    explorer.view = "pullback"
    explorer.wait(SECONDS)
    assert page.pictures == {}


def test_an_oblong_picture_keeps_its_shape(explore: Make) -> None:
    explorer = explore(model=wrap(network("residual")), given=image(1)[:, :4])
    assert explorer.wait(SECONDS)
    assert explorer._screen.picture._place() == (0, 256, 1024, 512)
    explorer.layer = "layer1"
    assert explorer.wait(SECONDS)
    click(explorer._screen.picture.box, 0.5, 0.1)  # beside the picture
    assert explorer.position is None
    click(explorer._screen.picture.box, 0.5, 0.5)
    assert explorer.position is not None
