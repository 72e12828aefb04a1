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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.image import SAMPLES
from ..engine.model import Model
from ..engine.softening import Softening
from ..engine.target import Channel, Difference, Direction, Logit, Target, Unit, as_target
from .provenance import provenance
from .snapshot import Frame

FORMAT = 1
"""Counts up when a recipe of a new kind cannot be read by what read the old one."""

PLAIN = (
    "layer", "channel", "position", "steps", "step_size", "radius", "view", "compare", "wipe",
    "colour",
)  # fmt: skip
"""Choices that JSON holds as they are."""
UNREADABLE = (binascii.Error, zipfile.BadZipFile)
_TARGETS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Logit, Channel, Unit, Direction, Difference)
}


# Writing ------------------------------------------------------------------------------------------


def write(explorer: Any, frame: Frame, *, pixels: bool = True) -> dict[str, Any]:
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
        **provenance(frame.model),
        "catalogue": frame.model.catalogue_name is not None,
        "image": _written_image(explorer.image, frame.image, pixels),
        "target": _written_target(explorer.target),
        "softening": _written_softening(explorer.softening),
    }
    for name in PLAIN:
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


def read(recipe: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a recipe.

    Raises:
        ValueError: If this is none, or one of a newer version.
    """
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


def read_image(written: Mapping[str, Any], notes: list[str]) -> Any:
    """An image; what is not as it was is added to the notes."""
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


def read_target(written: Any) -> Target | int | str | None:
    """A target as it was given."""
    if not isinstance(written, Mapping):
        return written  # None, a number or a name
    fields = {name: value for name, value in written.items() if name != "kind"}
    if written["kind"] == "Difference":
        fields = {name: read_target(value) for name, value in fields.items()}
    if written["kind"] == "Direction":
        dtype = getattr(torch, fields.pop("dtype"))
        fields["vector"] = torch.tensor(fields["vector"], dtype=dtype)
    target: Target = _TARGETS[written["kind"]](**fields)
    return target


def differences(recipe: Mapping[str, Any], model: Model) -> list[str]:
    """What is not as it was when the recipe was written, in sentences."""
    now = provenance(model)
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
