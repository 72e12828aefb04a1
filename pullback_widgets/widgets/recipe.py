"""Opens recipes: the widget as it was when the recipe was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..engine.model import Model
from ..figures.recipe import EXPLORER, differences, read, values


def open_recipe(
    recipe: str | Path | Mapping[str, Any],
    model: Model | nn.Module | str | None = None,
    image: Any = None,
) -> Any:
    """Open a widget as it was when a recipe was written.

    What is not as it was then (versions, the network, the photograph's file) is said in the widget
    and in its ``notes``; it opens all the same.

    Args:
        recipe: A ``.json`` file that the ``save`` of a widget or a figure wrote, what ``recipe``
            gave, or the text of a widget's button "Recipe text".
        model: The network; needed if it was not one of the catalogue. A list for ``Compare``.
        image: Another image than the recipe's, or other images.

    Returns:
        An ``Explorer``, a ``CounterfactualGrid`` or whatever the recipe is of.

    Raises:
        ValueError: If this is no recipe, one of a newer version, or one that needs ``model`` or
            ``image``.
    """
    content = read(recipe)
    widget = _widget(content)
    notes: list[str] = []
    given = {"model": model, "models": model, "image": image, "images": image}
    try:
        chosen = widget.chosen(values(widget.REQUEST, content, notes, given))
        notes += widget.remarks(content, chosen)
    except ValueError:  # whose sentence says what is wrong
        raise
    except Exception as error:  # what was changed by hand may be anything
        raise ValueError(
            f"The recipe is damaged or was changed by hand: {type(error).__name__}: {error}; save "
            "it anew from a widget."
        ) from error
    opened = widget(**chosen)
    opened.notes = tuple(notes)
    _compare_when_computed(opened, content)
    return opened


def _widget(content: Mapping[str, Any]) -> Any:
    """The class of widget that a recipe is of."""
    import pullback_widgets as pw  # says what is missing where there is no Jupyter

    name = content.get("widget", EXPLORER)
    widget = getattr(pw, name) if isinstance(name, str) and name in dir(pw) else None
    request = getattr(widget, "REQUEST", None)
    if getattr(request, "WIDGET", None) != name:
        raise ValueError(
            f"The recipe is of the widget {name!r}, which this version does not have; upgrade "
            "pullback_widgets."
        )
    return widget


def _compare_when_computed(widget: Any, content: Mapping[str, Any]) -> None:
    """As soon as the networks are there, say what is not as it was."""

    def compare(_: Any = None) -> None:
        networks = [] if widget.result is None else widget.result.networks()
        if (networks or widget.result is not None) and compare in watching:
            watching.remove(compare)
            widget.unobserve(compare, "result")
            widget.notes = (*widget.notes, *differences(content, *networks[:1]))

    watching: list[Callable[..., None]] = [compare]
    widget.observe(compare, "result")
    compare()  # it may have been there already
