"""One forward pass, recorded: all gates soft behind it, all layers open to be a target.

The forward runs inside a ``TorchFunctionMode``, which sees every torch call of the network, written
as a module, a function or a method, and hands the gates among them to ``gate.py``. Global module
hooks tell which layer is running. The module itself is not touched.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import CheckpointError

from .gate import Gate, GateKey, Kept, Pool, Settings
from .layer import Layer, unknown_layer
from .model import Model
from .rectifier import find_max_pool, find_rectifier, may_be_gate
from .scale import ScaleMap, channel_deviation, follows_scale
from .softening import Softening
from .target import LOGITS, Target

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


class _Stop(BaseException):
    """The layer that was asked for is reached; not an Exception, so that no network swallows it."""


@dataclass
class _Entry:
    """The value of one layer call, as it was when the layer ran.

    The tensor is None if the network has overwritten it since and no copy was kept.
    """

    layer: Layer
    tensor: Tensor | None
    gate: Gate | None = None
    """The rectifier that this value enters, if one takes it directly."""


@dataclass
class _Trace:
    """What one forward pass leaves behind."""

    keep: bool = False
    """Whether values are copied before anything but a gate overwrites them."""
    entries: dict[str, _Entry] = field(default_factory=dict)
    # Pre-activations and outputs by storage, so that they are rescued before being overwritten.
    by_storage: dict[int, list[_Entry]] = field(default_factory=dict)
    # Likewise what gates will need.
    kept: dict[int, list[Kept]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    gates: list[Gate | Pool] = field(default_factory=list)
    # Operations on what has a gradient whose results have none, by name.
    cut: Counter[str] = field(default_factory=Counter)
    stack: list[tuple[str, str]] = field(default_factory=list)
    """The modules that run: name, and name of the call."""

    def enter(self, name: str) -> str:
        """A module starts; its name, told apart from earlier calls."""
        turn = self.calls[name] = self.calls.get(name, 0) + 1
        call = name if turn == 1 else f"{name}:{turn}"
        self.stack.append((name, call))
        return call

    def leave(self, name: str) -> str | None:
        """A module ends; the name that it had on entering. Calls that raised are dropped."""
        while self.stack:
            entered, call = self.stack.pop()
            if entered == name:
                return call
        return None

    def next_gate(self, channels: int) -> GateKey:
        path = self.stack[-1][1] if self.stack else ""
        return GateKey(len(self.gates) + 1, channels, path)

    def note(self, name: str, kind: str, tensor: Tensor) -> None:
        entry = _Entry(Layer(name, kind, tuple(tensor.shape[1:])), tensor)
        self.entries[name] = entry
        self.by_storage.setdefault(_storage(tensor), []).append(entry)

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
        inputs = [one for arg in args for one in (arg if isinstance(arg, list | tuple) else [arg])]
        if any(isinstance(one, Tensor) and one.requires_grad for one in inputs):
            name = func.__name__.strip("_")
            self.cut["value read out" if func in _NUMBERS or name == "get" else name] += 1

    def enters(self, tensor: Tensor, gate: Gate) -> None:
        """Note that a layer's value goes into a rectifier."""
        for entry in self.by_storage.get(_storage(tensor), ()):
            if entry.tensor is tensor:
                entry.gate = gate

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
            entry.tensor = copies.get(id(value))
        copy = copies.get(id(tensor))
        return None if copy is None else copy.detach()


class _Recorder(TorchFunctionMode):
    """Sees every torch call of the forward pass and puts soft gates behind the hard ones."""

    def __init__(
        self, trace: _Trace, settings: Settings, measured: dict[int, Tensor] | None
    ) -> None:
        super().__init__()
        self.trace = trace
        self.settings = settings
        self.measured = measured
        self.grad = torch.is_grad_enabled()
        self.scales = ScaleMap()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if not _matters(func) and "out" not in kwargs:
            out = func(*args, **kwargs)
            if self.grad:
                self.trace.note_cut(func, args, out)
            return out
        rectifier = find_rectifier(func, args, kwargs)
        if rectifier is not None:
            z = rectifier.z
            gate = Gate(
                self.trace.next_gate(z.shape[1] if z.dim() > 1 else 1),
                self.settings,
                func.__name__.strip("_"),
                functools.partial(func, *args, **kwargs),
                rectifier.own,
                rectifier.slope,
                self.scales.get(z),
                rectifier.in_place,
            )
            self.trace.gates.append(gate)
            if gate.scale is None and self.measured is not None:
                self.measured[gate.key.turn] = channel_deviation(z)
            self.trace.enters(z, gate)
            if gate.in_place:
                copy = self.trace.rescue(z, by_gate=True)
                if self.grad:
                    gate.input = Kept(z.detach().clone() if copy is None else copy)
            elif self.grad:
                gate.input = self.trace.keep_for_backward(z)
            out = gate(z)
            self.scales.put(out, gate.scale)
            return out
        found = find_max_pool(func, args, kwargs)
        if found is not None:
            channel_dim = found.x.dim() - len(found.kernel) - 1
            key = self.trace.next_gate(found.x.shape[channel_dim])
            pool = Pool(key, self.settings, *found[1:])
            self.trace.gates.append(pool)
            if self.measured is not None:
                self.measured[key.turn] = channel_deviation(found.x, channel_dim)
            if self.grad:
                pool.input = self.trace.keep_for_backward(found.x)
            out = pool(found.x)
            if self.grad:
                pool.output = self.trace.keep_for_backward(out)
            self.scales.put(out, self.scales.get(found.x))
            return (out, pool.indices) if pool.return_indices else out
        overwritten = _overwritten(func, args, kwargs)
        if overwritten is not None:
            self.trace.rescue(overwritten, by_gate=False)
        out = func(*args, **kwargs)
        if self.grad:
            self.trace.note_cut(func, args, out)
        self.scales.follow(func, args, kwargs, out)
        return out


class Recording:
    """One forward pass of a model over a batch, and any number of backward passes through it.

    Attributes:
        x: The images, (N, 3, H, W) in [-1, 1], on the model's device.
        logits: The network's output, (N, K) of a classifier; None if the forward was stopped at a
            layer.
    """

    def __init__(
        self,
        model: Model,
        x: Tensor,
        *,
        layers: bool = True,
        until: Collection[str] = (),
        grad: bool = True,
        measured: dict[int, Tensor] | None = None,
        scales_of: Model | None = None,
    ) -> None:
        """Run the forward pass.

        Args:
            model: The network.
            x: Images, (N, 3, H, W) in [-1, 1].
            layers: Whether layers may be targets, or have factors of their own.
            until: Names of layers after which nothing more is computed; all of them must be met.
            grad: Whether backward passes will follow.
            measured: Filled with the deviation of the channels entering gates of unknown scale.
            scales_of: The model whose calibration gives the scales; by default the network itself.

        Raises:
            ValueError: If a layer of ``until`` was not met, or the network returns no tensor.
            Exception: Whatever the network raises.
        """
        self.model = model
        self.logits: Tensor | None = None
        scales = _scale_lookup(scales_of or model, x.shape[-2], x.shape[-1])
        self._settings = Settings(Softening.hard(), scales)
        self._lock = threading.RLock()
        with torch.inference_mode(False):
            self.x = x.detach().to(model.device, model.dtype, copy=True).requires_grad_(grad)
        self._trace = _Trace()
        self._forward(set(until), measured, layers)
        missing = [name for name in until if name not in self._trace.entries]
        if missing:
            raise unknown_layer(missing[0], self._trace.entries)

    def _forward(
        self, until: set[str], measured: dict[int, Tensor] | None = None, layers: bool = True
    ) -> None:
        model = self.model
        noting = (
            _layer_hooks(model.module, self._trace, until) if layers else contextlib.nullcontext()
        )
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(self.x.requires_grad),
            model.evaluating(),
        ):
            recorder = _Recorder(self._trace, self._settings, measured)
            seen = model.normalise(self.x)
            try:
                with noting, recorder:
                    output = model.module(seen)
                self.logits = _logits_of(output)
            except _Stop:
                pass
        # What is left of the forward pass alone is not needed any more.
        self._trace.by_storage.clear()
        self._trace.kept.clear()

    @property
    def layers(self) -> list[Layer]:
        """The layers that ran, in forward order."""
        return [entry.layer for entry in self._trace.entries.values()]

    @property
    def gates(self) -> list[Gate | Pool]:
        """The gates that ran, in forward order."""
        return self._trace.gates

    @property
    def rectifiers(self) -> list[Gate]:
        """Those gates that are rectifiers, in forward order."""
        return [gate for gate in self.gates if isinstance(gate, Gate)]

    @property
    def cut(self) -> Counter[str]:
        """How many operations cut what depends on the image off the gradient, by name."""
        return self._trace.cut

    def value(self, layer: str) -> Tensor:
        """What a target reads: a layer's pre-activation or output, with its graph.

        Raises:
            ValueError: For a layer that did not run, with the nearest names.
        """
        if layer == LOGITS and self.logits is not None:
            if self.logits.dim() != 2:
                raise ValueError(
                    f"The network's output has shape {tuple(self.logits.shape)}; expected logits "
                    "(N, K). Choose a hidden layer, or wrap the network in a module whose forward "
                    "returns logits."
                )
            return self.logits
        if layer not in self._trace.entries:
            raise unknown_layer(layer, self._trace.entries)
        with self._lock:
            if self._trace.entries[layer].tensor is None:
                # The network overwrote it, as `out += identity` does. Copies of all such values
                # would slow every forward pass; this one is run again the first time one is asked
                # for, and keeps them all.
                self._trace = _Trace(keep=True)
                self._forward(set())
            tensor = self._trace.entries[layer].tensor
        assert tensor is not None
        return tensor

    def gate_scale(self, layer: str) -> Tensor | None:
        """Scale of the channels of a layer that feeds a rectifier, (C,); None for other layers."""
        entry = self._trace.entries.get(layer)
        if entry is None or entry.gate is None:
            return None
        return entry.gate.channel_scale()

    def last_gated(self) -> str | None:
        """The last layer whose value enters a rectifier."""
        gated = [name for name, entry in self._trace.entries.items() if entry.gate is not None]
        return gated[-1] if gated else None

    def pull(
        self,
        targets: Sequence[Target],
        softening: Softening,
        *,
        last: bool = False,
        states: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """One backward pass: the gradient of each image's target with respect to the image.

        Args:
            targets: One for each image, class names resolved.
            softening: How the gates on the way are softened.
            last: Whether no other pullback will follow, so that the graph is freed on the way.
            states: What rectifiers pass on instead, by their turn; see ``gate.Settings``.

        Returns:
            The pullbacks, same shape as ``x``.

        Raises:
            ValueError: For an unknown layer, or indices out of range.
        """
        seeds = self._seeds(targets)
        # A target that no gradient leads to, such as a constant layer, pulls back to zero.
        reached = [layer for layer in seeds if self.value(layer).requires_grad]
        with self._lock, torch.inference_mode(False):
            self._settings.softening, self._settings.last = softening, last
            self._settings.states = states
            pullback = None
            if reached:
                try:
                    (pullback,) = torch.autograd.grad(
                        [self.value(layer) for layer in reached],
                        self.x,
                        [seeds[layer] for layer in reached],
                        retain_graph=not last,
                        allow_unused=True,
                    )
                except CheckpointError as error:
                    raise RuntimeError(
                        "The network recomputes parts of its forward pass (gradient "
                        "checkpointing), where soft gates cannot be put in; switch that off, for "
                        "instance with memory_efficient=False."
                    ) from error
        return torch.zeros_like(self.x, requires_grad=False) if pullback is None else pullback

    def scores(self, targets: Sequence[Target]) -> Tensor:
        """The value of each image's target, (N,)."""
        scores = torch.zeros(len(targets), dtype=self.x.dtype, device=self.x.device)
        for n, target in enumerate(targets):
            for term in target.terms():
                value = self.value(term.layer).detach()[n]
                scores[n] += term.weight * (term.seed(value) * value).sum()
        return scores

    def _seeds(self, targets: Sequence[Target]) -> dict[str, Tensor]:
        """For each layer that targets read: the gradient of their sum by its value."""
        seeds: dict[str, Tensor] = {}
        for n, target in enumerate(targets):
            for term in target.terms():
                value = self.value(term.layer).detach()
                seed = seeds.setdefault(term.layer, torch.zeros_like(value))
                seed[n] += term.weight * term.seed(value[n])
        return seeds


def _scale_lookup(model: Model, height: int, width: int) -> Callable[[GateKey], Tensor]:
    """Where the gates of a recording find calibrated scales."""
    scales: Mapping[int, Tensor] | None = None  # measured on the first question

    def scale(key: GateKey) -> Tensor:
        nonlocal scales
        if scales is None:
            scales = calibrated_scales(model, height, width)
        found = scales.get(key.turn)
        if found is None or len(found) != key.channels:
            ran = "did not run" if found is None else f"had {len(found)} channels"
            raise RuntimeError(
                f"Gate {key.turn} of the network (in {key.path or 'its forward'!r}) {ran} on the "
                f"calibration images and has {key.channels} channels here, so its scale is "
                "unknown; give pw.Model(calibration=...) images that reach it in the same way, or "
                "use an absolute temperature."
            )
        return found

    return scale


_calibrated: weakref.WeakKeyDictionary[Model, tuple[object, Mapping[int, Tensor]]]
_calibrated = weakref.WeakKeyDictionary()
"""Of each network: what its scales depend on, and the scales."""


def calibrated_scales(model: Model, height: int, width: int) -> Mapping[int, Tensor]:
    """Standard deviation of the channels that enter gates of unknown scale, by their turn.

    Measured over :meth:`Model.calibration_batch`, and kept until the weights or the size of the
    images change.
    """
    with model.lock:
        tensors = itertools.chain(model.module.parameters(), model.module.buffers())
        # Every write to a tensor counts its version up.
        key = (height, width, *((id(one), one._version) for one in tensors))
        known, scales = _calibrated.get(model, (None, {}))
        if known != key:
            measured: dict[int, Tensor] = {}
            images = model.calibration_batch(height, width)
            Recording(model, images, layers=False, grad=False, measured=measured)
            scales = measured
            _calibrated[model] = key, scales
        return scales


@contextmanager
def _layer_hooks(module: nn.Module, trace: _Trace, until: set[str]) -> Iterator[None]:
    """Note every layer of ``module`` that runs in this thread, by hooks that leave it as it is."""
    names = {id(child): name for name, child in module.named_modules()}
    thread = threading.get_ident()
    awaited = set(until)

    def note(name: str, child: nn.Module, tensor: object) -> None:
        if not isinstance(tensor, Tensor):
            return
        with torch._C.DisableTorchFunction():
            if tensor.is_floating_point() and tensor.dim() > 0:
                trace.note(name, type(child).__name__, tensor)
                awaited.discard(name)
        if until and not awaited:
            raise _Stop

    def before(child: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != thread or id(child) not in names:
            return
        name = trace.enter(names[id(child)])
        if isinstance(child, ACTIVATIONS) and args:
            note(name, child, args[0])

    def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != thread or id(child) not in names:
            return
        name = trace.leave(names[id(child)])
        if not name or isinstance(child, ACTIVATIONS):
            return
        if type(child).__name__ in FUSED:
            # The fused activation ran just before; its input is this layer's pre-activation.
            inner = next(reversed(trace.entries), "")
            if inner.startswith(f"{name.partition(':')[0]}."):
                entry = trace.entries[inner]
                if entry.tensor is None:
                    trace.entries[name] = _Entry(
                        entry.layer._replace(name=name, kind=type(child).__name__), None
                    )
                output = entry.tensor
        note(name, child, output)

    handles = [register_module_forward_pre_hook(before), register_module_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _logits_of(output: Any) -> Tensor:
    """The (N, K) logits in whatever a network returns."""
    if isinstance(output, Mapping):
        output = output.get("logits", output.get("out", next(iter(output.values()), None)))
    elif hasattr(output, "logits") and not isinstance(output, Tensor):
        output = output.logits
    elif isinstance(output, Sequence) and output:
        output = output[0]
    if not isinstance(output, Tensor) or output.dim() < 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"The network returned {shape}; expected logits of shape (N, K). Wrap the network in a "
            "module whose forward returns them."
        )
    return output


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


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


@functools.cache
def _matters(func: Callable[..., Any]) -> bool:
    """Whether a torch call may be a gate, overwrite a tensor or pass a scale on."""
    return (
        may_be_gate(func)
        or follows_scale(func)
        or _always_overwrites(func)
        or _in_place_position(func) is not None
    )


@functools.cache
def _always_overwrites(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name in _REBINDING or (name.endswith("_") and not name.endswith("__"))


def _overwritten(
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
