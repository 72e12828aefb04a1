"""Charts in a page: inline SVG that follows the page's theme."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.style import use as use_style

import pullback_widgets as pw
from pullback_widgets.drawing import chart


def drawn() -> Figure:
    """A figure with bars, lines, a legend, dashes and letters."""
    figure = Figure(figsize=(9.6, 3.3), layout="constrained")
    pw.gate_paths(length=4).draw(figure)
    return figure


def numbers(text: str) -> set[str]:
    """The colours that are not the page's."""
    return set(re.findall(r"#[0-9a-f]{6}\b", text))


@pytest.fixture
def settings() -> Iterator[mpl.RcParams]:
    """Settings of matplotlib, which a test may change."""
    with mpl.rc_context():
        yield mpl.rcParams


def test_a_chart_is_an_element_with_a_name() -> None:
    text = chart.svg(drawn(), 'what is "there" < to see')
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and root.get("role") == "img"
    assert root.get("aria-label") == 'what is "there" < to see'
    assert "One gate: what passes" in text  # letters, not their outlines
    assert "<metadata" not in text


def test_a_chart_takes_its_size_from_the_themes_letters() -> None:
    figure = drawn()
    root = ElementTree.fromstring(chart.svg(figure, ""))
    assert root.get("width") is None and root.get("height") is None
    width = float(re.findall(r"width: ([\d.]+)em", root.get("style") or "")[0])
    left, top, right, bottom = map(float, (root.get("viewBox") or "").split())
    assert (left, top) == (0, 0)
    # An em is FONT_SIZE points, and the drawing is in points.
    assert width * chart.FONT_SIZE == pytest.approx(right)
    assert right / bottom == pytest.approx(figure.get_figwidth() / figure.get_figheight())


def test_a_chart_brings_no_style_of_its_own() -> None:
    text = chart.svg(drawn(), "")
    assert "font-family" not in text and "<style" not in text


def test_what_is_black_is_written_in_the_pages_colour() -> None:
    text = chart.svg(drawn(), "")
    assert text.count("currentColor") > 20
    assert numbers(text) == {"#0b67c2", "#8fa3bf", "#e8710a"}


@pytest.mark.parametrize("style", ["dark_background", "ggplot", "Solarize_Light2"])
def test_a_style_of_the_users_is_written_in_the_pages_colour_too(
    settings: mpl.RcParams, style: str
) -> None:
    """White letters would be seen in a dark theme only."""
    use_style(style)
    colours = numbers(chart.svg(drawn(), ""))
    inks = {to_hex(settings[name]) for name in chart.INK if is_color_like(settings[name])}
    assert inks - {"#000000"}
    assert not colours & inks


def test_the_ground_is_left_out() -> None:
    figure = drawn()
    with mpl.rc_context({"figure.facecolor": "#123456", "axes.facecolor": "#123457"}):
        coloured = drawn()
    assert not {"#123456", "#123457"} & numbers(chart.svg(coloured, ""))
    assert "#ffffff" not in numbers(chart.svg(figure, ""))


def test_matplotlibs_settings_are_as_they_were(settings: mpl.RcParams) -> None:
    for kind in ("path", "none"):
        settings["svg.fonttype"] = kind
        chart.svg(drawn(), "")
        assert settings["svg.fonttype"] == kind


def test_settings_that_are_changed_meanwhile_stay(settings: mpl.RcParams) -> None:
    """Charts are drawn in a thread of their own, settings made in another."""

    class Slow(Figure):
        def savefig(self, *arguments: object, **options: object) -> None:
            thread = threading.Thread(target=lambda: settings.update({"font.size": 17.0}))
            thread.start()
            thread.join()
            super().savefig(*arguments, **options)  # type: ignore[arg-type]

    chart.svg(Slow(), "")
    assert settings["font.size"] == 17


def test_settings_are_put_back_when_drawing_fails(settings: mpl.RcParams) -> None:
    settings["svg.fonttype"] = "path"
    figure = Figure()
    figure.text(0.5, 0.5, r"$\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        chart.svg(figure, "")
    assert settings["svg.fonttype"] == "path"
