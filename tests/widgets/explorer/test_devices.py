"""Where the Explorer computes: a list where there are several devices, and an attribute."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from elsewhere import ELSEWHERE, elsewhere
from explorers import Make, right
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, everything, find, text_with

import pullback_widgets as pw
from pullback_widgets.widgets.kit import device_list
from pullback_widgets.widgets.kit.network_widget import NetworkFigureWidget

GB = 10**9


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU and the stand-in of a GPU, on which the worker, too, can compute."""
    monkeypatch.setattr(device_list, "devices", lambda: [ELSEWHERE, torch.device("cpu")])
    monkeypatch.setattr(
        device_list, "memory_of", lambda one: (3 * GB, GB) if one == ELSEWHERE else None
    )
    compute = NetworkFigureWidget.compute

    def there(self: NetworkFigureWidget, request: Any) -> Iterator[Any]:
        with elsewhere():
            yield from compute(self, request)

    monkeypatch.setattr(NetworkFigureWidget, "compute", there)


def choose(explorer: pw.Explorer, device: torch.device) -> None:
    with elsewhere():
        find(explorer, "Computes on").value = str(device)
    assert explorer.wait(SECONDS)


def test_there_is_no_list_of_one_device(
    explore: Make, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_list, "devices", lambda: [torch.device("cpu")])
    explorer = explore()
    assert "Computes on" not in [getattr(one, "description", "") for one in everything(explorer)]
    assert explorer.device == torch.device("cpu")
    right(explorer, page)


@pytest.mark.usefixtures("two_devices")
def test_the_network_moves_and_comes_back(explore: Make, page: Page) -> None:
    model = wrap(network("residual"))
    explorer = explore(model)
    before = right(explorer, page)
    assert find(explorer, "Computes on").value == "cpu"
    choose(explorer, ELSEWHERE)
    assert explorer.error == ""
    assert explorer.device == ELSEWHERE
    assert explorer.result.model.device == ELSEWHERE
    assert str(ELSEWHERE) in text_with(explorer, "pullback-status")
    assert "3.0 GB free, 1.0 GB used" in "".join(
        getattr(one, "value", "") for one in everything(explorer) if type(one).__name__ == "HTML"
    )
    torch.testing.assert_close(explorer.pullback, before.pullback)
    assert explorer.pullback.device.type == "cpu"
    assert explorer.model is model and model.device.type == "cpu"  # a copy has moved
    explorer.temperature = 0.3
    assert explorer.wait(SECONDS) and explorer.result.model.device == ELSEWHERE
    # What is known of the network still holds, and going back chooses the network itself.
    assert explorer.known is explorer.result
    with pytest.raises(ValueError, match="out of range"):
        explorer.target = 99
    explorer.recall(explorer.result.request)
    assert explorer.wait(SECONDS) and explorer.model is model and explorer.error == ""
    choose(explorer, torch.device("cpu"))
    assert explorer.result.model is model
    right(explorer, page)


@pytest.mark.usefixtures("two_devices")
def test_another_network_goes_where_the_first_one_went(explore: Make) -> None:
    explorer = explore()
    with elsewhere():
        explorer.device = ELSEWHERE
    explorer.model = wrap(network("chain"))
    explorer.image = image(2)
    assert explorer.wait(SECONDS) and explorer.error == ""
    assert explorer.result.model.device == ELSEWHERE
    assert explorer.result.model.module is not explorer.model.module


@pytest.mark.usefixtures("two_devices")
def test_one_copy_serves_every_picture(explore: Make) -> None:
    explorer = explore()
    with elsewhere():
        explorer.device = ELSEWHERE
    assert explorer.wait(SECONDS)
    moved = explorer.result.model
    explorer.temperature = 0.2
    assert explorer.wait(SECONDS) and explorer.result.model is moved


@pytest.mark.usefixtures("two_devices")
def test_the_choice_is_no_part_of_a_recipe(explore: Make) -> None:
    explorer = explore()
    before = explorer.recipe()
    choose(explorer, ELSEWHERE)
    with elsewhere():
        after = explorer.recipe()
    # The last digit of a sum may be another one there.
    assert after.pop("shares") == pytest.approx(before.pop("shares"))
    assert after == before


@pytest.mark.usefixtures("two_devices")
def test_a_device_that_cannot_be_used_is_explained_and_the_one_that_holds_stays(
    explore: Make, page: Page
) -> None:
    explorer = explore()
    with pytest.raises(ValueError, match="'cuda:99' cannot be used here"):
        explorer.device = "cuda:99"
    find(explorer, "Computes on").value = str(ELSEWHERE)  # in a thread that knows none such
    assert "cannot be used here" in explorer.error
    assert find(explorer, "Computes on").value == "cpu" and explorer.device.type == "cpu"
    explorer.temperature = 0.3
    right(explorer, page)
