"""Networks of the catalogue in the Explorer: they arrive, or cannot be had."""

from collections.abc import Callable

import ipywidgets as w
import pytest
from explorers import Make, explained, no_network, right
from networks import image, network, wrap
from waiting import SECONDS
from widgets import Page, everything, find, text_with

import pullback_widgets as pw
from pullback_widgets.networks import loaded


@pytest.mark.usefixtures("no_network_yet")
def test_a_network_of_the_catalogue_arrives_with_its_progress(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, seen = wrap(network("chain")), []
    bar = next(one for one in everything(explorer) if isinstance(one, w.FloatProgress))

    def load(name: str, progress: Callable[[int, int], None]) -> pw.Model:
        for done in (0, 25, 100):
            progress(done * 10**6, 100 * 10**6)
            status = text_with(explorer, "pullback-status")
            seen.append((bar.value, bar.layout.visibility, f"{done} of 100 MB" in status))
        other.catalogue_name = name  # as load_model does
        return other

    monkeypatch.setattr(loaded, "load_model", load)
    find(explorer, "Network").value = "resnet18"
    right(explorer, page)
    assert seen == [(0.0, "visible", True), (0.25, "visible", True), (1.0, "hidden", True)]
    assert explorer.model is other
    assert find(explorer, "Network").value == "resnet18"
    assert explorer.code().count('load_model("resnet18")') == 1
    find(explorer, "◀ Previous").click()
    assert explorer.layer == pw.layers(other)[-1].name


@pytest.mark.usefixtures("no_network_yet")
def test_without_a_network_the_explorer_goes_on_with_what_it_had(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    model, before = explorer.model, find(explorer, "Network").value
    for _ in range(2):
        find(explorer, "Network").value = "resnet18"
        assert explorer.wait(SECONDS)
        explained(explorer, "resnet18")
        assert explorer.model is model
        assert find(explorer, "Network").value == before
    explorer.temperature = 0.3
    right(explorer, page)


@pytest.mark.usefixtures("no_network_yet", "at_once")
def test_a_network_that_fails_at_once_is_not_left_in_the_list(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    before = find(explorer, "Network").value
    find(explorer, "Network").value = "resnet18"
    assert find(explorer, "Network").value == before


@pytest.mark.usefixtures("no_network_yet")
def test_after_a_failed_download_the_neuron_is_what_it_was(
    explorer: pw.Explorer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    explorer.choose(layer="layer1", channel=1, position=(2, 2))
    before = right(explorer, page)
    explorer.model = "resnet18"
    assert explorer.wait(SECONDS)
    assert (explorer.layer, explorer.channel, explorer.position) == ("layer1", 1, (2, 2))
    explorer.temperature = 0.3
    assert right(explorer, page).target == before.target


@pytest.mark.usefixtures("no_network_yet")
def test_after_a_failed_download_the_bar_is_gone(
    explorer: pw.Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "load_model", no_network)
    explorer.model = "resnet18"
    assert explorer.wait(SECONDS)
    bar = next(one for one in everything(explorer) if isinstance(one, w.FloatProgress))
    assert bar.layout.visibility == "hidden"


def test_a_network_loaded_by_name_is_known_by_it(explore: Make) -> None:
    model = wrap(network("residual"))
    model.catalogue_name = "resnet18"
    explorer = explore(model=model, given=image(1))
    assert find(explorer, "Network").value == "resnet18"
    assert 'pw.load_model("resnet18")' in explorer.code()


@pytest.mark.usefixtures("no_network_yet")
def test_a_first_network_that_cannot_be_had(explore: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in = wrap(network("residual"))

    def load(name: str, progress: Callable[[int, int], None]) -> pw.Model:
        return built_in if name == "efficientnet_lite0" else no_network(name, progress)

    monkeypatch.setattr(loaded, "load_model", load)
    explorer = explore(model="resnet18", given=image(1))
    assert explorer.wait(SECONDS)
    assert explorer.model is built_in
    assert "resnet18" in explorer.error
    explorer.temperature = 0.2
    assert explorer.wait(SECONDS)
    assert not explorer.error
