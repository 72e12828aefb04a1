"""What files are called."""

import pytest

from pullback_widgets.drawing.file_name import LONGEST, file_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "coffee-golf-ball-relative-0.85",
            ("coffee", "golf ball (class 574)", "relative T = 0.85"),
        ),
        ("grusse-aus-koln-channel-3-at-2-4", ("Grüße aus Köln", "channel 3 at (2, 4)")),
        ("etc-passwd-a-b-c-d", ("../../etc/passwd", "a\\b:c*d?\n")),
        ("pullback", ("犬",)),
        ("plain-gradient", ("", "plain gradient")),
    ],
)
def test_names_are_safe(parts: tuple[str, ...], name: str) -> None:
    assert file_name(*parts) == name


def test_a_long_name_loses_the_end_of_its_longest_part() -> None:
    name = file_name("x" * 300, "golf ball", "relative T = 0.85")
    assert len(name) == LONGEST and name.endswith("xx-golf-ball-relative-0.85")
