"""One forward pass, recorded: all gates soft behind it, all layers open to be a target.

The forward runs inside a ``recorder``, which sees every torch call of the network. What the layers
were worth is noted in a ``trace``.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import CheckpointError

from .axes import FIRST, Axes
from .checkpointing import REENTRANT
from .gate import Gate, GateKey, Settings
from .held import Held
from .inside import tensors_inside
from .layer import Layer, unknown_layer, with_tokens
from .model import Model
from .output import OutputError, probabilities_of
from .pool import Pool
from .precision import without_autocast
from .recorder import Recorder, TakesGradients
from .seeded import seeded
from .softening import Softening
from .target import LOGITS, Target
from .trace import (
    Stop,
    Trace,
    channels_first,
    layer_hooks,
)
from .values import Values
from .versions import version_of

_looked_at: weakref.WeakKeyDictionary[nn.Module, set[str]] = weakref.WeakKeyDictionary()
"""Of each network: layers of which a value was asked for that had been let go."""


class Recording:
    """One forward pass of a model over a batch, and any number of backward passes through it.

    Attributes:
        x: The images, (N, C, H, W) in [-1, 1], on the model's device.
        logits: The network's output, (N, K) of a classifier; None if the forward was stopped at a
            layer, or what the network returns cannot be taken for logits, which :meth:`value` says.
        ends: The output; where there are no logits, all tensors that the network returned.
        values: What the network's calls returned, if that was asked for.
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
        values: bool = False,
        spare: bool = False,
    ) -> None:
        """Run the forward pass.

        Args:
            model: The network.
            x: Images, (N, C, H, W) in [-1, 1].
            layers: Whether layers may be targets, or have factors of their own.
            until: Names of layers after which nothing more is computed; all of them must be met.
            grad: Whether backward passes will follow.
            measured: Filled with the deviation of the channels entering gates of unknown scale.
            scales_of: The model whose calibration gives the scales; by default the network itself.
            values: Whether everything that the network's calls return is kept; see ``values``.
            spare: Whether values of layers are let go that no gate needs; the forward pass runs
                again the first time one is asked for.

        Raises:
            ValueError: If a layer of ``until`` was not met.
            Exception: Whatever the network raises.
        """
        self.model = model
        self.logits: Tensor | None = None
        self.ends: list[Tensor] = []
        self._no_logits = ""
        device, dtype = model.placement()
        if device.type == "meta":
            raise ValueError(
                f'The weights of {model.name} are on the device "meta", where tensors have no '
                "values; load them first, for instance by load_state_dict(..., assign=True)."
            )
        scales = scale_lookup(scales_of or model, x.shape[-2], x.shape[-1])
        self._settings = Settings(Softening.hard(), scales)
        self._lock = threading.RLock()
        with torch.inference_mode(False):
            self.x = x.detach().to(device, dtype, copy=True).requires_grad_(grad)
        self._trace = Trace(spare=spare, looked_at=_looked_at.setdefault(model.module, set()))
        self.values = Values(self._trace) if values else None
        self._whole = values
        self._forward(set(until), measured, layers)
        missing = [name for name in until if name not in self._trace.entries]
        if missing:
            raise unknown_layer(missing[0], self._trace.entries)

    def _forward(
        self, until: set[str], measured: dict[int, Tensor] | None = None, layers: bool = True
    ) -> None:
        try:
            self._run(until, measured, layers)
        except TakesGradients:  # of whatever it likes, so that all of the graph is kept
            self._whole = True
            before = self._trace
            self._trace = Trace(before.keep, before.spare, before.looked_at)
            self._run(until, measured, layers)

    def _run(self, until: set[str], measured: dict[int, Tensor] | None, layers: bool) -> None:
        model = self.model
        noting = (
            layer_hooks(model.module, self._trace, until) if layers else contextlib.nullcontext()
        )
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(self.x.requires_grad),
            model.evaluating(),
        ):
            self._trace.images = len(self.x)
            # Gradients that the network itself takes while it runs are its own.
            self._settings.softening, self._settings.last = Softening.hard(), False
            self._settings.states = None
            recorder = Recorder(self._trace, self._settings, measured, self.x, whole=self._whole)
            seen = model.normalise(self.x)
            self._trace.axes.put(seen, FIRST)
            try:
                with noting, recorder, self.values or contextlib.nullcontext():
                    returned = model.run(seen)
                    self._find_logits(returned)
            except Stop:
                pass
        # What is left of the forward pass alone is not needed any more.
        self._trace.by_storage.clear()
        self._trace.kept.clear()
        self._trace.axes = Axes()

    def _find_logits(self, returned: Any) -> None:
        # Only targets that read the output need to know what it is, so nothing is raised here. The
        # reason is kept as text: an error would keep its frames, and with them this recording.
        try:
            self.logits = self.model.logits(returned, len(self.x))
            self.ends = [self.logits]
        except OutputError as error:
            self._no_logits = str(error)
            self.ends = [one for one in tree_leaves(returned) if isinstance(one, Tensor)]

    @property
    def layers(self) -> list[Layer]:
        """The layers that ran, in forward order."""
        return list(self._layers)

    @functools.cached_property
    def _layers(self) -> tuple[Layer, ...]:  # asked for with every frame of a widget
        found = (entry.layer for entry in self._trace.entries.values())
        height, width = self.x.shape[-2:]
        return tuple(with_tokens(found, (height, width), self.model.module))

    @property
    def gates(self) -> list[Gate | Pool]:
        """The gates that ran, in forward order."""
        return self._trace.gates

    @property
    def rectifiers(self) -> list[Gate]:
        """Those gates that are rectifiers, in forward order."""
        return [gate for gate in self.gates if isinstance(gate, Gate) and not gate.is_smooth]

    @property
    def held(self) -> list[Held]:
        """The operations of which a part may be held constant, in forward order."""
        return self._trace.held

    @property
    def cut(self) -> Counter[str]:
        """How many operations cut what depends on the image off the gradient, by name."""
        return self._trace.cut

    def value(self, layer: str) -> Tensor:
        """What a target reads: a layer's pre-activation or output, (N, C, ...), with its graph.

        Raises:
            ValueError: For a layer that did not run, with the nearest names; for the logits if they
                cannot be found in what the network returned.
        """
        if layer == LOGITS and self._no_logits:
            raise OutputError(self._no_logits)
        if layer == LOGITS and self.logits is not None:
            return self.logits
        if layer not in self._trace.entries:
            raise unknown_layer(layer, self._trace.entries)
        with self._lock:
            if self._trace.entries[layer].value() is None:
                # The network overwrote it, as `out += identity` does, or let it go. Copies of all
                # such values would slow every forward pass; this one is run again the first time
                # one is asked for, and keeps them all; later ones keep this layer's at once.
                _looked_at.setdefault(self.model.module, set()).add(layer)
                self._trace = Trace(keep=True)
                if self.values is not None:
                    self.values = Values(self._trace)
                self._forward(set())
            entry = self._trace.entries[layer]
            value = entry.value()
        assert value is not None
        return channels_first(value, entry.axis, len(self.x))

    def class_logits(self) -> Tensor:
        """The logits of classes, (N, K), with their graph.

        Raises:
            ValueError: If the network's output is none, or has places.
        """
        logits = self.value(LOGITS)
        if logits.dim() != 2:
            raise OutputError(
                f"The network's output has the shape {tuple(logits.shape)}; expected logits (N, K) "
                "for classes and predictions. Its channels are targets: pw.Channel('logits', k), "
                "or pw.Unit('logits', k, (y, x)) at a place; so are hidden layers."
            )
        return logits

    @property
    def classes(self) -> int | None:
        """Number of classes; None if the network's output is none of a classifier."""
        logits = self.logits
        return logits.shape[1] if logits is not None and logits.dim() == 2 else None

    def probabilities(self) -> Tensor | None:
        """The classes' probabilities, (N, K), as ``pw.Model(probability=...)`` has them.

        None if there are none: for a network without classes, or with ``"none"``.
        """
        if self.logits is None or self.classes is None:
            return None
        return probabilities_of(self.logits, self.model.probability)

    def gate_scale(self, layer: str) -> Tensor | None:
        """Scale of the channels of a layer that feeds a rectifier, (C,); None for other layers."""
        entry = self._trace.entries.get(layer)
        if entry is None or entry.gate is None:
            return None
        return entry.gate.channel_scale()

    def gate_form(self, layer: str) -> str:
        """Which activation a layer feeds, such as ``"gelu"``; ``"relu"`` if it feeds none."""
        entry = self._trace.entries.get(layer)
        return "relu" if entry is None or entry.gate is None else entry.gate.form

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
        with self._lock, torch.inference_mode(False), without_autocast(self.x):
            self._settings.softening, self._settings.last = softening, last
            self._settings.states = states
            pullback = None
            if reached:
                try:
                    self._settings.pulling = True
                    score = seeded(
                        [self.value(layer) for layer in reached],
                        [seeds[layer] for layer in reached],
                    )
                    (pullback,) = torch.autograd.grad(
                        score, self.x, retain_graph=not last, allow_unused=True
                    )
                except RuntimeError as error:
                    if "use_reentrant" in str(error):
                        raise RuntimeError(REENTRANT) from error
                    if not isinstance(error, CheckpointError):
                        raise
                    raise RuntimeError(
                        "The network recomputes parts of its forward pass (gradient "
                        "checkpointing), where soft gates cannot be put in; switch that off, for "
                        "instance with memory_efficient=False."
                    ) from error
                finally:
                    self._settings.pulling = False
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


def scale_lookup(model: Model, height: int, width: int) -> Callable[[GateKey], Tensor]:
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
        # Every write to a tensor counts its version up.
        versions = ((id(one), version_of(one)) for one in tensors_inside(model.module))
        key = (height, width, *versions)
        known, scales = _calibrated.get(model, (None, {}))
        if known != key:
            measured: dict[int, Tensor] = {}
            images = model.calibration_batch(height, width)
            Recording(model, images, layers=False, grad=False, measured=measured)
            scales = measured
            _calibrated[model] = key, scales
        return scales
