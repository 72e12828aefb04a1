"""Excitation pullbacks called as captum calls its methods, for captum's and Quantus' tools."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .. import checks
from ..engine.dependence import tell_independent
from ..engine.model import Model
from ..engine.recording import Recording
from ..engine.report import tell
from ..engine.session import Session, one_each, resolved
from ..engine.softening import Softening

Function = TypeVar("Function", bound=Callable[..., Any])


def _wrapped(function: Function) -> Function:
    """The function behind a wrapper: captum's NoiseTunnel calls what lies under its own."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]  # called like the function itself


class ExcitationPullback:
    """A network's pullbacks by captum's calling convention.

    Inputs are what the network itself takes, already normalised, and the result is the pullback
    with respect to these. With ``Softening.hard()`` it is captum's
    ``Saliency(module).attribute(inputs, target, abs=False)``, bit for bit. It can be given to
    captum's ``NoiseTunnel`` and, as ``ExcitationPullback(model).attribute``, to captum's metrics.

    Attributes:
        forward_func: The network's module, as captum's methods have it.
        multiplies_by_inputs: False: a pullback is a gradient.
    """

    multiplies_by_inputs = False

    def __init__(self, model: Model | nn.Module) -> None:
        """Wrap a network.

        Args:
            model: A module, or a ``pw.Model``, whose preprocessing is not applied to the inputs.
                It says what photographs are to the network, which two things need: the calibration
                images for relative temperatures without batch norm, and the length of steps of
                ascent. A bare module is taken to be made for ImageNet's mean and std.
        """
        self.model = Model.of(model)
        self.forward_func = self.model.module
        self._inner = _Inner(self.model)

    def __repr__(self) -> str:
        return f"<ExcitationPullback of {self.model.name}>"

    def has_convergence_delta(self) -> bool:
        """Whether ``attribute`` can also say how far it is from being complete: no."""
        return False

    @_wrapped
    def attribute(
        self,
        inputs: Any,
        target: Any = None,
        softening: Softening | None = None,
        steps: int | None = None,
        *,
        step_size: float = 20.0,
        radius: float | None = 100.0,
    ) -> Any:
        """The pullback of a target for each input, or the difference that ascent makes.

        Args:
            inputs: A floating-point tensor (N, C, H, W) in the network's own normalised space, or
                a tuple of one such tensor.
            target: A class index for all inputs, or a tensor or list of N class indices; one of
                our targets or class names, or a list of these; None for each input's top class.
            softening: ``Softening.relative(0.85)`` by default.
            steps: None or 0 for the pullback; otherwise the number of steps of ascent.
            step_size: L2 length of a step, above 0. As everywhere in this package it is measured
                on images in [-1, 1] and not in the normalised space, where a channel's unit of
                length depends on its std.
            radius: L2 radius of the ascent, in the same units; None for no limit. An input outside
                of what [-1, 1] is normalised to is moved to the nearest one inside first.

        Returns:
            A tensor of the inputs' shape, type and device, in a tuple if the inputs are. It is the
            pullback, in units of the target per unit of input; with ``steps`` it is the input after
            that many steps minus the input, in units of the input.

        Raises:
            TypeError: If the inputs are no tensor, or a target is none of the known kinds.
            ValueError: For shapes, numbers, layers or classes that make no sense.
        """
        if isinstance(inputs, tuple):
            if len(inputs) != 1:
                raise ValueError(
                    f"There are {len(inputs)} input tensors; expected one, a batch of images."
                )
            found = self.attribute(
                inputs[0], target, softening, steps, step_size=step_size, radius=radius
            )
            return (found,)
        x = _checked(inputs)
        softening = Softening.checked(softening)
        if steps is not None:
            steps = checks.whole("steps", steps, least=0, hint=", or None")
        wanted = one_each(_as_ours(target), len(x))
        if steps:
            images = self._images(x.to(self.model.device, self.model.dtype))
            walk = Session(self.model, images, range=(-1, 1)).ascend(
                wanted, softening, steps=steps, step_size=step_size, radius=radius
            )
            *_, last = walk
            return (last.difference / (2 * _column(self.model.std, last.difference))).to(x)
        recording = Recording(self._inner, x, scales_of=self.model)
        targets = resolved(wanted, recording)
        tell(recording, softening)
        pulled = recording.pull(targets, softening, last=True)
        tell_independent(recording, targets, pulled)
        return pulled.to(x)

    def _images(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] from what the network sees of them."""
        mean, std = (_column(values, x) for values in (self.model.mean, self.model.std))
        return ((x * std + mean) * 2 - 1).clamp(-1.0, 1.0)


class _Inner(Model):
    """A model that is shown what its network sees; all else is the model's own."""

    def __init__(self, model: Model) -> None:
        self.__dict__.update(vars(model))

    def normalise(self, x: Tensor) -> Tensor:
        return x.clone()  # the network may overwrite what it is given


def _checked(inputs: Any) -> Tensor:
    if not isinstance(inputs, Tensor):
        raise TypeError(
            f"The inputs are {type(inputs).__name__}; expected a torch tensor (N, 3, H, W), "
            "normalised as the network takes it."
        )
    if inputs.dim() != 4 or not inputs.numel():
        raise ValueError(
            f"The inputs have the shape {tuple(inputs.shape)}; expected (N, C, H, W), such as "
            "(N, 3, H, W): for one image x.unsqueeze(0)."
        )
    if not inputs.is_floating_point():
        raise ValueError(
            f"The inputs hold {inputs.dtype}; expected floating-point numbers, normalised as the "
            "network takes them."
        )
    return inputs.detach()


def _as_ours(target: Any) -> Any:
    """A target as ``Session`` takes it: arrays of indices as numbers."""
    if isinstance(target, Tensor) or hasattr(target, "__array__"):
        target = torch.as_tensor(target).flatten().tolist()
        return target[0] if len(target) == 1 else target  # one for all, as captum has it
    return target


def _column(values: Any, like: Tensor) -> Tensor:
    """One number for each channel of ``like``."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)
