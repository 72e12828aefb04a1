"""What makes the maps that are measured: softenings, ascents, captum's methods, any explainer.

What a number of a map means differs, and metrics must know it. A *gradient* says how the target
changes with each value of the image. A *contribution* is a share of the target itself, the gradient
multiplied by the image already. *Heat* is neither: it only says where.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..drawing import expression, words
from ..engine.ascent import checked_walk
from ..engine.model import Model
from ..engine.session import Session
from ..engine.softened import softened
from ..engine.softening import Softening
from ..methods import captum_methods
from ..methods.captum_methods import attribute
from .untouched import untouched

Reading = Literal["gradient", "contribution", "heat"]

PIXELS = 3 * 224 * 224
"""For which the lengths of an ascent are meant; at other sizes they are as many for a value."""


class Explainer:
    """A way to make a map.

    Attributes:
        name: What the table calls it.
        reading: What a number of the map means, see above.
        control: Whether it stands beside for comparison; one that cannot run is left out.
        bound: Whether it knows one network only, so that it has no map of another.
    """

    name: str
    reading: Reading = "gradient"
    control = False
    bound = False

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        """The maps of a session's N images for a class each, (N, C, H, W).

        In units of the target per unit of an image in [-1, 1]; of a contribution, of the target.
        """
        raise NotImplementedError

    def as_gradient(self, maps: Tensor, session: Session) -> Tensor:
        """The maps as derivatives, by which a small change of the image is foretold.

        A contribution is divided by the image that it was multiplied with (as captum's own
        infidelity does it), and where that is zero, it is zero.
        """
        return _divided(maps, _x(session)) if self.reading == "contribution" else maps

    def as_contribution(self, maps: Tensor, session: Session) -> Tensor:
        """The maps as shares of the target: a gradient times the image; heat as it is."""
        return maps * _x(session) if self.reading == "gradient" else maps

    def written(self) -> str:
        """All that the map depends on, in a line for the settings."""
        raise NotImplementedError


@dataclass(frozen=True)
class Pullback(Explainer):
    """The excitation pullback through soft gates."""

    name: str
    softening: Softening

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        return session.pullback(list(targets), self.softening)

    def written(self) -> str:
        return expression.of_softening(self.softening)


@dataclass(frozen=True)
class Ascent(Explainer):
    """The difference that steps of ascent along pullbacks make, a direction like a gradient.

    Attributes:
        name: What the table calls it.
        softening: Of the pullbacks.
        steps: Number of steps.
        step_size: L2 length of a step at 224 x 224 pixels and three channels; at other sizes as
            much for each value.
        radius: L2 radius, likewise; None for no limit.
    """

    name: str
    softening: Softening
    steps: int = 5
    step_size: float = 20.0
    radius: float | None = 100.0

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        walk = session.ascend(list(targets), self.softening, **self.lengths(session))
        *_, last = walk
        return last.difference.to(_x(session))

    def lengths(self, session: Session) -> dict[str, Any]:
        """The walk's numbers at the session's size."""
        scale = float(np.sqrt(_x(session)[0].numel() / PIXELS))
        radius = None if self.radius is None else self.radius * scale
        return {"steps": self.steps, "step_size": self.step_size * scale, "radius": radius}

    def written(self) -> str:
        softening = expression.of_softening(self.softening)
        return f"ascent({softening}, {self.steps}, {self.step_size}, {self.radius})"


@dataclass(frozen=True)
class Named(Explainer):
    """A method of ``pw.METHODS``."""

    name: str
    method: str
    reading: Reading = "gradient"
    control: bool = False
    batch: int = 8

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        with untouched(session.model):
            return attribute(self.method, session, list(targets), batch=self.batch)

    def written(self) -> str:
        return f"pw.attribute({self.method!r})"


@dataclass(frozen=True)
class Called(Explainer):
    """An explainer by captum's convention, on what the network sees.

    Attributes:
        name: What the table calls it.
        call: An object or class with ``attribute(inputs, target=...)``, or a function of the same.
        multiplied: Whether its maps are multiplied by what the network sees.
    """

    name: str
    call: Any
    multiplied: bool = False

    @property
    def bound(self) -> bool:  # type: ignore[override]  # a class is not, an object is
        return not isinstance(self.call, type)

    @property
    def reading(self) -> Reading:  # type: ignore[override]
        return "contribution" if self.multiplied else "gradient"

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        model, x = session.model, _x(session)
        with untouched(model), torch.inference_mode(False), torch.enable_grad():
            call = self.call(model.module) if isinstance(self.call, type) else self.call
            run: Callable[..., Any] = getattr(call, "attribute", call)
            seen = model.normalise(x).detach().requires_grad_()
            found = run(seen, target=torch.tensor(list(targets), device=x.device))
        found = found[0] if isinstance(found, tuple) else found
        maps = _checked(self.name, found, x)
        # As many units of what the network sees are a unit of the image.
        return maps if self.reading == "contribution" else maps * self._slope(model, x)

    def as_gradient(self, maps: Tensor, session: Session) -> Tensor:
        if self.reading != "contribution":
            return maps
        model, x = session.model, _x(session)
        # Its zero is that of what the network sees, and not mid-grey.
        return _divided(maps, model.normalise(x)) * self._slope(model, x)

    def _slope(self, model: Model, x: Tensor) -> Tensor:
        std = torch.tensor(model.std, dtype=x.dtype, device=x.device)
        return (1 / (2 * std)).view(-1, 1, 1)

    def written(self) -> str:
        kind = self.call if isinstance(self.call, type) else type(self.call)
        name = getattr(self.call, "__qualname__", kind.__qualname__)
        return f"{getattr(self.call, '__module__', kind.__module__)}.{name}"


@dataclass(frozen=True)
class Inside(Explainer):
    """Another explainer inside of ``pw.softened``, which makes pullbacks of its gradients."""

    name: str
    inner: Explainer
    softening: Softening

    @property
    def bound(self) -> bool:  # type: ignore[override]
        return self.inner.bound

    @property
    def reading(self) -> Reading:  # type: ignore[override]
        return self.inner.reading

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        with softened(session.model, self.softening):
            return self.inner.explain(session, targets)

    def as_gradient(self, maps: Tensor, session: Session) -> Tensor:
        return self.inner.as_gradient(maps, session)

    def written(self) -> str:
        return f"{self.inner.written()} in {expression.of_softening(self.softening)}"


@dataclass(frozen=True)
class RandomMap(Explainer):
    """Normal noise, the same for an image whatever the target and the network."""

    name: str = "random map"
    control: bool = True

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        x = _x(session)
        noise = [np.random.default_rng(key(one)).standard_normal(one.shape) for one in x]
        return torch.from_numpy(np.stack(noise)).to(x)

    def written(self) -> str:
        return self.name


@dataclass(frozen=True)
class EdgeMap(Explainer):
    """Sobel's edges of the grey image, which know neither target nor network."""

    name: str = "edge map"
    reading: Reading = "heat"
    control: bool = True

    def explain(self, session: Session, targets: Sequence[int]) -> Tensor:
        x = _x(session)
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(x)
        kernels = torch.stack([across, across.T])[:, None]
        grey = F.pad(x.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        return F.conv2d(grey, kernels).norm(dim=1, keepdim=True).expand_as(x)

    def written(self) -> str:
        return self.name


READINGS: Mapping[str, Reading] = {
    "input_x_gradient": "contribution",
    "integrated_gradients": "contribution",
    "grad_cam": "heat",
}
"""Of the methods by name; the others are gradients."""

CONTROLS: tuple[Explainer, ...] = (
    RandomMap(),
    EdgeMap(),
    Named("guided backpropagation", "guided_backprop", control=True),
    Named("guided Grad-CAM", "guided_grad_cam", control=True),
)
"""They always stand beside: two know nothing of the network, two score well and half ignore the
target."""

GRADIENT = "gradient"
"""The baseline, unless another one is named."""


def explainers(
    methods: Any, *, baseline: str = GRADIENT, controls: bool = True
) -> tuple[Explainer, ...]:
    """The explainers that methods mean, the baseline and the controls among them.

    Args:
        methods: See ``pw.evaluate``.
        baseline: The name of the one that the others are compared with.
        controls: Whether the controls are added.

    Raises:
        ValueError: For an unknown name, two of one name, or a baseline that is not there.
        TypeError: For what is no method.
    """
    if methods is None:
        methods = Softening.relative()
    if isinstance(methods, Mapping):
        found = [explainer(one, str(name)) for name, one in methods.items()]
    else:
        several = isinstance(methods, list) or (
            isinstance(methods, tuple) and not _is_pair(methods)
        )
        found = [explainer(one) for one in (methods if several else [methods])]
    names = [one.name for one in found]
    if baseline == GRADIENT and GRADIENT not in names:
        found.append(Pullback(GRADIENT, Softening.hard()))
    if controls:
        taken = {one.written() for one in found}
        found += [one for one in CONTROLS if one.name not in names and one.written() not in taken]
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"Two methods are called {twice!r}; give methods as a dict of different names."
        )
    if baseline not in names:
        raise ValueError(
            f"The baseline {baseline!r} is none of the methods; choose from {', '.join(names)}."
        )
    return tuple(found)


def explainer(method: Any, name: str | None = None) -> Explainer:
    """One explainer from what users give."""
    if isinstance(method, Explainer):
        return method
    if isinstance(method, Softening):
        hard = GRADIENT if method.is_hard else words.in_words(method)
        return Pullback(name or hard, method)
    if isinstance(method, Mapping):
        return _ascent(method, name)
    if isinstance(method, tuple) and _is_pair(method):
        inner = explainer(method[0])
        title = f"{inner.name} in {words.in_words(method[1])}"
        return Inside(name or title, inner, method[1])
    if isinstance(method, str):
        if method == GRADIENT:  # the same to the last bit, and without captum
            return Pullback(name or GRADIENT, Softening.hard())
        title = captum_methods.checked(method).title
        return Named(name or title, method, READINGS.get(method, "gradient"))
    if callable(method) or hasattr(method, "attribute"):
        kind = type(method).__name__
        return Called(name or str(getattr(method, "__name__", kind)), method, _multiplies(method))
    raise TypeError(
        f"A method is {method!r}; expected a pw.Softening, a dict such as "
        '{"softening": ..., "steps": 5}, a name of pw.METHODS, a function or object by captum\'s '
        "convention, or a pair of one of these and a softening."
    )


def _multiplies(method: Any) -> bool:
    """What captum's explainers say of themselves, a class of what it makes."""
    with contextlib.suppress(Exception):  # a class that wants more than a network says nothing
        if isinstance(method, type):
            method = method(nn.Identity())
    return getattr(method, "multiplies_by_inputs", False) is True


def _ascent(given: Mapping[str, Any], name: str | None) -> Ascent:
    """An ascent from its settings."""
    unknown = set(given) - {"softening", "steps", "step_size", "radius"}
    if unknown or "steps" not in given:
        problem = f"has {sorted(unknown)[0]!r}" if unknown else "has no steps"
        raise ValueError(
            f"The dict of an ascent {problem}; it takes steps, and softening, step_size and radius "
            "where they are not the usual ones."
        )
    softening = Softening.checked(given.get("softening"))
    steps, size, radius = checked_walk(
        given["steps"], given.get("step_size", 20.0), given.get("radius", 100.0)
    )
    title = f"{words.counted(steps, 'step')}, {words.in_words(softening)}"
    return Ascent(name or title, softening, steps, size, radius)


def _is_pair(given: tuple[Any, ...]) -> bool:
    return (
        len(given) == 2 and isinstance(given[1], Softening) and not isinstance(given[0], Softening)
    )


def key(image: Tensor) -> int:
    """A number that belongs to an image and nothing else: chance goes by it.

    So neither the order of the images nor the size of batches changes what is drawn for one.
    """
    values = image.detach().cpu().double().contiguous().numpy()
    return int.from_bytes(hashlib.sha256(values.tobytes()).digest()[:8], "big")


def _x(session: Session) -> Tensor:
    """A session's images, (N, C, H, W), on its device."""
    return session.recording.x.detach()


def _divided(values: Tensor, by: Tensor) -> Tensor:
    return torch.where(by == 0, torch.zeros_like(values), values / by)


def _checked(name: str, found: Any, x: Tensor) -> Tensor:
    """Maps of the images' shape; one channel stands for all."""
    if not isinstance(found, Tensor):
        raise TypeError(
            f"The method {name!r} returned {type(found).__name__}; expected a tensor of the "
            f"inputs' shape {tuple(x.shape)}."
        )
    if found.shape[:1] + found.shape[2:] != x.shape[:1] + x.shape[2:] or found.shape[1] not in (
        1,
        x.shape[1],
    ):
        raise ValueError(
            f"The method {name!r} returned the shape {tuple(found.shape)}; expected "
            f"{tuple(x.shape)}, or one channel in place of {x.shape[1]}."
        )
    return found.detach().to(x).expand_as(x)


def bound_to(module: nn.Module) -> str:
    """What is said where an explainer has no map of another network than its own."""
    return f"it is bound to its {type(module).__name__}; give its class in place of the object."
