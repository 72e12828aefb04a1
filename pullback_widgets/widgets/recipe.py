"""Opens recipes: the widget as it was when the recipe was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ..engine.model import Model
from ..engine.softening import Softening
from ..figures.recipe import PLAIN, UNREADABLE, differences, read, read_image, read_target

if TYPE_CHECKING:
    from .explorer.explorer import Explorer


def open_recipe(
    recipe: str | Path | Mapping[str, Any],
    model: Model | nn.Module | str | None = None,
    image: Any = None,
) -> Explorer:
    """Open an Explorer as it was when a recipe was written.

    What is not as it was then (versions, the network, the photograph's file) is said in the
    Explorer and in its ``notes``; it opens all the same.

    Args:
        recipe: A ``.json`` file that ``Explorer.save`` wrote, or what ``Explorer.recipe`` gave.
        model: The network; needed if it was not one of the catalogue.
        image: Another image than the recipe's.

    Raises:
        ValueError: If this is no recipe, one of a newer version, or one that needs ``model`` or
            ``image``.
    """
    from .. import Explorer  # says what is missing where there is no Jupyter

    content = read(recipe)
    notes: list[str] = []
    try:
        if model is None:
            if not content["catalogue"]:
                raise ValueError(
                    f"The recipe is of the network {content['network']}, which is none of the "
                    "catalogue; give it: pw.open_recipe(recipe, model=pw.Model(...))."
                )
            model = str(content["network"])
        choices = {name: content[name] for name in PLAIN}
        choices["position"] = None if content["position"] is None else tuple(content["position"])
        choices["softening"] = Softening(**content["softening"])
        target = read_target(content["target"])
        chosen = content["layer"] != "logits" and target is None
        if not chosen:  # the target itself says which layer, channel and position
            for name in ("layer", "channel", "position"):
                del choices[name]
            choices["target"] = target
        if image is None:
            image = read_image(content["image"], notes)
        walked = content.get("walked", choices["steps"])
        if walked < choices["steps"]:
            notes.append(f"The ascent had been stopped after step {walked} of {choices['steps']}.")
            choices["steps"] = walked
    except (KeyError, TypeError, AttributeError, OSError, *UNREADABLE) as error:
        raise ValueError(
            f"The recipe is damaged or was changed by hand: {type(error).__name__}: {error}; save "
            "it anew from an Explorer."
        ) from error
    explorer = Explorer(model, image, **choices)
    explorer.notes = tuple(notes)
    _compare_when_loaded(explorer, content)
    return explorer


def _compare_when_loaded(explorer: Explorer, recipe: Mapping[str, Any]) -> None:
    """As soon as the network is there, say what is not as it was."""

    def compare(_: Any = None) -> None:
        if explorer.result is not None and compare in watching:
            watching.remove(compare)
            explorer.unobserve(compare, "result")
            found = differences(recipe, explorer.result.model)
            explorer.notes = (*explorer.notes, *found)

    watching: list[Callable[..., None]] = [compare]
    explorer.observe(compare, "result")
    compare()  # it may have been there already
