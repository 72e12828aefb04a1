"""Exercises of notebook 1: what does this neuron look for?"""

from __future__ import annotations

from typing import Any

from .. import checks
from . import embedded
from .answer import as_number
from .exercise import exercise

CAT = "Egyptian cat"
LAYER = "blocks.4.2.bn2.act"

ALIKE = 0.7
"""The cosine from which on two pictures count as the same one."""

ANIMALS = 398
"""ImageNet's classes before this one are animals."""


@exercise(
    "1.1",
    hints=[
        "The line under the Explorer shows the cosine while you drag; begin at the far left.",
        "With the slider in focus, the arrow keys go from stop to stop. It happens soon: well "
        "before the cup looks like a cup.",
        "It is the first stop after 0.17; drag there and write temperature = explorer.temperature.",
    ],
    praise="The picture leaves the gradient long before it becomes clear: what you see at 0.85 "
    "tells about excited neurons, not about how the score changes at this very point.",
)
def temperature(answer: Any) -> str | None:
    """The lowest temperature at which the pullback's cosine with the gradient is under 0.5."""
    lowest = as_number(answer)
    if lowest is None:
        return (
            f"A temperature is a number, and this is {type(answer).__name__}; try "
            "explorer.temperature."
        )
    if lowest < 0:
        return f"Temperatures start at 0, and this is {lowest:g}; read it off beside the slider."
    if lowest == 0:
        return (
            "0 is the plain gradient itself, whose cosine with itself is 1; drag to the right "
            "before you run this cell."
        )
    here = _with_the_gradient(lowest)
    if here >= 0.5:
        return f"At {lowest:g} the cosine is still {here:.2f}; go on to the right."
    if _with_the_gradient(lowest / 1.25) < 0.5:
        return (
            f"At {lowest:g} it is under 0.5 ({here:.2f}), but so it is at lower temperatures; go "
            "back to the left."
        )
    return None


@exercise(
    "1.2",
    hints=[
        "About one thing in three will do, so a few tries are enough. Type them into the Explorer "
        "as its class and read the line under it.",
        "Several vessels, pieces of furniture and vehicles are among them.",
        "Try moped, water jug or plastic bag.",
    ],
    praise="The eyes light up because they excite the network, whichever of the two classes is "
    "asked for: the picture alone does not say that the network sees a cat.",
)
def thing(answer: Any) -> str | None:
    """A class that is no animal, with the cat's picture."""
    from ..figures.strip import cosine

    session = embedded.session("chelsea")
    model = session.model
    if not isinstance(answer, str) and not checks.is_whole(answer):
        return (
            f"A class is a name or a number, and this is {type(answer).__name__}; try "
            '"golf ball", for instance.'
        )
    if isinstance(answer, str):
        try:
            answer = model.class_index(answer)
        except ValueError as error:
            return str(error)
    if not 0 <= answer < 1000:
        return f"The classes have the numbers 0 to 999, and this is {answer}; give a name instead."
    name = model.label(answer)
    if answer < ANIMALS:
        return f"{name} is an animal; look for a thing, which makes it more surprising."
    alike = cosine(session.pullback(answer), session.pullback(CAT))
    if alike < -ALIKE:
        return (
            f"The pullback of {name} shows the same places with the opposite sign, cosine "
            f"{alike:.2f}: a find, but look for one above {ALIKE}."
        )
    if alike < ALIKE:
        return f"The cosine for {name} is {alike:.2f}, not yet above {ALIKE}; try another thing."
    return None


@exercise(
    "1.3",
    hints=[
        "In the small map of a channel the brightest spot is the place; click there on the large "
        "picture, then around it.",
        "In Python: answers = hidden.session.activations(hidden.layer)[hidden.channel], and then "
        "divmod(int(answers.argmax()), 14) is row and column.",
    ],
    praise="That is one neuron of 672 x 14 x 14 in this layer alone, at the place on this "
    "photograph that excites it most.",
)
def neuron(answer: Any) -> str | None:
    """An Explorer with a channel of the layer, and the place where it is largest."""
    if not hasattr(answer, "channel"):
        return (
            f"The answer is the Explorer itself, and this is {type(answer).__name__}; write "
            "neuron = hidden."
        )
    channel, position = answer.channel, answer.position
    if answer.layer != LAYER:
        return f"The Explorer is in the layer {answer.layer}; go back to {LAYER}."
    if channel is None:
        return "No channel is chosen yet; click one of the small maps, then a place on the picture."
    if position is None:
        return (
            "No place is chosen yet, so that the Explorer shows the mean over the whole map; click "
            "on the picture."
        )
    values = embedded.session("chelsea").activations(LAYER)
    row, column = position
    here = values[channel]
    most, value = float(here.max()), float(here[row, column])
    if most <= 0:
        return (
            f"Channel {channel} is below zero everywhere on this photograph, so nothing excites "
            "it; choose one of the small maps."
        )
    near = 0.001 * most
    if value >= most - near:
        return None
    if float(here[column, row]) >= most - near:
        return "Row and column are exchanged: the row comes first, counted from the top."
    return (
        f"At row {row}, column {column} channel {channel} answers with {value:.2f}, elsewhere "
        f"with up to {most:.2f}; look for the brightest spot of its small map."
    )


def _with_the_gradient(temperature: float) -> float:
    """The cosine of the pullback of the coffee's top class with its gradient."""
    from ..engine.softening import Softening
    from ..figures.strip import cosine

    session = embedded.session("coffee")
    return cosine(
        session.pullback(softening=Softening.relative(temperature)),
        session.pullback(softening=Softening.hard()),
    )
