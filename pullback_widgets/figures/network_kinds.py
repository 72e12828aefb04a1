"""What a choice may be that speaks of networks, neurons and images; see ``kinds``."""

from __future__ import annotations

import dataclasses
import hashlib
import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..drawing import expression
from ..engine.image import SAMPLES, to_tensor
from ..engine.model import Model
from ..engine.softening import Softening
from ..engine.target import (
    KINDS_IN_WORDS,
    Channel,
    Difference,
    Direction,
    Logit,
    Region,
    Rivals,
    Target,
    Unit,
    as_target,
)
from ..methods.captum_methods import METHODS
from ..methods.captum_methods import checked as method_of
from ..networks.catalogue import entry
from .images import first_file, image_name, is_folder, photographs
from .kinds import Kind
from .packing import packed_image, unpacked_image


class Methods(Kind):
    """Names of methods to compare with; one is as good as a list of one."""

    def check(self, name: str, value: Any) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list | tuple):
            raise TypeError(
                f"{name} is {value!r}; expected a list of names such as "
                f"{[*METHODS][2:4]}, which may be empty."
            )
        for one in given:
            method_of(one)  # raises for an unknown name
        return tuple(given)

    def code(self, value: Any) -> str:
        return repr(list(value))


class Layers(Kind):
    """Names of layers; one is as good as a list of one."""

    def check(self, name: str, value: Any) -> list[str]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
            raise TypeError(
                f"{name} is {value!r}; expected a list of names of layers, one name, or None."
            )
        if not given:
            raise ValueError(f'{name} is empty; name at least one layer, for instance "logits".')
        return list(given)


class Channels(Kind):
    """Different channels of a layer."""

    def check(self, name: str, value: Any) -> list[int]:
        try:
            return [int(one) for one in value]
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} is {value!r}; expected a list of whole numbers, or None for all."
            ) from None


class ChannelEach(Kind):
    """A channel for each layer, None for the strongest; or a mapping from some layers to theirs."""

    def check(self, name: str, value: Any) -> Any:
        if not isinstance(value, list | tuple | Mapping):
            raise TypeError(
                f"{name} is {value!r}; expected a list with a channel (or None) for each stage, a "
                "mapping from layers to channels, or None."
            )
        return value

    def write(self, value: Any, size: int | None) -> Any:
        return dict(value) if isinstance(value, Mapping) else list(value)

    def read(self, written: Any, notes: list[str]) -> Any:
        return written


class Position(Kind):
    """A place in a layer's grid: one whole number for each direction."""

    def check(self, name: str, value: Any) -> tuple[int, ...]:
        return Unit("", 0, value).position or ()


class Network(Kind):
    """A network: a ``Model``, a module, or a name."""

    variable = True

    def check(self, name: str, value: Any) -> Model | str:
        if isinstance(value, str):
            return entry(value).name  # raises with the nearest names
        if not isinstance(value, Model | nn.Module):
            raise TypeError(
                f"The network is {type(value).__name__}; expected a torch.nn.Module, a pw.Model, "
                "or a name of pw.CATALOGUE."
            )
        return Model.of(value)

    def code(self, value: Any) -> str:
        return expression.of_model(value)

    def write(self, value: Any, size: int | None) -> str | None:
        return value if isinstance(value, str) else value.catalogue_name

    def read(self, written: Any, notes: list[str]) -> str:
        if written is None:
            raise ValueError(
                "The recipe is of a network that is none of the catalogue; give it: "
                "pw.open_recipe(recipe, model=pw.Model(...))."
            )
        return str(written)


class Networks(Network):
    """Several networks; one is as good as a list of one."""

    def check(self, name: str, value: Any) -> list[Model | str]:  # type: ignore[override]
        if isinstance(value, str | Model | nn.Module):
            value = [value]
        if not isinstance(value, list | tuple):
            raise TypeError(
                f"{name} is {value!r}; expected a list of pw.Model objects, torch modules or names "
                "of pw.CATALOGUE, or one of these."
            )
        if not value:
            raise ValueError("There are no networks; give at least one.")
        return [super(Networks, self).check(name, one) for one in value]

    def code(self, value: Any) -> str:
        names = [one if isinstance(one, str) else one.catalogue_name for one in value]
        text = f"[{', '.join(repr(name) if name else '...' for name in names)}]"
        return f"{text}  # your networks" if "..." in text else text

    def write(self, value: Any, size: int | None) -> list[str | None]:  # type: ignore[override]
        return [super(Networks, self).write(one, size) for one in value]

    def read(self, written: Any, notes: list[str]) -> list[str]:  # type: ignore[override]
        return [super(Networks, self).read(one, notes) for one in written]


DEFAULT = Softening.relative()
"""The softening where none is given."""

MOST_BYTES = 500_000_000
"""Of a photograph's file that a recipe names."""


PAPER = (Softening.paper_v3, Softening.paper_v6)


class Softened(Kind):
    """A softening; None is the default one."""

    def check(self, name: str, value: Any) -> Softening:
        return Softening.checked(value)

    def code(self, value: Any) -> str:
        return expression.of_softening(value)

    def setting(self, value: Any) -> str:
        return self.code(value)

    def write(self, value: Any, size: int | None) -> dict[str, Any]:
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        fields |= {"factors": dict(value.factors), "kinds": dict(value.kinds)}
        first = {name: fields[name] for name in expression.ALWAYS}
        return first if Softened.read(self, first, []) == value else fields

    def read(self, written: Any, notes: list[str]) -> Softening:
        if set(written) <= set(expression.ALWAYS):
            # Recipes had these fields when ReLU was all that was softened; a preset is a preset.
            t = written["temperature"]
            for preset in [Softening.hard(), *(make(t) for make in PAPER if t > 0)]:
                if all(getattr(preset, name) == value for name, value in written.items()):
                    return preset
        return Softening(**written)


class Softenings(Softened):
    """Several softenings; one is as good as a list of one."""

    def check(self, name: str, value: Any) -> tuple[Softening, ...]:  # type: ignore[override]
        given = value if isinstance(value, list | tuple) else [value]
        return tuple(map(Softening.checked, given))

    def code(self, value: Any) -> str:
        return f"[{', '.join(map(expression.of_softening, value))}]"

    def write(self, value: Any, size: int | None) -> list[Any]:  # type: ignore[override]
        return [super(Softenings, self).write(one, size) for one in value]

    def read(self, written: Any, notes: list[str]) -> tuple[Any, ...]:  # type: ignore[override]
        return tuple(super(Softenings, self).read(one, notes) for one in written)


_TARGETS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Logit, Rivals, Channel, Unit, Region, Direction, Difference)
}


class Aimed(Kind):
    """A target, class index or class name."""

    def check(self, name: str, value: Any) -> Any:
        as_target(value)  # raises for anything else
        return value

    def code(self, value: Any) -> str:
        return expression.of_target(as_target(value))

    def setting(self, value: Any) -> str:
        return self.code(value)

    def write(self, value: Any, size: int | None) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, numbers.Integral):
            return int(value)
        kind = type(value).__name__
        if _TARGETS.get(kind) is not type(value):
            raise TypeError(
                f"The target is a {kind}, which no recipe can hold; choose a class, or a "
                f"{KINDS_IN_WORDS}."
            )
        if isinstance(value, Difference):
            first, second = (
                Aimed.write(self, as_target(one), size) for one in (value.first, value.second)
            )
            return {"kind": kind, "first": first, "second": second}
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        for name, tensor in fields.items():
            if isinstance(tensor, torch.Tensor):
                kept = {name: tensor.tolist(), "dtype": str(tensor.dtype).removeprefix("torch.")}
                return {"kind": kind, **fields, **kept}
        return {"kind": kind, **fields}

    def read(self, written: Any, notes: list[str]) -> Target | int | str:
        if not isinstance(written, Mapping):
            known: int | str = written
            return known
        fields = {name: value for name, value in written.items() if name != "kind"}
        if written["kind"] == "Difference":
            fields = {name: Aimed.read(self, value, notes) for name, value in fields.items()}
        if "dtype" in fields:  # of the one that is a tensor
            name = "vector" if written["kind"] == "Direction" else "mask"
            fields[name] = _tensor(fields[name], fields.pop("dtype"))
        target: Target = _TARGETS[written["kind"]](**fields)
        return target


class Targets(Aimed):
    """Several targets; one is as good as a list of one."""

    def check(self, name: str, value: Any) -> list[Any]:
        given = value if isinstance(value, list | tuple) else [value]
        return [super(Targets, self).check(name, one) for one in given]

    def code(self, value: Any) -> str:
        return f"[{', '.join(super(Targets, self).code(one) for one in value)}]"

    def setting(self, value: Any) -> list[str]:  # type: ignore[override]
        return [super(Targets, self).code(one) for one in value]

    def write(self, value: Any, size: int | None) -> list[Any]:
        return [super(Targets, self).write(one, size) for one in value]

    def read(self, written: Any, notes: list[str]) -> list[Any]:  # type: ignore[override]
        return [super(Targets, self).read(one, notes) for one in written]


class Image(Kind):
    """One image: what ``Session`` takes."""

    variable = True

    def opened(self, value: Any) -> Any:
        return first_file(value) if is_folder(value) else value

    def check(self, name: str, value: Any) -> Any:
        if value is None:
            self.verify(value)  # raises with the reason
        return value

    def verify(self, value: Any) -> None:
        to_tensor(value, 32, None)  # raises ImageError with the reason

    def code(self, value: Any) -> str:
        text = expression.of_image(value)
        return f"{text}  # your image" if text == "..." else text

    def setting(self, value: Any) -> str:
        return image_name(value) or "a photograph"

    def write(self, value: Any, size: int | None) -> dict[str, Any]:
        if isinstance(value, str) and value in SAMPLES:
            return {"sample": value}
        written: dict[str, Any] = {}
        if isinstance(value, str | Path):
            path = Path(value).expanduser().resolve()
            written = {"file": str(path), "sha256": _digest(path)}
        elif name := getattr(value, "filename", ""):
            written = {"name": Path(name).name}
        if size is not None:
            written |= packed_image(to_tensor(value, size, None))
        return written

    def read(self, written: Any, notes: list[str]) -> Any:
        if "sample" in written:
            return _sample(written["sample"])
        lost = "The image came from no file"
        if "file" in written:
            path = Path(written["file"])
            if _is_photograph(path) and _digest(path) == written["sha256"]:
                return str(path)
            what = "is not the file it was" if path.is_file() else "is not here"
            lost = f"The photograph {path.name} {what}"
            notes.append(f"{lost}; its pixels come from the recipe.")
        if not {"png", "npz"} & written.keys():
            raise ValueError(
                f"{lost}, and its pixels were not stored in the recipe (of an NPZ they are the "
                "array 'image'); give it: pw.open_recipe(recipe, image=...)."
            )
        image = unpacked_image(written)
        if "name" in written:
            image.filename = Path(str(written["name"])).name  # type: ignore[attr-defined]  # as Pillow calls it
        return image


class Images(Image):
    """Several images: a list or a mapping of such, one, or a folder."""

    def opened(self, value: Any) -> Any:
        return value

    def check(self, name: str, value: Any) -> Any:
        if is_folder(value):  # the same object where it can be: it tells what has changed
            return value if "~" not in str(value) else str(Path(value).expanduser())
        return super().check(name, value)

    def verify(self, value: Any) -> None:
        found = photographs(value)  # raises where there are none
        if not is_folder(value):
            for image in found.values():
                to_tensor(image, 32, None)

    def code(self, value: Any) -> str:
        if is_folder(value):
            return expression.of_image(value)
        if isinstance(value, Mapping):
            pairs = (f"{str(name)!r}: {expression.of_image(one)}" for name, one in value.items())
            text = f"{{{', '.join(pairs)}}}"
        else:
            text = expression.of_images(photographs(value).values())
        return f"{text}  # your images" if "..." in text else text

    def setting(self, value: Any) -> list[str]:  # type: ignore[override]
        return list(photographs(value))

    def write(self, value: Any, size: int | None) -> Any:
        if is_folder(value):
            return {"folder": str(Path(value).expanduser().resolve())}
        if isinstance(value, Mapping):
            named = value.items()
            return {"named": {str(name): super(Images, self).write(i, size) for name, i in named}}
        return [super(Images, self).write(one, size) for one in photographs(value).values()]

    def read(self, written: Any, notes: list[str]) -> Any:
        if isinstance(written, list):
            return [super(Images, self).read(one, notes) for one in written]
        if "named" in written:
            named = written["named"].items()
            return {name: super(Images, self).read(one, notes) for name, one in named}
        if not Path(written["folder"]).is_dir():
            raise ValueError(
                f"The folder {written['folder']} is not here; give the images: "
                "pw.open_recipe(recipe, image=...)."
            )
        return written["folder"]


def _sample(name: Any) -> str:
    """The name of a sample; of a recipe, since a path would be opened in its place."""
    if not isinstance(name, str) or name not in SAMPLES:
        raise ValueError(
            f"The recipe names the sample photograph {str(name)[:80]!r}, and there are "
            f"{', '.join(SAMPLES)}; give it: pw.open_recipe(recipe, image=...)."
        )
    return name


def _tensor(values: Any, dtype: Any) -> torch.Tensor:
    """A tensor that a recipe holds as a list and the name of its type."""
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else None
    if not isinstance(kind, torch.dtype):
        raise TypeError(f"{str(dtype)[:80]!r} is no type of torch's")
    try:
        return torch.tensor(values, dtype=kind)
    except (ValueError, RuntimeError) as error:
        raise TypeError(f"the numbers of a target are none: {error}") from error


def _is_photograph(path: Path) -> bool:
    """Whether a file may be a photograph; what is said to be one may be anything on the disk."""
    return path.is_file() and 0 < path.stat().st_size <= MOST_BYTES


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
