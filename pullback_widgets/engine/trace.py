"""What a forward pass leaves behind: the values of its layers, its gates, and what was cut.

Global module hooks tell which layer is running; the modules themselves are not touched. What a
network is about to overwrite is copied where a gate or a target still needs it.
"""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from .axes import FIRST, Axes
from .eager import is_compiled, may_be_compiled
from .gate import Gate, GateKey, Kept
from .heads import Heads
from .inside import named_modules_inside
from .layer import HEADS, Layer
from .pool import Pool
from .precision import without_autocast

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.Threshold,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Sigmoid,
    nn.Tanh,
    nn.Hardswish,
    nn.Hardsigmoid,
)
"""Modules whose units mean the value that enters them: the pre-activation."""

FUSED = ("BatchNormAct2d", "SyncBatchNormAct", "FrozenBatchNormAct2d")
"""timm's batch norms with the activation inside: their units mean what enters that activation."""


_NUMBERS = frozenset(
    {
        Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__bool__,
        Tensor.__float__, Tensor.__int__, Tensor.__index__, torch.equal, torch.allclose,
    }
)  # fmt: skip
"""Calls that return no tensor, but what stands in one."""

_CONSTANTS = frozenset(
    {
        "empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros",
        "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like",
    }
)  # fmt: skip
"""Calls that only take the shape and type of a tensor."""


TELLING = frozenset(
    {
        Tensor.shape.__get__, Tensor.ndim.__get__, Tensor.dtype.__get__,  # type: ignore[attr-defined]
        Tensor.device.__get__, Tensor.requires_grad.__get__,  # type: ignore[attr-defined]
        Tensor.size, Tensor.dim, Tensor.__len__, Tensor.is_floating_point, torch._assert,
    }
)  # fmt: skip
"""Calls that say what a tensor is like and return none; a network makes very many."""

_WRITING = frozenset(
    {
        Tensor.__setitem__, Tensor.copy_, Tensor.zero_, Tensor.fill_, Tensor.neg_,
        Tensor.add_, Tensor.sub_, Tensor.__iadd__, Tensor.__isub__,
    }
)  # fmt: skip
"""Calls that change a tensor, perhaps a part of another, and are linear."""


LINEAR = "pullback_widgets: linear"
"""What is noted at nodes of autograd's graph that hide a linear change of a part of a tensor."""


class Stop(BaseException):
    """The layer that was asked for is reached; not an Exception, so that no network swallows it."""


@dataclass(slots=True)
class Entry:
    """The value of one layer call, as it was when the layer ran.

    The tensor is None if the network has overwritten it since and no copy was kept.
    """

    layer: Layer
    tensor: Tensor | None
    """None also where the value is kept by none but the network."""
    gate: Gate | None = None
    """The activation that this value enters, if one takes it directly."""
    axis: int = FIRST
    """Where the value has its channels."""
    seen: weakref.ref[Tensor] | None = None
    """The value as long as anything else keeps it."""

    def value(self) -> Tensor | None:
        return self.seen() if self.tensor is None and self.seen is not None else self.tensor


@dataclass(slots=True)
class HeadsEntry(Entry):
    """The heads of one call of attention, computed when they are asked for."""

    lengths: Callable[..., Tensor] = field(kw_only=True)
    sources: Sequence[Entry] = field(kw_only=True)
    """What they are computed from; as of any layer, it may be overwritten."""

    def value(self) -> Tensor | None:
        values = [one.tensor for one in self.sources if one.tensor is not None]
        if self.tensor is None and len(values) == len(self.sources):
            with (
                torch.inference_mode(False),
                torch.set_grad_enabled(any(one.requires_grad for one in values)),
                without_autocast(values[0]),
            ):
                self.tensor = self.lengths(*values)
        return self.tensor


class Running(NamedTuple):
    """A call of a module that has not ended.

    Attributes:
        name: Of the module.
        call: Of the call, told apart from earlier ones.
        apart: Whether it works on weights alone, or runs in a module that does; it is no layer.
    """

    name: str
    call: str
    apart: bool


@dataclass
class Trace:
    """What one forward pass leaves behind."""

    keep: bool = False
    """Whether values are copied before anything but a gate overwrites them."""
    spare: bool = False
    """Whether values are let go that no gate needs."""
    looked_at: Set[str] = frozenset()
    """Layers whose values stay nevertheless."""
    entries: dict[str, Entry] = field(default_factory=dict)
    # Pre-activations and outputs by storage, so that they are rescued before being overwritten.
    by_storage: dict[int, list[Entry]] = field(default_factory=dict)
    # Likewise what gates will need.
    kept: dict[int, list[Kept]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    gates: list[Gate | Pool] = field(default_factory=list)
    # Operations of which a part may be held constant.
    held: list[Any] = field(default_factory=list)
    axes: Axes = field(default_factory=Axes)
    images: int = 1
    """How many images the batch holds."""
    tokens: int | None = None
    """How many tokens the last layer of tokens has; None before any."""
    # Operations on what has a gradient whose results have none, by name.
    cut: Counter[str] = field(default_factory=Counter)
    stack: list[Running] = field(default_factory=list)
    """The modules that run."""
    awaited: set[str] | None = None
    """The layers after which the forward pass stops; None if it goes on to its end."""

    def enter(self, name: str, apart: bool) -> Running:
        """A module starts."""
        turn = self.calls[name] = self.calls.get(name, 0) + 1
        call = name if turn == 1 else f"{name}:{turn}"
        apart = apart or bool(self.stack and self.stack[-1].apart)
        self.stack.append(Running(name, call, apart))
        return self.stack[-1]

    def leave(self, name: str) -> Running | None:
        """A module ends. Calls that raised are dropped."""
        while self.stack:
            running = self.stack.pop()
            if running.name == name:
                return running
        return None

    def next_gate(self, channels: int) -> GateKey:
        return GateKey(len(self.gates) + 1, channels, self.path)

    @property
    def path(self) -> str:
        """The layer that runs; empty where layers are not noted."""
        return self.stack[-1].call if self.stack else ""

    def note(self, name: str, kind: str, tensor: Tensor) -> None:
        axis, whole = self.axes.get(tensor), tensor.shape
        shape = shape_of_one(whole, axis, self.images)
        windows = len(whole) > 1 and whole[0] != self.images
        if len(shape) == 2:
            self.tokens = shape[1]
        wanted = name in self.looked_at or (self.awaited and name in self.awaited)
        spare = self.spare and not wanted
        self.entries[name] = self._entry(Layer(name, kind, shape, windows), tensor, axis, spare)

    def _entry(self, layer: Layer, tensor: Tensor, axis: int = FIRST, spare: bool = False) -> Entry:
        entry = Entry(layer, None if spare else tensor, axis=axis, seen=weakref.ref(tensor))
        self.by_storage.setdefault(_storage(tensor), []).append(entry)
        return entry

    def note_heads(self, found: Heads) -> None:
        """Note the heads of a call of attention as a layer beside that of the module it is in."""
        running = self.stack[-1] if self.stack else None
        if running is None or running.apart or found.shape[0] % self.images:
            return
        first = name = f"{running.call}:{HEADS}"
        turn = 1
        while name in self.entries:
            turn += 1
            name = f"{first}:{turn}"
        layer = Layer(
            name, "Heads", shape_of_one(found.shape, FIRST, self.images),
            found.shape[0] != self.images,
        )  # fmt: skip
        sources = [self._entry(layer, one) for one in found.sources]
        self.entries[name] = HeadsEntry(layer, None, lengths=found.lengths, sources=sources)
        self.reach(name)

    def reach(self, name: str) -> None:
        """A layer is noted; the forward pass stops behind the last one awaited."""
        if self.awaited is not None:
            self.awaited.discard(name)
            if not self.awaited:
                raise Stop

    def note_cut(self, func: Callable[..., Any], args: tuple[Any, ...], out: Any) -> None:
        """Note an operation whose result depends on the image and has no gradient."""
        if isinstance(out, Tensor):
            if out.requires_grad or func.__name__ in _CONSTANTS:
                return
        elif isinstance(out, tuple):
            if all(not isinstance(one, Tensor) or one.requires_grad for one in out):
                return
        elif func not in _NUMBERS:
            return
        if self.stack and self.stack[-1].apart:
            return
        inputs = [one for arg in args for one in (arg if isinstance(arg, list | tuple) else [arg])]
        if any(
            isinstance(one, Tensor) and one.requires_grad and not isinstance(one, nn.Parameter)
            for one in inputs
        ):
            name = func.__name__.strip("_")
            name = "value read out" if func in _NUMBERS or name == "get" else name
            if torch.is_inference_mode_enabled():
                name += " under torch.inference_mode"
            elif not torch.is_grad_enabled():
                name += " under torch.no_grad"
            self.cut[name] += 1

    def enters(self, tensor: Tensor, gate: Gate) -> None:
        """Note that a layer's value goes into a rectifier."""
        for entry in self.by_storage.get(_storage(tensor), ()):
            if entry.value() is tensor:
                entry.gate, entry.tensor = gate, tensor

    def keep_for_backward(self, tensor: Tensor) -> Kept:
        """A value as it is now, for the backward pass of a gate."""
        kept = Kept(tensor)
        self.kept.setdefault(_storage(tensor), []).append(kept)
        return kept

    def rescue(self, tensor: Tensor, by_gate: bool) -> Tensor | None:
        """Before ``tensor`` is overwritten: copies for gates and layers whose value it holds.

        A gate needs its input anyway; for anything else copies are made only if ``keep`` is set.
        The copy of ``tensor`` itself, without its graph, is returned if one was made.
        """
        for kept_value in self.kept.pop(_storage(tensor), ()):
            kept_value.copy()
        copies: dict[int, Tensor | None] = {}
        for entry in self.by_storage.pop(_storage(tensor), ()):
            value = entry.tensor
            if value is not None and id(value) not in copies:
                copies[id(value)] = value.clone() if by_gate or self.keep else None
            entry.tensor, entry.seen = copies.get(id(value)), None
        copy = copies.get(id(tensor))
        return None if copy is None else copy.detach()


@contextmanager
def layer_hooks(module: nn.Module, trace: Trace, until: set[str]) -> Iterator[None]:
    """Note every layer of ``module`` that runs in this thread, and leave it as it is.

    A layer's value is what the network goes on with. Torch runs hooks for all modules before those
    of a module itself, so where it has any, ours stands behind them while this lasts. Wrappers of
    ``torch.compile`` complain of hooks for all modules, so there each has its own.
    """
    children = named_modules_inside(module)
    compiled = may_be_compiled() and any(map(is_compiled, children.values()))
    if compiled:
        children = {
            name.replace("_orig_mod.", "").removesuffix("_orig_mod").removesuffix("."): child
            for name, child in children.items()
            if not is_compiled(child)
        }
    names: dict[int, str] = {}
    with_pre_hooks: dict[int, nn.Module] = {}
    with_hooks: dict[int, nn.Module] = {}
    buffers: set[int] = set()
    for name, one in children.items():
        names[id(one)] = name
        if compiled or one._forward_pre_hooks:
            with_pre_hooks[id(one)] = one
        if compiled or one._forward_hooks:
            with_hooks[id(one)] = one
        if one._buffers:
            buffers.update(map(id, one._buffers.values()))
    thread = threading.get_ident()
    trace.awaited = set(until) or None

    def note(name: str, child: nn.Module, tensor: object) -> None:
        if not isinstance(tensor, Tensor) or is_transformed():
            return
        with torch._C.DisableTorchFunction():
            shape = tensor.shape
            if shape and shape[0] % trace.images == 0 and tensor.is_floating_point():
                trace.note(name, type(child).__name__, tensor)
                trace.reach(name)

    def before(child: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != thread or id(child) not in names:
            return
        apart = _only_weights(args, buffers) if args else _takes_nothing(type(child).forward)
        running = trace.enter(names[id(child)], apart)
        if isinstance(child, ACTIVATIONS) and args and not running.apart:
            note(running.call, child, args[0])

    def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != thread or id(child) not in names:
            return
        running = trace.leave(names[id(child)])
        if running is None or running.apart or not running.name or isinstance(child, ACTIVATIONS):
            return
        name = running.call
        if type(child).__name__ in FUSED:
            # The fused activation ran just before; its input is this layer's pre-activation.
            inner = next(reversed(trace.entries), "")
            if inner.startswith(f"{name.partition(':')[0]}."):
                entry = trace.entries[inner]
                if entry.value() is None:
                    trace.entries[name] = Entry(
                        entry.layer._replace(name=name, kind=type(child).__name__), None
                    )
                output = entry.value()
        note(name, child, output)

    def before_any(child: nn.Module, args: tuple[Any, ...]) -> None:
        if id(child) not in with_pre_hooks:
            before(child, args)

    def after_any(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if id(child) not in with_hooks:
            after(child, args, output)

    handles: list[RemovableHandle] = []
    try:
        handles += [one.register_forward_pre_hook(before) for one in with_pre_hooks.values()]
        handles += [one.register_forward_hook(after) for one in with_hooks.values()]
        if not compiled:
            handles.append(register_module_forward_pre_hook(before_any))
            handles.append(register_module_forward_hook(after_any))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _only_weights(args: tuple[Any, ...], buffers: set[int]) -> bool:
    """Whether arguments hold nothing of the image: a module may make weights of other weights."""
    for one in args:
        if type(one) is Tensor:  # which is asked first because it is most common, and fast
            if id(one) not in buffers:
                return False
        elif one is not None and not isinstance(one, nn.Parameter | int | float | str):
            return False
    return True


@functools.cache
def _takes_nothing(forward: Callable[..., Any]) -> bool:
    """Whether a class's forward has no arguments; a call without any may have them by name."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        return False
    return len(parameters) == 1 and parameters[0].kind is parameters[0].POSITIONAL_OR_KEYWORD


def channels_first(tensor: Tensor, axis: int, images: int) -> Tensor:
    """A value of shape (N, C, positions ...): a view, or the value itself where it is so already.

    Windows that stand in the batch, as attention in windows has them, become positions.
    """
    if tensor.dim() < 2:
        return tensor
    if len(tensor) != images and len(tensor) % images == 0:
        tensor, axis = tensor.unflatten(0, (images, -1)), axis + 1
    return tensor if axis == FIRST else tensor.movedim(axis, FIRST)


_interpreters = torch._C._functorch.peek_interpreter_stack


def is_transformed() -> bool:
    """Whether ``torch.func`` or ``torch.vmap`` runs: tensors there are of its own kind."""
    return _interpreters() is not None


def note_written(func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Note a linear change of a part of a tensor at its node, which hides what the change was."""
    if func in _WRITING and args and isinstance(args[0], Tensor):
        base = args[0] if args[0]._base is None else args[0]._base
        if type(base.grad_fn).__name__ == "CopySlices":
            node: Any = base.grad_fn
            node.metadata[LINEAR] = True


def shape_of_one(whole: Sequence[int], axis: int, images: int) -> tuple[int, ...]:
    """The shape of ``channels_first`` without the images, several times faster."""
    if axis == FIRST and whole[0] == images:
        return tuple(whole[1:])
    shape = list(whole)
    if len(shape) > 1:
        if shape[0] != images and shape[0] % images == 0:
            shape[:1], axis = [images, shape[0] // images], axis + 1
        shape.insert(FIRST, shape.pop(axis))
    return tuple(shape[1:])


def _storage(tensor: Tensor) -> int:
    """Where a tensor's storage begins, without an object of torch's for it, which would stay."""
    offset = int(tensor.storage_offset()) * tensor.element_size()
    return tensor.data_ptr() - offset


@functools.cache
def _in_place_position(func: Callable[..., Any]) -> int | None:
    """Where a function of torch.nn.functional takes its ``inplace`` flag."""
    if getattr(func, "__module__", "") != F.__name__:
        return None
    try:
        parameters = list(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return None
    return parameters.index("inplace") if "inplace" in parameters else None


_REBINDING = {
    "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__",
    "__iand__", "__ior__", "__ixor__", "__ilshift__", "__irshift__", "__setitem__",
}  # fmt: skip


def may_overwrite(func: Callable[..., Any]) -> bool:
    """Whether a torch call may overwrite what it is given, not only by ``out``."""
    return _always_overwrites(func) or _in_place_position(func) is not None


@functools.cache
def _always_overwrites(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name in _REBINDING or (name.endswith("_") and not name.endswith("__"))


def overwritten_by(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Tensor | None:
    """The tensor whose memory a torch call is about to overwrite, if any."""
    target: Any = None
    if _always_overwrites(func):
        target = args[0] if args else kwargs.get("input")
    elif "out" in kwargs:
        target = kwargs["out"]
    else:
        position = _in_place_position(func)
        if kwargs.get("inplace") or (
            position is not None and len(args) > position and args[position]
        ):
            target = args[0] if args else kwargs.get("input")
    return target if isinstance(target, Tensor) else None
