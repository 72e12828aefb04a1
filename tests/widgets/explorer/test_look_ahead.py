"""What may be asked for next is there when it is, and nobody waits for it."""

import pytest
from explorers import Make
from waiting import SECONDS, until
from widgets import Page, find

import pullback_widgets as pw
from pullback_widgets.widgets.explorer import look_ahead
from pullback_widgets.widgets.explorer.look_ahead import STEPS, ahead, looks_ahead
from pullback_widgets.widgets.kit import worker
from pullback_widgets.widgets.kit.temperature import STOPS, nearest_stop


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process had a machine with nothing else to do."""
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(worker, "QUIET", 1e9)
    monkeypatch.setattr(worker, "_is_crowded", lambda: False)
    monkeypatch.setattr(look_ahead, "LONGEST", SECONDS)
    monkeypatch.setattr("pullback_widgets.widgets.explorer.explorer.LONGEST", SECONDS)


def until_looked_ahead(explorer: pw.Explorer, frames: int) -> None:
    until(lambda: len(explorer._sessions.cache) >= frames)


def test_the_stops_beside_are_there(explore: Make, page: Page) -> None:
    explorer = explore(temperature=0.5)
    explorer.prefetch = True
    explorer.target = 1
    assert explorer.wait(SECONDS)
    until_looked_ahead(explorer, 1 + 1 + 2 * STEPS)  # with the first, of no class
    stop = nearest_stop(0.5)
    session = explorer._sessions._session
    assert session is not None
    pulled = []
    session.pullback = lambda *args: pulled.append(args)  # type: ignore[method-assign]
    explorer.prefetch = False
    for position in range(stop - STEPS, stop + STEPS + 1):
        find(explorer, "pullback-temperature").value = position
        assert explorer.wait(SECONDS)
        assert explorer.result.request.softening.temperature == STOPS[position]
        want = pw.Session(explorer.model, explorer.image).pullback(1, explorer.softening)
        assert (explorer.pullback == want.cpu()).all()
    assert not pulled and not explorer.error


def test_none_where_it_is_of_no_use(explore: Make, page: Page) -> None:
    explorer = explore(softening=pw.Softening.hard())
    assert explorer.wait(SECONDS)
    for choices in (
        {},
        {"softening": pw.Softening.relative(), "view": "perturbed", "steps": 1},
        {"view": "pullback", "beside": {"temperature": 0.3}},
    ):
        explorer.choose(**choices)
        assert explorer.wait(SECONDS)
        assert not list(ahead(explorer.result))


def test_the_ends_of_the_slider(explore: Make, page: Page) -> None:
    explorer = explore(temperature=STOPS[-1])
    assert explorer.wait(SECONDS)
    assert [one.softening.temperature for one in ahead(explorer.result)] == STOPS[-2:-6:-1]
    explorer.temperature = STOPS[1]
    assert explorer.wait(SECONDS)
    assert [one.softening.temperature for one in ahead(explorer.result)] == STOPS[2:6]


def test_it_can_be_switched_off(explore: Make, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not looks_ahead()  # as the tests say in the environment
    assert not explore().prefetch
    monkeypatch.delenv(look_ahead.PREFETCH)
    assert looks_ahead()
    assert explore().prefetch
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
    assert not looks_ahead()


def test_run_computes_anew(explore: Make, page: Page) -> None:
    explorer = explore()
    assert explorer.wait(SECONDS)
    before = explorer.result.pullback
    explorer.run()
    assert explorer.wait(SECONDS)
    after = explorer.result.pullback
    assert after is not before and (after == before).all()


def test_nothing_is_kept_of_a_closed_explorer(explore: Make, page: Page) -> None:
    explorer = explore()
    assert explorer.wait(SECONDS) and len(explorer._sessions.cache)
    explorer.close()
    assert not len(explorer._sessions.cache) and explorer._sessions._session is None
