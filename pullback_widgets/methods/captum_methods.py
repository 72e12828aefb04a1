"""The methods that pullbacks are compared with. All but the pullbacks themselves are captum's.

captum works by hooks on modules, and hooks nothing of the user's network here: while the network
runs, each of its ReLUs, however it is written, is computed by one module of ours, and the value of
Grad-CAM's layer passes through another. So functional, in-place and shared ReLUs are guided too,
and a target may be anything that a pullback may have as target.
"""

from __future__ import annotations

import importlib
import math
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode

from .. import checks
from ..engine.dependence import tell_independent
from ..engine.layer import is_heads, unknown_layer
from ..engine.model import Model
from ..engine.recording import Recording
from ..engine.rectifier import find_rectifier
from ..engine.report import tell
from ..engine.session import Session, TargetLike
from ..engine.smooth import SMOOTH
from ..engine.softening import Softening
from ..engine.target import LOGITS, Target
from ..engine.trace import Trace, layer_hooks, overwritten_by

NOISE = 0.15
"""Standard deviation of the noise as a share of the image's range, as the SmoothGrad paper has
it."""


@dataclass(frozen=True)
class Method:
    """A way to say which pixels matter for a target.

    Attributes:
        name: What ``pw.compare`` takes.
        title: What people call it.
        source: Where it comes from.
        softened: Whether it depends on a softening; these are ours, the others need captum.
        samples: How many points or noisy copies are averaged by default; 0 where nothing is.
        layer: Whether it reads a hidden layer.
    """

    name: str
    title: str
    source: str
    softened: bool = False
    samples: int = 0
    layer: bool = False


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("pullback", "Excitation pullback", "arXiv 2507.22832", softened=True),
            Method(
                "smooth_pullback",
                "Smooth pullback",
                "SmoothGrad over pullbacks",
                softened=True,
                samples=25,
            ),
            Method("gradient", "Gradient", "arXiv 1312.6034"),
            Method("input_x_gradient", "Input x gradient", "arXiv 1605.01713"),
            Method("integrated_gradients", "Integrated gradients", "arXiv 1703.01365", samples=50),
            Method("smoothgrad", "SmoothGrad", "arXiv 1706.03825", samples=25),
            Method("guided_backprop", "Guided backpropagation", "arXiv 1412.6806"),
            Method("grad_cam", "Grad-CAM", "arXiv 1610.02391", layer=True),
            Method("guided_grad_cam", "Guided Grad-CAM", "arXiv 1610.02391", layer=True),
        )
    }
)
"""The methods by name."""


def checked(name: str) -> Method:
    """The method of this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in METHODS:
        raise ValueError(
            f"There is no method {name!r}; choose from {', '.join(METHODS)} (pw.METHODS)."
        )
    return METHODS[name]


def attribute(
    name: str,
    session: Session,
    target: TargetLike | Sequence[TargetLike] = None,
    softening: Softening | None = None,
    *,
    layer: str | None = None,
    samples: int | None = None,
    noise: float = NOISE,
    seed: int = 0,
    batch: int = 4,
) -> Tensor:
    """The map of a method for the session's image and a target.

    The variable is the image in [-1, 1]. So a map of ``pullback``, ``smooth_pullback``,
    ``gradient``, ``smoothgrad`` and ``guided_backprop`` is in units of the target per unit of
    image; ``input_x_gradient`` and ``integrated_gradients`` are in units of the target, relative to
    mid-grey, which is 0. ``grad_cam`` is enlarged (bilinear) to the image's size, never negative,
    and the same in all three colour channels.

    Args:
        name: A name of :data:`METHODS`; all but the two pullbacks need captum.
        session: The network and the image or batch.
        target: As for ``Session.pullback``.
        softening: For the two pullbacks; ``Softening.relative(0.85)`` by default.
        layer: The layer that ``grad_cam`` and ``guided_grad_cam`` read; by default the last one
            with positions before the target.
        samples: Points of ``integrated_gradients``, noisy copies of ``smoothgrad`` and
            ``smooth_pullback``; by default the method's own.
        noise: Standard deviation of the noise as a share of the image's range, above 0.
        seed: Of the noise: the same call gives the same map.
        batch: How many of these points or copies go through the network at once.

    Returns:
        Same shape as ``session.image``, on the model's device.

    Raises:
        ValueError: For an unknown method, layer or class, or numbers out of range.
        ImportError: If the method needs captum, and captum is not installed.
    """
    method = checked(name)
    samples = method.samples if samples is None else samples
    samples = checks.whole("samples", samples, least=min(method.samples, 1))
    batch = checks.whole("batch", batch)
    noise = checks.positive("noise", noise, hint=", a share of the image's range such as 0.15")
    targets = session.resolve(target)
    if name == "pullback":
        return session.pullback(targets, softening)
    x = session.recording.x.detach()
    if name == "smooth_pullback":
        softening = Softening.checked(softening)
        maps = [
            _smooth_pullback(session.model, image, one, softening, samples, noise, seed, batch)
            for image, one in zip(x, targets, strict=True)
        ]
        return session.unbatched(torch.stack(maps))
    run = _CAPTUM[name]
    captum = _captum(method)
    layer = _camera_layer(session, targets, layer) if method.layer else None
    groups = [(x, targets)]
    if method.samples:  # these widen the batch, so the images go one by one
        groups = [(x[n : n + 1], [one]) for n, one in enumerate(targets)]
    with torch.inference_mode(False), torch.enable_grad():
        pieces = []
        for images, wanted in groups:
            scores = _Scores(session.model, wanted, layer)
            call = _Call(captum, scores, images.clone().requires_grad_(), samples, batch)
            with _explained(method, layer), _seeded(seed, images.device):
                call.noise = noise * float(images.max() - images.min())
                pieces.append(run(call).detach())
    return session.unbatched(torch.cat(pieces))


# Pullbacks over noisy copies ----------------------------------------------------------------------


def _smooth_pullback(
    model: Model,
    image: Tensor,
    target: Target,
    softening: Softening,
    samples: int,
    noise: float,
    seed: int,
    batch: int,
) -> Tensor:
    """The mean pullback over copies of an image (3, H, W) with normal noise."""
    # Drawn on the CPU, in float32 and batch by batch, as captum draws it there: with hard gates
    # this is SmoothGrad.
    generator = torch.Generator().manual_seed(seed)
    deviation = noise * float(image.max() - image.min())
    layers = {term.layer for term in target.terms()}
    until = () if LOGITS in layers else layers
    total = torch.zeros_like(image)
    for start in range(0, samples, batch):
        copies = min(batch, samples - start)
        drawn = torch.randn((copies, *image.shape), generator=generator) * deviation
        recording = Recording(
            model,
            image + drawn.to(image),
            layers=bool(until) or bool(softening.factors) or layers != {LOGITS},
            until=until,
        )
        tell(recording, softening)
        pulled = recording.pull([target] * copies, softening, last=True)
        tell_independent(recording, [target] * copies, pulled)
        total += pulled.sum(0)
    return total / samples


# captum -------------------------------------------------------------------------------------------


@dataclass
class _Call:
    """What a captum method is called with."""

    captum: Any
    scores: _Scores
    x: Tensor
    samples: int
    batch: int
    noise: float = 0.0


def _gradient(call: _Call) -> Tensor:
    return call.captum.Saliency(call.scores).attribute(call.x, abs=False)


def _input_x_gradient(call: _Call) -> Tensor:
    return call.captum.InputXGradient(call.scores).attribute(call.x)


def _integrated_gradients(call: _Call) -> Tensor:
    return call.captum.IntegratedGradients(call.scores).attribute(
        call.x, n_steps=call.samples, internal_batch_size=call.batch
    )


def _smoothgrad(call: _Call) -> Tensor:
    return call.captum.NoiseTunnel(call.captum.Saliency(call.scores)).attribute(
        call.x,
        nt_type="smoothgrad",
        nt_samples=call.samples,
        nt_samples_batch_size=call.batch,
        stdevs=call.noise,
        abs=False,
    )


def _guided_backprop(call: _Call) -> Tensor:
    with _guiding(call):
        return call.captum.GuidedBackprop(call.scores).attribute(call.x)


def _grad_cam(call: _Call) -> Tensor:
    camera = call.captum.LayerGradCam(call.scores, call.scores.chosen)
    small = camera.attribute(call.x, relu_attributions=True)
    large = call.captum.LayerAttribution.interpolate(small, call.x.shape[2:], "bilinear")
    return large.expand_as(call.x)


def _guided_grad_cam(call: _Call) -> Tensor:
    with _guiding(call):
        return call.captum.GuidedGradCam(call.scores, call.scores.chosen).attribute(
            call.x, interpolate_mode="bilinear"
        )


_CAPTUM: dict[str, Callable[[_Call], Tensor]] = {
    "gradient": _gradient,
    "input_x_gradient": _input_x_gradient,
    "integrated_gradients": _integrated_gradients,
    "smoothgrad": _smoothgrad,
    "guided_backprop": _guided_backprop,
    "grad_cam": _grad_cam,
    "guided_grad_cam": _guided_grad_cam,
}


def _captum(method: Method) -> Any:
    try:
        return importlib.import_module("captum.attr")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "captum":
            raise
        raise ImportError(
            f"{method.title} is computed by captum, which is not installed here; "
            'run: pip install "pullback_widgets[methods]"'
        ) from error


@contextmanager
def _guiding(call: _Call) -> Iterator[None]:
    """Guided backpropagation by captum, which means nothing without a ReLU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")  # on ours only
        yield
    if not call.scores.rectifier.calls:
        raise ValueError(
            f"Guided backpropagation changes the gradient of ReLUs, and no ReLU ran in "
            f"{call.scores.model.name}; compare another method."
        )


@contextmanager
def _explained(method: Method, layer: str | None) -> Iterator[None]:
    """Say in our words what torch says where no gradient leads from the target to the variable."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if "not have been used in the graph" not in text and "does not require grad" not in text:
            raise
        what = "image" if layer is None else f"layer {layer!r}"
        raise ValueError(
            f"{method.title} has no gradient here: the target does not depend on the {what}; "
            f"choose another {'target' if layer is None else 'layer'}."
        ) from error


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from a seed; afterwards they go on as if nothing had happened."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _camera_layer(session: Session, targets: Sequence[Target], layer: str | None) -> str:
    """The layer for Grad-CAM: the one asked for, or the last with positions before the targets."""
    layers = session.layers
    names = [one.name for one in layers]
    if layer is not None:
        if layer not in names:
            raise unknown_layer(layer, names)
        return layer
    read = {term.layer for target in targets for term in target.terms()} - {LOGITS}
    before = layers[: min((names.index(name) for name in read), default=len(layers))]
    fits = [
        one.name
        for one in before
        if len(one.shape) == 3 and math.prod(one.shape[1:]) > 1 and not one.is_heads
    ]
    if not fits:
        raise ValueError(
            "Grad-CAM needs a layer with positions before the target, and there is none in "
            f"{session.model.name}; choose a target further back, or another method."
        )
    return fits[-1]


class _Scores(nn.Module):
    """A network as captum wants it: from images in [-1, 1] to the value of each one's target.

    Attributes:
        rectifier: Computes every ReLU of the network; the only one that captum finds.
        chosen: The output of the chosen layer passes through it.
    """

    def __init__(self, model: Model, targets: Sequence[Target], layer: str | None) -> None:
        super().__init__()
        self.rectifier = _Rectifier()
        self.chosen = nn.Identity()
        self.model = model  # no torch module, so that captum does not look inside
        self._targets = targets
        self._layer = layer
        read = [term.layer for target in targets for term in target.terms()]
        for name in [*read, layer or ""]:
            if is_heads(name):
                raise ValueError(
                    f"captum's methods got {name!r}, heads of attention, which they do not see; "
                    "give a layer of the network, or take the pullback of the heads."
                )

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) to scores (N,); one target for all, or one for each."""
        module = self.model.module
        trace = Trace(keep=True)
        with (
            self.model.evaluating(),
            layer_hooks(module, trace, set()),
            self._passing(module),
            _Rerouting(trace, self.rectifier),
        ):
            returned = self.model.run(self.model.normalise(x))
        terms = [term for target in self._targets for term in target.terms()]
        logits = None
        if any(term.layer == LOGITS for term in terms):
            logits = self.model.logits(returned, len(x))
        scores = []
        for n in range(len(x)):
            score = x.new_zeros(())
            for term in self._targets[n % len(self._targets)].terms():
                value = logits if term.layer == LOGITS else trace.entries[term.layer].tensor
                assert value is not None  # a trace that keeps has them all
                score = score + term.weight * (term.seed(value[n].detach()) * value[n]).sum()
            scores.append(score)
        return torch.stack(scores)

    @contextmanager
    def _passing(self, module: nn.Module) -> Iterator[None]:
        """Lead what leaves the chosen layer through ``chosen``."""
        if self._layer is None:
            yield
            return
        name, _, turn = self._layer.partition(":")
        layer, thread = module.get_submodule(name), threading.get_ident()
        left = int(turn or 1)

        def after(child: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            nonlocal left
            if child is not layer or threading.get_ident() != thread:
                return None
            left -= 1
            return self.chosen(output) if left == 0 else None

        handle = register_module_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()


class _Rectifier(nn.ReLU):
    """Any ReLU of the network, as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.own: Callable[[Tensor], Tensor] = torch.relu
        self.calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        return self.own(input)


class _Rerouting(TorchFunctionMode):
    """Sends every ReLU to one module, and keeps the values of layers from being overwritten."""

    def __init__(self, trace: Trace, rectifier: _Rectifier) -> None:
        super().__init__()
        self.trace = trace
        self.rectifier = rectifier

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        overwritten = overwritten_by(func, args, kwargs)
        if overwritten is not None:
            self.trace.rescue(overwritten, by_gate=False)
        found = find_rectifier(func, args, kwargs)
        leaky = found is not None and (isinstance(found.slope, Tensor) or found.slope != 0.0)
        smooth = found is not None and found.form in SMOOTH
        if (
            found is None
            or leaky
            or smooth
            or not found.z.requires_grad
            or not torch.is_grad_enabled()
        ):
            return func(*args, **kwargs)
        self.rectifier.own = found.own
        # ReLU6 needs its input for the backward pass, so what is overwritten is not what it sees.
        out = self.rectifier(found.z.clone() if found.in_place else found.z)
        return found.z.copy_(out) if found.in_place else out
