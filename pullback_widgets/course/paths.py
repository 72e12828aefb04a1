"""Exercises of notebook 5: how stable activation states are over training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answer import as_number
from .exercise import exercise

if TYPE_CHECKING:
    from ..teaching.paths import Paths

SETTLED = 0.95
PICTURES = 0.85
"""The relative temperature of the pictures so far."""


def _settling(paths: Paths) -> tuple[int, list[str]]:
    """The first checkpoint at which a layer has settled, and which layers have then."""
    settled = paths.agreement >= SETTLED
    checkpoint = int(settled.any(axis=0).argmax())
    return checkpoint, [
        name for name, there in zip(paths.layers, settled[:, checkpoint], strict=True) if there
    ]


@exercise(
    "5.1",
    hints=[
        "paths.agreement >= 0.95 is a table of True and False: rows are layers, columns are "
        "checkpoints.",
        "For one layer, (paths.agreement[0] >= 0.95).argmax() is its first checkpoint with True.",
        "Print that number beside paths.layers[k] for every k, and take the smallest.",
    ],
    praise="The layer nearest to the image settles first; those behind it cannot before it does.",
)
def first(answer: Any) -> str | None:
    """The first layer to settle, and when."""
    paths, layer, checkpoint = answer
    if layer not in paths.layers:
        return f"There is no layer {layer!r}; the layers are {', '.join(paths.layers)}."
    if isinstance(checkpoint, bool) or int(checkpoint) != checkpoint:
        return f"The checkpoint is {checkpoint!r}; expected its number, from 0 up."
    true, layers = _settling(paths)
    if layer in layers and checkpoint == true:
        return None
    if layer in layers:
        shares = paths.agreement[paths.layers.index(layer)]
        if 0 <= checkpoint < len(shares) and shares[int(checkpoint)] < SETTLED:
            return f"The layer is right; at checkpoint {checkpoint} it has only reached " + (
                f"{shares[int(checkpoint)]:.3f}."
            )
        return "The layer is right, but it is settled at an earlier checkpoint already."
    mine = int((paths.agreement[paths.layers.index(layer)] >= SETTLED).argmax())
    return f"{layer} needs until checkpoint {mine}; another layer is there earlier."


@exercise(
    "5.2",
    hints=[
        "paths.temperature.value is the fitted temperature; paths.temperature also has its "
        "interval.",
        "factor = 0.85 / paths.temperature.value",
    ],
    praise="What makes the clearest pictures is not what training measured here: a picture at 0.85 "
    "needs another justification than this one.",
)
def factor(answer: Any) -> str | None:
    """How much larger 0.85 is than the fitted temperature."""
    paths, given, inside = answer
    fitted = paths.temperature.value
    true = PICTURES / fitted
    factor = as_number(given)
    if factor is None:
        return f"The factor is {given!r}; expected a number."
    if abs(factor * true - 1) < 0.05 and abs(true - 1) > 0.1:
        return "That is the fitted temperature over 0.85; turn the fraction round."
    if abs(factor / true - 1) > 0.05:
        return f"The factor is not {factor:.3g}; divide 0.85 by the fitted temperature."
    if bool(inside) is not (0.5 <= fitted <= 1.0):
        return f"The factor is right; now compare the fitted T itself, {fitted:.3g}, with 0.5 to 1."
    return None


@exercise(
    "5.3",
    hints=[
        "Two networks with independent random weights have nothing to do with each other. How "
        "often do two tosses of a coin agree?",
        "Each state is open or closed, about equally often.",
    ],
    praise="Half of the states agree by chance; the dotted line in the chart is where nothing is "
    "stable.",
)
def chance(answer: Any) -> str | None:
    """The share of states that agree for random weights."""
    paths, given = answer
    prediction = as_number(given)
    if prediction is None:
        return f"The prediction is {given!r}; expected a share from 0 to 1."
    true = float(paths.agreement[:, :-1].mean())
    if 1 < prediction <= 100:
        return f"A share goes from 0 to 1; if {prediction:g} are percent, divide by 100."
    if abs(prediction - true) <= 0.05:
        return None
    if prediction < 0.05:
        return (
            "Not none at all: a state has only two values, so some agree by chance; measured was "
            f"{true:.2f}."
        )
    if prediction > 0.9:
        return f"These networks share nothing but their shape; measured was {true:.2f}, why?"
    return f"The prediction is {prediction:.2f}, and measured was {true:.2f}; why?"


@exercise(
    "5.4",
    hints=[
        "network.conv1.requires_grad_(False) freezes its weights and its bias.",
        "yield epoch.network: record_paths wants the network itself.",
    ],
    praise="A layer that does not learn sees every image in the same way for ever: stability 1.",
)
def frozen(answer: Any) -> str | None:
    """A training loop whose first layer is frozen."""
    from torch import nn

    from ..teaching.recorder import record_paths

    loop, images = answer
    if not callable(loop):
        return "Give the function itself, without calling it: frozen_first_layer."
    states = iter(loop())
    first_state = next(states, None)
    if first_state is None or first_state is ...:
        return "Not answered yet: freeze the layer, and replace the three dots after yield."
    if not isinstance(first_state, nn.Module):
        return (
            f"The loop yields {type(first_state).__name__}; record_paths needs the network: yield "
            "epoch.network."
        )
    paths = record_paths(loop, images)
    if (paths.agreement == 1).all():
        return "Nothing learns at all now: freeze conv1 only, not the whole network."
    if (paths.agreement[0] == 1).all():
        return None
    return (
        f"The first layer still changes: at the first checkpoint {paths.agreement[0, 0]:.2f} of "
        "its states agree with the last. Freeze conv1, weights and bias, before the training."
    )
