"""A recipe: all that an Explorer was asked for, as JSON that opens again to the same picture."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import io
import json
import numbers
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..drawing import files as export
from ..engine.image import SAMPLES
from ..engine.model import Model
from ..engine.softening import Softening
from ..engine.target import Channel, Difference, Direction, Logit, Target, Unit, as_target

if TYPE_CHECKING:
    from ..widgets.explorer.explorer import Explorer
    from .snapshot import Frame

FORMAT = 1
"""Counts up when a recipe of a new kind cannot be read by what read the old one."""

_PLAIN = (
    "layer", "channel", "position", "steps", "step_size", "radius", "view", "compare", "wipe",
    "colour",
)  # fmt: skip
"""Choices that JSON holds as they are."""
_UNREADABLE = (binascii.Error, zipfile.BadZipFile)
_TARGETS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Logit, Channel, Unit, Direction, Difference)
}


# Writing ------------------------------------------------------------------------------------------


def write(explorer: Explorer, frame: Frame, *, pixels: bool = True) -> dict[str, Any]:
    """The recipe of what an Explorer shows.

    Args:
        explorer: Its choices are written down.
        frame: What it shows.
        pixels: Whether an image that is no sample is embedded, so that the recipe opens anywhere.

    Raises:
        TypeError: If the target is of the user's own kind.
    """
    recipe: dict[str, Any] = {
        "format": FORMAT,
        **export.provenance(frame.model),
        "catalogue": frame.model.catalogue_name is not None,
        "image": _written_image(explorer.image, frame.image, pixels),
        "target": _written_target(explorer.target),
        "softening": _written_softening(explorer.softening),
    }
    for name in _PLAIN:
        value = getattr(explorer, name)
        recipe[name] = list(value) if isinstance(value, tuple) else value
    if frame.step is not None:
        recipe["walked"] = frame.step.index
    return recipe


def _written_image(source: Any, image: Tensor, pixels: bool) -> dict[str, Any]:
    if isinstance(source, str) and source in SAMPLES:
        return {"sample": source}
    written: dict[str, Any] = {}
    if isinstance(source, str | Path):
        path = Path(source).expanduser().resolve()
        written = {"file": str(path), "sha256": _digest(path)}
    if pixels:
        written |= _packed(image)
    return written


def _packed(image: Tensor) -> dict[str, str]:
    """An image in [-1, 1] as text: a PNG where its values are bytes, else a NumPy file."""
    values = image.cpu() if image.dtype in (torch.float32, torch.float64) else image.cpu().float()
    as_bytes = ((values + 1) * 127.5).round().to(torch.uint8)
    file = io.BytesIO()
    if values.dtype == torch.float32 and torch.equal(_from_bytes(as_bytes), values):
        from PIL import Image

        Image.fromarray(as_bytes.permute(1, 2, 0).numpy()).save(file, "PNG")
        return {"png": base64.b64encode(file.getvalue()).decode("ascii")}
    np.savez_compressed(file, image=values.numpy())
    return {"npz": base64.b64encode(file.getvalue()).decode("ascii")}


def _from_bytes(values: Tensor) -> Tensor:
    """Bytes as ``image.to_tensor`` makes them an image."""
    return values.to(torch.float32).div_(127.5).sub_(1)


def _written_target(target: Any) -> Any:
    if target is None or isinstance(target, str):
        return target
    if isinstance(target, numbers.Integral):
        return int(target)
    kind = type(target).__name__
    if _TARGETS.get(kind) is not type(target):
        raise TypeError(
            f"The target is a {kind}, which no recipe can hold; choose a class, or a Logit, "
            "Channel, Unit, Direction or Difference."
        )
    if isinstance(target, Difference):
        first, second = (_written_target(as_target(one)) for one in (target.first, target.second))
        return {"kind": kind, "first": first, "second": second}
    fields = {one.name: getattr(target, one.name) for one in dataclasses.fields(target)}
    if isinstance(target, Direction):
        vector = torch.as_tensor(target.vector)
        fields |= {"vector": vector.tolist(), "dtype": str(vector.dtype).removeprefix("torch.")}
    return {"kind": kind, **fields}


def _written_softening(softening: Softening) -> dict[str, Any]:
    fields = {one.name: getattr(softening, one.name) for one in dataclasses.fields(softening)}
    return {**fields, "factors": dict(softening.factors)}


# Reading ------------------------------------------------------------------------------------------


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

    content = _read(recipe)
    notes: list[str] = []
    try:
        if model is None:
            if not content["catalogue"]:
                raise ValueError(
                    f"The recipe is of the network {content['network']}, which is none of the "
                    "catalogue; give it: pw.open_recipe(recipe, model=pw.Model(...))."
                )
            model = str(content["network"])
        choices = {name: content[name] for name in _PLAIN}
        choices["position"] = None if content["position"] is None else tuple(content["position"])
        choices["softening"] = Softening(**content["softening"])
        target = _read_target(content["target"])
        chosen = content["layer"] != "logits" and target is None
        if not chosen:  # the target itself says which layer, channel and position
            for name in ("layer", "channel", "position"):
                del choices[name]
            choices["target"] = target
        if image is None:
            image = _read_image(content["image"], notes)
        walked = content.get("walked", choices["steps"])
        if walked < choices["steps"]:
            notes.append(f"The ascent had been stopped after step {walked} of {choices['steps']}.")
            choices["steps"] = walked
    except (KeyError, TypeError, AttributeError, OSError, *_UNREADABLE) as error:
        raise ValueError(
            f"The recipe is damaged or was changed by hand: {type(error).__name__}: {error}; save "
            "it anew from an Explorer."
        ) from error
    explorer = Explorer(model, image, **choices)
    explorer.notes = tuple(notes)
    _compare_when_loaded(explorer, content)
    return explorer


def _read(recipe: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    content: Any = recipe
    if isinstance(recipe, str | Path):
        try:
            content = json.loads(Path(recipe).expanduser().read_text("utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{str(recipe)!r} is no recipe: it is not JSON; give a .json file that "
                "Explorer.save wrote."
            ) from error
    if not isinstance(content, Mapping) or not isinstance(content.get("format"), int):
        raise ValueError(
            "This is no recipe of an Explorer; give a .json file that Explorer.save wrote, or what "
            "Explorer.recipe() gave."
        )
    if content["format"] > FORMAT:
        raise ValueError(
            f"The recipe was written by pullback_widgets {content.get('pullback_widgets')}, in "
            "a newer format than this version reads; upgrade pullback_widgets."
        )
    return content


def _read_image(written: Mapping[str, Any], notes: list[str]) -> Any:
    if "sample" in written:
        return written["sample"]
    lost = "The image came from no file"
    if "file" in written:
        path = Path(written["file"])
        if path.is_file() and _digest(path) == written["sha256"]:
            return str(path)
        what = "is not the file it was" if path.is_file() else "is not here"
        lost = f"The photograph {path.name} {what}"
        notes.append(f"{lost}; its pixels come from the recipe.")
    if not {"png", "npz"} & written.keys():
        raise ValueError(
            f"{lost}, and its pixels were not stored in the recipe (of an NPZ they are the array "
            "'image'); give it: pw.open_recipe(recipe, image=...)."
        )
    if "png" in written:
        from PIL import Image

        with Image.open(io.BytesIO(base64.b64decode(written["png"]))) as file:
            return _from_bytes(torch.from_numpy(np.array(file)).permute(2, 0, 1).contiguous())
    with np.load(io.BytesIO(base64.b64decode(written["npz"])), allow_pickle=False) as arrays:
        return torch.from_numpy(arrays["image"])


def _read_target(written: Any) -> Target | int | str | None:
    if not isinstance(written, Mapping):
        return written  # None, a number or a name
    fields = {name: value for name, value in written.items() if name != "kind"}
    if written["kind"] == "Difference":
        fields = {name: _read_target(value) for name, value in fields.items()}
    if written["kind"] == "Direction":
        dtype = getattr(torch, fields.pop("dtype"))
        fields["vector"] = torch.tensor(fields["vector"], dtype=dtype)
    target: Target = _TARGETS[written["kind"]](**fields)
    return target


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


def differences(recipe: Mapping[str, Any], model: Model) -> list[str]:
    """What is not as it was when the recipe was written, in sentences."""
    now = export.provenance(model)
    # Older recipes do not say how images were prepared.
    recipe = {**{name: now[name] for name in ("mean", "std", "size", "calibration")}, **recipe}
    found = []
    for name in ("pullback_widgets", "torch", "mean", "std", "size"):
        if recipe.get(name) != now[name]:
            found.append(f"Written with {name} {recipe.get(name)}, opened with {now[name]}.")
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


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
