"""What a choice of a teaching widget may be; see :mod:`pullback_widgets.figures.kinds`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .. import checks
from ..figures.kinds import Kind, OneOf, Whole
from ..figures.packing import packed_arrays, unpacked_arrays
from .data import Data, checked_data, source_of
from .toy import Points, checked_points
from .weights import LARGEST_SEED


class Flag(Kind):
    """Yes or no."""

    def check(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} is {value!r}; expected True or False.")
        return bool(value)


class Count(Whole):
    """How many of something there are, of which there is room for so many.

    Attributes:
        what: They are, for the error.
    """

    def __init__(self, most: int, what: str = "") -> None:
        super().__init__(1, most)
        self.what = what

    def check(self, name: str, value: Any) -> int:
        try:
            return super().check(name, value)
        except ValueError as error:
            expected = f"{self.least} to {self.most} {self.what}".strip()
            raise ValueError(f"{name} is {value!r}; expected {expected}.") from error


class Seed(Whole):
    """What decides all random numbers."""

    def __init__(self) -> None:
        super().__init__(0, LARGEST_SEED)


class Temperature(Kind):
    """A temperature, absolute; 0 is the hard gate."""

    def check(self, name: str, value: Any) -> float:
        return checks.not_negative(name, value)


class Shape(OneOf):
    """The shape of a soft gate."""

    def __init__(self) -> None:
        super().__init__(("sigmoid", "normal"))

    def check(self, name: str, value: Any) -> str:
        if value not in self.options:
            expected = " or ".join(map(repr, self.options))
            raise ValueError(f"{name} is {value!r}; expected {expected}.")
        return str(value)


class PreActivations(Kind):
    """Pre-activations of any shape; a recipe holds them as one row."""

    def verify(self, value: Any) -> None:
        checked_values(value)  # raises with the reason

    def code(self, value: Any) -> str:
        return "..."

    def setting(self, value: Any) -> str:
        return f"{len(checked_values(value))} of one's own"

    def write(self, value: Any, size: int | None) -> dict[str, str]:
        return packed_arrays(values=checked_values(value))

    def read(self, written: Any, notes: list[str]) -> NDArray[np.float64]:
        return unpacked_arrays(written)["values"]


class Place(Kind):
    """A place in the plane, two finite numbers."""

    def check(self, name: str, value: Any) -> tuple[float, float]:
        return checks.place(name, value)


class PlanePoints(Kind):
    """Points in the plane of two classes: a name, or places and labels.

    Attributes:
        reach: Places are from -reach to reach; None for anywhere.
    """

    def __init__(self, *, reach: float | None = None, optional: bool = False) -> None:
        super().__init__(optional=optional)
        self.reach = reach

    def check(self, name: str, value: Any) -> str | Points:
        points = checked_points(value)
        farthest = float(points.places.abs().max())
        if self.reach is not None and farthest > self.reach:
            raise ValueError(
                f"The points reach out to {farthest:.4g}; expected places from -{self.reach} to "
                f"{self.reach}, which is what the map shows: scale them."
            )
        return value if isinstance(value, str) else points

    def code(self, value: Any) -> str:
        return repr(value) if isinstance(value, str) else "..."

    def setting(self, value: Any) -> str:
        return value if isinstance(value, str) else f"{len(value.labels)} of one's own"

    def write(self, value: Any, size: int | None) -> Any:
        return value if isinstance(value, str) else packed_arrays(**value._asdict())

    def read(self, written: Any, notes: list[str]) -> str | Points:
        if isinstance(written, str):
            return written
        return Points(
            **{name: torch.from_numpy(one) for name, one in unpacked_arrays(written).items()}
        )


class PlaneNetwork(Kind):
    """A network of two inputs, a torch module."""

    variable = True

    def check(self, name: str, value: Any) -> nn.Module:
        if not isinstance(value, nn.Module):
            raise TypeError(
                f"{name} is {type(value).__name__}; expected a torch module from (N, 2) to (N, 1)."
            )
        return value

    def code(self, value: Any) -> str:
        return "...  # yours, or a RegionMap's: its result.network"

    def setting(self, value: Any) -> str:
        return type(value).__name__


class DataSet(Kind):
    """What a small network learns: a name, or a pair of images and labels, kept as it was given."""

    variable = True

    def verify(self, value: Any) -> None:
        # A data set that comes by name is read where it is learnt, off the main thread.
        if isinstance(value, str):
            source_of(value)
        else:
            checked_data(value)

    def code(self, value: Any) -> str:
        return repr(value) if isinstance(value, str) else "...  # your images and their labels"

    def setting(self, value: Any) -> str:
        return value if isinstance(value, str) else getattr(value, "name", "your data")

    def write(self, value: Any, size: int | None) -> Any:
        if isinstance(value, str):
            return value
        if isinstance(value, Data):
            arrays = {name: one for name, one in vars(value).items() if torch.is_tensor(one)}
            return {"name": value.name, "categories": value.categories, **packed_arrays(**arrays)}
        images, labels = map(torch.as_tensor, value)
        return packed_arrays(images=images.float(), labels=labels.long())

    def read(self, written: Any, notes: list[str]) -> Any:
        if isinstance(written, str):
            return written
        tensors = {name: torch.from_numpy(one) for name, one in unpacked_arrays(written).items()}
        if "name" not in written:
            return tensors["images"], tensors["labels"]
        return Data(name=written["name"], categories=tuple(written["categories"]), **tensors)


def checked_values(values: Any) -> NDArray[np.float64]:
    """Pre-activations as one row of numbers; standard normal ones for None.

    Raises:
        TypeError: If they are no numbers.
        ValueError: If there are none, or some are not finite.
    """
    if values is None:
        return np.random.default_rng(0).standard_normal(10_000)
    try:
        pool = torch.as_tensor(values, dtype=torch.float64).detach().cpu().numpy().ravel()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"The pre-activations are {type(values).__name__}; expected a tensor or array of "
            "numbers, such as session.activations(layer)."
        ) from error
    if not len(pool) or not np.isfinite(pool).all():
        raise ValueError(
            f"There are {len(pool)} pre-activations, {int((~np.isfinite(pool)).sum())} of them not "
            "finite; give finite numbers, such as session.activations(layer)."
        )
    return pool
