"""Journeys through the Explorer: ascents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from journeys import (
    GRIP,
    SCREEN,
    SIZE,
    STEP,
    field,
    find,
    is_idle,
    pulled,
    rgb,
    shows,
    unfold,
    view_button,
)

if TYPE_CHECKING:
    from labpage import LabPage


def test_ascent_streams_its_steps(lab: LabPage) -> None:
    search = field(lab, "Class")
    search.fill("golf ball")
    search.press("Enter")
    shows(lab, pulled(lab, "'golf ball'"))
    lab.python("ten = walked('golf ball', steps=10, step_size=10.0, radius=100.0)")
    lab.python("explorer.choose(steps=10, step_size=10.0)")
    steps = [rgb(lab, f"pixels.photograph(ten[{i}].perturbed)") for i in range(10)]
    before = find(lab, ".pullback-outcome b").first.inner_text()

    height, width = lab.canvas_pixels(SCREEN).shape[:2]
    centres = ((np.arange(SIZE) + 0.5) * width / SIZE).astype(int)
    lab.record_row(int(50.5 * height / SIZE), SCREEN)

    def met() -> list[int]:
        """The steps that the canvas has shown."""
        rows = [row[centres, :3] for row in lab.recorded_rows()]
        return [
            number
            for row in rows
            for number, step in enumerate(steps)
            if np.array_equal(row[GRIP], step[50, GRIP])
        ]

    find(lab, ".pullback-play").click()
    shows(lab, steps[-1])
    assert met() == sorted(met()) and len(met()) >= 3

    outcome = find(lab, ".pullback-outcome")
    lab.wait_until(lambda: "step 10" in outcome.inner_text(), "the last step's number")
    assert outcome.locator("b").all_inner_texts()[0] == before == "< 0.1 %"
    assert float(outcome.locator("b").all_inner_texts()[1].removesuffix("%")) > 90
    lab.wait_until(lambda: is_idle(lab), "idle")

    # Play again walks again, from the photograph.
    walks = len(met())
    find(lab, ".pullback-play").click()
    lab.wait_until(lambda: met()[walks:][-1:] == [9], "the last step of another walk")
    again = met()[walks:]
    assert again == sorted(again) and len(again) >= 3
    shows(lab, steps[-1])


def play_without_end(lab: LabPage, **choices: object) -> int:
    """Plays an ascent that goes on until it is stopped, and waits; a step that it has reached."""
    lab.python(f"explorer.choose(steps=1_000_000, step_size=1.0, **{choices})")
    find(lab, ".pullback-play").click()
    lab.wait_until(lambda: lab.value(f"{STEP} > 2"), "the first steps")
    return int(lab.value(STEP))


def test_long_ascent_leaves_the_kernel_free_and_stops(lab: LabPage) -> None:
    before = play_without_end(lab, target="golf ball")
    lab.run_cell(2)
    during = lab.value(STEP)
    assert before <= lab.value("meanwhile") <= during
    assert not lab.value("explorer.wait(0)")

    find(lab, ".pullback-stop").click()
    lab.wait_until(lambda: lab.value("explorer.wait(0)"), "the end of the ascent")
    reached = lab.value(STEP)
    assert during <= reached
    lab.python(f"ascent = walked('golf ball', steps={reached}, step_size=1.0, radius=100.0)")
    shows(lab, rgb(lab, "pixels.photograph(ascent[-1].perturbed)"))
    lab.wait_until(lambda: is_idle(lab), "idle")
    assert f"step {reached}" in find(lab, ".pullback-outcome").inner_text()

    view_button(lab, "pullback").click()
    shows(lab, pulled(lab, "'golf ball'"))
    find(lab, ".pullback-top").first.click()
    shows(lab, pulled(lab, "None"))


def test_busy_mark_stays_while_an_ascent_runs(lab: LabPage) -> None:
    play_without_end(lab)
    lab.wait_until(lambda: not is_idle(lab), "the busy mark")
    lab.record_text(find(lab, ".pullback-status").locator("xpath=.."))
    lab.wait_until(lambda: len(set(lab.recorded_texts())) >= 5, "some steps more")
    assert all("step" in text for text in lab.recorded_texts())
    assert not lab.value("explorer.wait(0)")


def test_ascent_without_a_radius(lab: LabPage) -> None:
    lab.python("explorer.choose(target='golf ball', radius=None, step_size=60.0)")
    find(lab, ".pullback-play").click()
    lab.python("ascent = walked('golf ball', steps=5, step_size=60.0, radius=None)")
    shows(lab, rgb(lab, "pixels.photograph(ascent[-1].perturbed)"))
    assert lab.value("float(ascent[-1].difference.norm())") > 100


def test_stop_before_the_first_step(lab: LabPage) -> None:
    # The lock keeps the worker from taking the request before it is withdrawn.
    lab.python("with explorer._worker._changed: explorer.temperature = 0.5; explorer.stop()")
    lab.wait_until(lambda: lab.value("explorer.wait(0)"), "the end")
    lab.wait_until(lambda: is_idle(lab), "idle")
    find(lab, ".pullback-temperature .noUi-handle").press("Home")
    shows(lab, pulled(lab, "None", "pw.Softening.hard()"))


def test_ascent_settings_show_what_holds(lab: LabPage) -> None:
    unfold(lab, "Ascent settings", ".widget-inline-hbox:has-text('Step size')")
    lab.python("explorer.choose(steps=1000, step_size=0.001, radius=1e6)")
    wanted = [1000.0, 0.001, 1e6]
    fields = [field(lab, label) for label in ("Steps", "Step size", "Radius")]
    lab.wait_until(lambda: [float(f.input_value()) for f in fields] == wanted, "the settings")
