"""A recipe: all that a figure was asked for, as JSON that opens again to the same picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..drawing.reading import DamagedError, from_json, text_of
from ..engine.model import Model
from .declared import Request, choices
from .provenance import provenance
from .recipe_text import BEGINNING, from_text

FORMAT = 2
"""Counts up when a recipe of a new kind cannot be read by what read the old one: 1 is the
Explorer's, 2 that of any figure."""

EXPLORER = "Explorer"
"""The widget of recipes that name none: they are older, or can be read by what is older."""


def write(
    request: Request, networks: Sequence[Model] = (), *, pixels: bool = True
) -> dict[str, Any]:
    """The recipe of a request.

    Args:
        request: What was asked for.
        networks: Those that it is about; versions and hashes of the first are noted.
        pixels: Whether images that are no samples are embedded, so that the recipe opens anywhere.

    Raises:
        TypeError: If a target is of the user's own kind.
    """
    widget = type(request).WIDGET
    recipe: dict[str, Any] = (
        {"format": 1} if widget == EXPLORER else {"format": 2, "widget": widget}
    )
    recipe |= provenance(*networks[:1])
    if networks:
        recipe["catalogue"] = networks[0].catalogue_name is not None
    size = networks[0].size if networks and pixels else None
    for name, one in choices(type(request)).items():
        if name != "model":  # which stands there as "network"
            value = getattr(request, name)
            if one.later and value == one.default:
                continue
            recipe[name] = None if value is None else one.kind.write(value, size)
    return recipe


def read(recipe: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a recipe.

    Raises:
        ValueError: If this is none, or one of a newer version.
    """
    content: Any = recipe
    if isinstance(recipe, str) and recipe.lstrip().startswith(BEGINNING):
        content = from_text(recipe)
    elif isinstance(recipe, str | Path):
        content = _content(recipe)
    if not isinstance(content, Mapping) or not isinstance(content.get("format"), int):
        raise ValueError(
            "This is no recipe; give a .json file that a widget's save wrote, or what its recipe() "
            "gave."
        )
    if content["format"] > FORMAT:
        raise ValueError(
            f"The recipe was written by pullback_widgets {content.get('pullback_widgets')}, in "
            "a newer format than this version reads; upgrade pullback_widgets."
        )
    return content


def _content(path: str | Path) -> Any:
    """What stands in a file."""
    try:
        return from_json(text_of(Path(path).expanduser()))
    except (FileNotFoundError, PermissionError):
        raise
    except (DamagedError, OSError, RuntimeError) as error:  # no such user's ~, too long a name
        shown = str(path) if len(str(path)) <= 200 else f"{str(path)[:197]}..."
        why = error if isinstance(error, DamagedError) else "no file can be called so"
        raise ValueError(
            f"{shown!r} is no recipe: {why}; give a .json file that a widget's save wrote."
        ) from error


def values(
    request: type[Request], content: Mapping[str, Any], notes: list[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The choices that a recipe holds.

    Args:
        request: What it is a recipe of.
        content: Of the recipe.
        notes: What is not as it was is added to them.
        given: Values that count instead of the recipe's; None counts as not given.

    Raises:
        ValueError: If a choice can only be had from the user.
    """
    found: dict[str, Any] = {}
    for name, one in choices(request).items():
        if given.get(name) is not None:
            found[name] = given[name]
        elif name == "model":
            if not content["catalogue"]:
                raise ValueError(
                    f"The recipe is of the network {content['network']}, which is none of the "
                    "catalogue; give it: pw.open_recipe(recipe, model=pw.Model(...))."
                )
            found[name] = one.kind.read(content["network"], notes)
        elif one.later and name not in content:
            found[name] = one.default
        else:
            written = content[name]
            found[name] = None if written is None else one.kind.read(written, notes)
    return found


def differences(recipe: Mapping[str, Any], model: Model | None = None) -> list[str]:
    """What is not as it was when the recipe was written, in sentences."""
    now = provenance(model) if model is not None else provenance()
    # Older recipes do not say how images were prepared.
    older = {name: now.get(name) for name in ("mean", "std", "size", "calibration")}
    recipe = {**older, **recipe}
    found = [
        f"Written with {name} {recipe.get(name)}, opened with {now[name]}."
        for name in ("pullback_widgets", "torch", "mean", "std", "size")
        if name in now and recipe.get(name) != now[name]
    ]
    if model is None:
        return found
    if recipe.get("network") != now["network"]:
        found.append(f"Written for the network {recipe.get('network')}, not {now['network']}.")
    if recipe.get("weights") != now["weights"]:
        found.append(
            f"The weights of {now['network']} are not those of the recipe, so the picture may be "
            "another."
        )
    if recipe["calibration"] != now["calibration"]:
        found.append(
            f"The calibration images of {now['network']} are not those of the recipe, so the same "
            "relative temperature may soften more or less."
        )
    return found
