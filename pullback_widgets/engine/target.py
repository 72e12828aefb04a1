"""What is asked of the network: a scalar read off a logit or a hidden layer.

Every target is linear in the values of its layers (a maximum is linear around the image), so it is
fully described by one *seed* per layer: the gradient of the scalar with respect to the layer's
value, which is also what the backward pass starts from.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .. import checks

LOGITS = "logits"
"""Name under which the network's output stands among the layers."""


KINDS_IN_WORDS = "Logit, Rivals, Channel, Unit, Region, Direction or Difference"


class Term(NamedTuple):
    """One layer's share in a target: ``weight * <seed(value), value>``."""

    layer: str
    weight: float
    seed: Callable[[Tensor], Tensor]
    """From one image's value (C, ...) to the gradient of the scalar with respect to it."""


class Target:
    """A scalar of the network; ``a - b`` of two targets is their :class:`Difference`."""

    def terms(self) -> Iterator[Term]:
        """The layers that the scalar is read from."""
        raise NotImplementedError

    def __sub__(self, other: Target | int | str) -> Difference:
        return Difference(self, other)


@dataclass(frozen=True)
class Logit(Target):
    """The logit of a class.

    Attributes:
        label: Class index, or its name.
    """

    label: int | str

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) and not checks.is_whole(self.label):
            raise TypeError(
                f"Logit got {self.label!r}; expected a class index such as 497 or a class name."
            )
        if not isinstance(self.label, str):
            object.__setattr__(self, "label", int(self.label))

    def terms(self) -> Iterator[Term]:
        if isinstance(self.label, str):
            raise TypeError(f"The class name {self.label!r} needs a network to be looked up in.")
        yield Term(LOGITS, 1.0, self._seed)

    def _seed(self, value: Tensor) -> Tensor:
        if value.dim() != 1:
            raise ValueError(
                f"The network's output has the shape (N, {', '.join(map(str, value.shape))}), a "
                f"map and no classes, and the target is class {self.label}; give "
                f'pw.Channel("logits", {self.label}) for the mean over its places, or '
                f'pw.Unit("logits", {self.label}, (y, x)) for one place.'
            )
        return _one_hot(value, self.label, None, "class")


@dataclass(frozen=True)
class Rivals(Target):
    """A class against its rivals.

    Its logit minus the softmax-weighted mean of the strongest other logits. What a class has in
    common with its rivals cancels. The weights are those at the image, and constant.

    Attributes:
        label: Class index, or its name.
        count: How many other classes, the strongest first; as many as there are if there are fewer.
    """

    label: int | str
    count: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", Logit(self.label).label)
        object.__setattr__(self, "count", checks.whole("count", self.count, least=1))

    def terms(self) -> Iterator[Term]:
        yield Term(LOGITS, 1.0, self._seed)

    def _seed(self, value: Tensor) -> Tensor:
        (own,) = Logit(self.label).terms()
        seed = own.seed(value)
        if len(value) == 1:
            raise ValueError("The network has one output, which has no rivals; give its Logit.")
        label = int(self.label)
        others = value.clone()
        others[label] = -torch.inf
        strongest = others.topk(min(self.count, len(value) - 1))
        seed[strongest.indices] = -strongest.values.softmax(0)
        return seed


@dataclass(frozen=True)
class Channel(Target):
    """A channel of a layer, reduced over positions.

    Attributes:
        layer: Dotted layer name; ``"logits"`` for the output, such as a map (K, H, W).
        channel: Index of the channel (the first dimension after the batch).
        reduce: ``"mean"`` over positions, or ``"max"``.
    """

    layer: str
    channel: int
    reduce: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        if self.reduce not in ("mean", "max"):
            raise ValueError(f'reduce is {self.reduce!r}; expected "mean" or "max".')
        object.__setattr__(self, "channel", checks.whole("channel", self.channel, least=0))

    def terms(self) -> Iterator[Term]:
        yield Term(self.layer, 1.0, self._seed)

    def _seed(self, value: Tensor) -> Tensor:
        _check_channel(value, self.channel, self.layer)
        seed = torch.zeros_like(value)
        plane = value[self.channel]
        if self.reduce == "mean":
            seed[self.channel] = 1.0 / plane.numel()
        else:
            largest = plane.reshape(1, -1).argmax(1)  # an index that no one has to read
            seed[self.channel].view(-1).scatter_(0, largest, 1.0)
        return seed


@dataclass(frozen=True)
class Unit(Target):
    """One unit of a layer: a channel at one position.

    Attributes:
        layer: Dotted layer name; ``"logits"`` for the output, such as a map (K, H, W).
        channel: Index of the channel.
        position: ``(y, x)`` in the layer's own grid; of tokens ``(n,)``, or row and column of the
            patch that a token stands for. Leave out for layers without positions.
    """

    layer: str
    channel: int
    position: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", checks.whole("channel", self.channel, least=0))
        object.__setattr__(self, "position", _as_position(self.position))

    def terms(self) -> Iterator[Term]:
        yield Term(
            self.layer, 1.0, lambda value: _one_hot(value, self.channel, self.position, self.layer)
        )


@dataclass(frozen=True, eq=False)
class Region(Target):
    """The mean of a channel over a part of its map, such as an object that was segmented.

    Attributes:
        layer: Dotted layer name; ``"logits"`` for the output, such as a map (K, H, W).
        channel: Index of the channel.
        box: ``(top, left, bottom, right)`` in the layer's own grid, bottom and right not
            included.
        mask: Instead of a box: the places, of the grid's shape, true or false; or their weights,
            from 0 up, of which the mean is weighted.
    """

    layer: str
    channel: int
    box: tuple[int, int, int, int] | None = None
    mask: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", checks.whole("channel", self.channel, least=0))
        if (self.box is None) == (self.mask is None):
            raise ValueError("Region got both or none of box and mask; expected one of them.")
        if self.box is not None:
            box = _as_position(self.box) or ()
            if len(box) != 4 or box[0] >= box[2] or box[1] >= box[3]:
                raise ValueError(
                    f"box is {self.box!r}; expected (top, left, bottom, right), four whole numbers "
                    "from 0 up, top less than bottom and left less than right."
                )
            object.__setattr__(self, "box", box)
        else:
            mask = torch.as_tensor(self.mask).detach().clone()
            if mask.is_complex() or not bool((mask >= 0).all()) or not bool((mask > 0).any()):
                raise ValueError(
                    f"mask has shape {tuple(mask.shape)} and type {mask.dtype}; expected true and "
                    "false, or weights from 0 up, of which at least one is not 0."
                )
            object.__setattr__(self, "mask", mask)

    def terms(self) -> Iterator[Term]:
        yield Term(self.layer, 1.0, self._seed)

    def _seed(self, value: Tensor) -> Tensor:
        _check_channel(value, self.channel, self.layer)
        seed = torch.zeros_like(value)
        plane = seed[self.channel]
        grid = tuple(plane.shape)
        if self.mask is not None:
            if tuple(self.mask.shape) != grid:
                raise ValueError(
                    f"The mask has the shape {tuple(self.mask.shape)} and layer {self.layer!r} the "
                    f"grid {grid}; give a mask of this shape."
                )
            plane.copy_(self.mask.to(plane))
        else:
            assert self.box is not None
            top, left, bottom, right = self.box
            if len(grid) != 2 or bottom > grid[0] or right > grid[1]:
                raise ValueError(
                    f"The box {self.box} does not fit layer {self.layer!r}, whose grid is {grid}."
                )
            plane[top:bottom, left:right] = 1.0
        plane /= plane.sum()
        return seed


@dataclass(frozen=True, eq=False)
class Direction(Target):
    """A direction in a layer's channel space: ``<vector, value>`` at a position, or its mean.

    Attributes:
        layer: Dotted layer name; ``"logits"`` for the output, such as an embedding.
        vector: One weight per channel, shape (C,).
        position: ``(y, x)``; without it the mean over all positions.
        name: What captions call it, such as the text whose embedding it is.
    """

    layer: str
    vector: Any
    position: tuple[int, ...] | None = None
    name: str = "a direction"

    def __post_init__(self) -> None:
        vector = torch.as_tensor(self.vector).detach().clone()
        if vector.dim() != 1 or vector.is_complex() or vector.dtype == torch.bool:
            raise ValueError(
                f"The vector of a Direction has shape {tuple(vector.shape)} and type "
                f"{vector.dtype}; expected one real number per channel, shape (C,)."
            )
        if not bool(torch.isfinite(vector).all()):
            raise ValueError(
                "The vector of a Direction holds NaN or infinite values; expected finite numbers."
            )
        if not isinstance(self.name, str):
            raise TypeError(f"name is {self.name!r}; expected a text.")
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "position", _as_position(self.position))

    def terms(self) -> Iterator[Term]:
        yield Term(self.layer, 1.0, self._seed)

    def _seed(self, value: Tensor) -> Tensor:
        if len(self.vector) != value.shape[0]:
            raise ValueError(
                f"The vector has {len(self.vector)} entries, but layer {self.layer!r} has "
                f"{value.shape[0]} channels; give one entry per channel."
            )
        vector = self.vector.to(value)
        seed = torch.zeros_like(value)
        if self.position is None:
            positions = value[0].numel()
            seed += vector.view(-1, *[1] * (value.dim() - 1)) / positions
        else:
            _check_position(value, self.position, self.layer)
            index: tuple[Any, ...] = (slice(None), *self.position)
            seed[index] = vector
        return seed


@dataclass(frozen=True, eq=False)
class Difference(Target):
    """The first target minus the second, for instance one class against another.

    Attributes:
        first: A target, class index or class name.
        second: Likewise.
    """

    first: Target | int | str
    second: Target | int | str

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", as_target(self.first))
        object.__setattr__(self, "second", as_target(self.second))

    def terms(self) -> Iterator[Term]:
        yield from as_target(self.first).terms()
        for term in as_target(self.second).terms():
            yield term._replace(weight=-term.weight)


def as_target(value: object) -> Target:
    """A target from what users write: a target, a class index or a class name.

    The name may be two with a comma between them, which is their difference; that is told apart
    where the network's names are known, in ``session.with_indices``.

    Raises:
        TypeError: For anything else.
    """
    if isinstance(value, Target):
        return value
    if isinstance(value, str) or checks.is_whole(value):
        return Logit(value)
    raise TypeError(
        f"The target is {value!r} ({type(value).__name__}); expected a class index, a class name, "
        f"or a {KINDS_IN_WORDS}."
    )


def same_target(first: Target, second: Target) -> bool:
    """Whether two targets ask for the same; those with tensors only if they are the same object."""
    if isinstance(first, Difference) and isinstance(second, Difference):
        return same_target(as_target(first.first), as_target(second.first)) and same_target(
            as_target(first.second), as_target(second.second)
        )
    return first is second or (
        type(first) is type(second)
        and isinstance(first, Logit | Rivals | Channel | Unit)
        and first == second
    )


def _as_position(position: Sequence[int] | int | None) -> tuple[int, ...] | None:
    if position is None:
        return None
    try:
        indices = (
            (position,) if isinstance(position, numbers.Integral) else tuple(position)  # type: ignore[arg-type]
        )
    except TypeError:
        raise ValueError(
            f"position is {position!r}; expected (y, x), two whole numbers from 0 up."
        ) from None
    return tuple(checks.whole("position", index, least=0) for index in indices)


def _check_channel(value: Tensor, channel: int, layer: str) -> None:
    if not 0 <= channel < value.shape[0]:
        noun = "classes" if layer == "class" else f"channels in layer {layer!r}"
        raise ValueError(
            f"Index {channel} is out of range: there are {value.shape[0]} {noun}; "
            f"choose 0 to {value.shape[0] - 1}."
        )


def _check_position(value: Tensor, position: tuple[int, ...], layer: str) -> None:
    grid = tuple(value.shape[1:])
    if len(position) != len(grid) or any(i >= n for i, n in zip(position, grid, strict=True)):
        raise ValueError(
            f"Position {position} does not fit layer {layer!r}, whose grid is {grid}; "
            f"give {len(grid)} indices inside it."
        )


def _one_hot(value: Tensor, channel: Any, position: tuple[int, ...] | None, layer: str) -> Tensor:
    _check_channel(value, channel, layer)
    _check_position(value, position or (), layer)
    seed = torch.zeros_like(value)
    index = (channel, *(position or ()))
    seed[index] = 1.0
    return seed
