"""A session: one image in one network, recorded once, then pulled back as often as one likes."""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from .ascent import Step, ascend
from .category import several
from .completeness import Completeness, completeness
from .dependence import tell_independent
from .image import Range
from .layer import Layer
from .model import Model
from .output import probabilities_of
from .recording import Recording
from .report import Report, report_of, tell
from .scale import channel_deviation
from .softening import Softening
from .target import (
    LOGITS,
    Difference,
    Direction,
    Logit,
    Rivals,
    Target,
    Unit,
    as_target,
    same_target,
)

TargetLike = Target | int | str | None
"""A target, a class index, a class name, or None for the image's own top class.

A name may be two with a comma between them: the first class minus the second."""


@dataclass(frozen=True)
class Prediction:
    """One class of the network's answer.

    Attributes:
        index: Class index.
        name: Class name.
        probability: 0 to 1, as ``pw.Model(probability=...)`` has it; None where it has none.
        logit: The network's output.
    """

    index: int
    name: str
    probability: float | None
    logit: float


class Session:
    """One forward pass of a network over an image or a batch, kept for pullbacks.

    Attributes:
        model: The network.
        image: What the network was shown, (C, H, W), or (N, C, H, W) for a batch; values in
            [-1, 1], on the CPU.
        recording: The forward pass, as a batch on the model's device; for those who build on it.
    """

    def __init__(self, model: Model | nn.Module, image: Any, *, range: Range | None = None) -> None:
        """Run and record the forward pass.

        Args:
            model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
            image: A sample's name, path, PIL image, uint8 array (H, W, 3), or float tensor
                (3, H, W) in [-1, 1]; for a batch a list of these or a tensor (N, 3, H, W). A
                network of C channels takes tensors (C, H, W).
            range: What the values of the tensors mean: ``(0, 1)`` makes them ``2 x - 1``. It stands
                here and not in ``Model``, since it is a property of the tensors: images that this
                package gives back are in [-1, 1] for every network. By default [-1, 1], with a
                warning if a tensor looks like [0, 1].

        Raises:
            ImageError: If the image cannot be read.
            Exception: Whatever the network itself raises.
        """
        self.model = Model.of(model)
        batch, self._single = self.model.batch(image, range)
        self.recording = Recording(self.model, batch, spare=True)
        self._scored: tuple[list[Target], Tensor] = [], batch[:0]

    def __repr__(self) -> str:
        return f"<Session of {self.model.name} on {tuple(self.image.shape)}>"

    def __len__(self) -> int:
        return len(self.recording.x)

    def __reduce__(self) -> tuple[Any, ...]:
        # A graph neither copies nor pickles, so the image is recorded anew; all three ways to copy.
        again = functools.partial(type(self), range=(-1, 1))
        return again, (self.model, self.image)

    @property
    def image(self) -> Tensor:
        return self.unbatched(self._images.clone())

    # A device is waited for once, not for every frame of a widget.

    @functools.cached_property
    def _images(self) -> Tensor:
        return self.recording.x.detach().cpu()

    @functools.cached_property
    def _class_logits(self) -> Tensor:
        return self.recording.class_logits().detach().cpu()

    def _probabilities(self) -> Tensor | None:
        """The classes' probabilities, (N, K), on the CPU; None if there are none."""
        if self.classes is None:
            return None
        return probabilities_of(self._class_logits, self.model.probability)

    @property
    def logits(self) -> Tensor:
        """The network's output, (K,), or (N, K) for a batch; (K, H, W) where it is a map.

        Raises:
            ValueError: If what the network returns cannot be taken for logits.
        """
        return self.unbatched(self.recording.value(LOGITS).detach().clone())

    @property
    def classes(self) -> int | None:
        """Number of classes; None of a network that has none, such as a detector."""
        return self.recording.classes

    @property
    def layers(self) -> list[Layer]:
        """The layers in forward order."""
        return self.recording.layers

    @functools.cached_property
    def report(self) -> Report:
        """Which gates are softened, and which nonlinearities keep their own derivative."""
        return report_of(self.recording)

    def predictions(self, k: int = 5) -> Any:
        """The ``k`` most probable classes.

        Returns:
            A list of ``Prediction``, most probable first; for a batch, a list of such lists.

        Raises:
            ValueError: If the network has no classes; see :attr:`classes`.
        """
        every, known = self._class_logits, self._probabilities()
        shares = [None] * len(every) if known is None else known
        result = []
        for logits, probabilities in zip(every, shares, strict=True):
            # Probabilities grow with their logits, and of two that are rounded to 1 one is larger.
            best = logits.topk(min(k, len(logits))).indices.tolist()
            result.append(
                [
                    Prediction(
                        i,
                        self.model.label(i),
                        None if probabilities is None else float(probabilities[i]),
                        float(logits[i]),
                    )
                    for i in best
                ]
            )
        return result[0] if self._single else result

    def activations(self, layer: str) -> Tensor:
        """The values of a layer: what enters an activation, what leaves any other layer.

        Returns:
            (C, H, W) or what the layer's shape is; with the batch dimension for a batch.

        Raises:
            ValueError: For an unknown layer, with the nearest names.
        """
        return self.unbatched(self.recording.value(layer).detach().clone())

    def strongest(
        self, layer: str, position: tuple[int, ...] | None = None, k: int = 5
    ) -> list[tuple[int, float]]:
        """The channels of a layer that answer most.

        Args:
            layer: Dotted name.
            position: As in ``pw.Unit``: which channels are largest at this place; None for those
                whose positive values have the largest mean over all places.
            k: How many channels.

        Returns:
            Channel and value, the largest first.

        Raises:
            ValueError: For a session of several images, an unknown layer, or a position that is
                not in it.
        """
        if not self._single:
            raise ValueError(
                f"This session has {len(self)} images; expected one, so make a pw.Session of the "
                "image whose channels are compared."
            )
        values = self.activations(layer).float().cpu()
        if position is None:
            strength = values.clamp_min(0).reshape(len(values), -1).mean(1)
        else:
            (unit,) = self.resolve(Unit(layer, 0, position))
            ((_, _, seed),) = unit.terms()
            strength = values[:, seed(values)[0] != 0].flatten()  # raises for no such place
        best = strength.topk(min(k, len(strength)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def gate_inputs(self, layer: str = LOGITS) -> tuple[str, Tensor, Tensor]:
        """The pre-activations of a layer and the scale that a relative temperature multiplies.

        Args:
            layer: Dotted name; for the logits, the last layer that enters a rectifier.

        Returns:
            The layer's name, its values as in :meth:`activations`, and its scale, (C,). A layer
            that enters no rectifier itself has its own standard deviation on this image.
        """
        if layer == LOGITS:
            layer = self.recording.last_gated() or self.layers[-1].name
        values = self.recording.value(layer).detach()
        scale = self.recording.gate_scale(layer)
        return layer, self.activations(layer), channel_deviation(values) if scale is None else scale

    def score(self, target: TargetLike | Sequence[TargetLike] = None) -> Any:
        """The target's value: a float; a tensor (N,) for a batch."""
        targets = self.resolve(target)
        known, scores = self._scored
        if len(known) != len(targets) or not all(map(same_target, known, targets)):
            scores = self.recording.scores(targets)
            scores = scores.cpu() if self._single else scores
            self._scored = targets, scores
        return float(scores[0]) if self._single else scores.clone()

    def value(self, target: TargetLike = None) -> float:
        """The target of a session of one image: its class's probability, 0 to 1, or its score."""
        (one,) = self.resolve(target)
        probability = self.probability(one)
        return float(self.score(one)) if probability is None else probability

    def probability(self, target: TargetLike = None) -> float | None:
        """The probability of a class in a session of one image, 0 to 1; None if it has none.

        Hidden targets have none, and no class has one with ``pw.Model(probability="none")``.
        """
        (one,) = self.resolve(target)
        probabilities = self._probabilities() if isinstance(one, Logit) else None
        if probabilities is None or not isinstance(one, Logit):
            return None
        self.score(one)  # an index out of range raises here, in our words
        return float(probabilities[0, int(one.label)])

    def stages(self) -> list[str]:
        """The last layer of each resolution that enters a rectifier, in forward order; the logits.

        A network without classes ends with its last map.
        A network none of whose layers enters a rectifier has the last layer of each resolution.
        """
        maps = [one for one in self.layers if len(one.shape) == 3 and max(one.shape[1:]) > 1]
        gated = [one for one in maps if self.recording.gate_scale(one.name) is not None]
        last = {layer.shape[1:]: layer.name for layer in gated or maps}
        order = {layer.name: n for n, layer in enumerate(maps)}
        end = [] if self.classes is None else [LOGITS]
        return [*sorted(last.values(), key=order.__getitem__), *end]

    def pullback(
        self,
        target: TargetLike | Sequence[TargetLike] = None,
        softening: Softening | None = None,
    ) -> Tensor:
        """The gradient of a target with respect to the image, through soft gates.

        Args:
            target: What is pulled back; for a batch, one for all images or one for each.
            softening: ``Softening.relative(0.85)`` by default.

        Returns:
            Same shape as ``image``, on the model's device; units of the target per unit of image.

        Raises:
            ValueError: For an unknown layer or class, indices out of range, or an output that does
                not depend on the image.
            TypeError: If the target is none of the known kinds.
        """
        softening = Softening.checked(softening)
        targets = self.resolve(target)
        tell(self.recording, softening)
        pulled = self.recording.pull(targets, softening)
        tell_independent(self.recording, targets, pulled)
        return self.unbatched(pulled)

    def completeness(
        self, target: TargetLike = None, softening: Softening | None = None
    ) -> Completeness:
        """How much of a target's value the pullback accounts for, and what makes up the rest.

        For ``Softening.held()`` the value is the pullback times the image, and constants. Softened
        gates, and operations that keep their own derivative, leave a residual.

        Args:
            target: What is pulled back.
            softening: ``Softening.relative(0.85)`` by default.

        Returns:
            The parts; see :class:`Completeness`. It takes a forward pass of its own.

        Raises:
            ValueError: For a session of several images, and as :meth:`pullback`.
        """
        if not self._single:
            raise ValueError(
                f"This session has {len(self)} images; expected one, so make a pw.Session of the "
                "image that is taken apart."
            )
        softening = Softening.checked(softening)
        (one,) = self.resolve(target)
        return completeness(Recording(self.model, self.recording.x, values=True), one, softening)

    def ascend(
        self,
        target: TargetLike | Sequence[TargetLike] = None,
        softening: Softening | None = None,
        *,
        steps: int = 5,
        step_size: float = 20.0,
        radius: float | None = 100.0,
    ) -> Generator[Step, None, None]:
        """Gradient ascent along pullbacks, one step at a time.

        Targets on hidden layers stop the forward passes at these layers. Arguments are checked at
        the call; nothing is computed before the first ``next``, and not taking the next step stops
        it.

        Args:
            target: What grows; as for :meth:`pullback`.
            softening: ``Softening.relative(0.85)`` by default.
            steps: Number of steps, 1 or more.
            step_size: L2 length of a step in image units, above 0. A value of the image changes by
                ``step_size / sqrt(3 H W)`` in the quadratic mean, so that 20 at 224 px is like 2.9
                at 32 px.
            radius: L2 radius around the original image, above 0; None for no limit.

        Yields:
            A ``Step`` after each step.

        Raises:
            ValueError: For numbers out of range, unknown layers or classes.
        """
        softening = Softening.checked(softening)
        walk = ascend(
            self.recording,
            self.resolve(target),
            softening,
            steps=steps,
            step_size=step_size,
            radius=radius,
        )
        return self._told(walk, softening)

    def _told(
        self, walk: Generator[Step, None, None], softening: Softening
    ) -> Generator[Step, None, None]:
        """The steps as they are seen from outside: of one image, if the session has one."""
        tell(self.recording, softening)
        for step in walk:
            yield self._one_step(step)

    def _one_step(self, step: Step) -> Step:
        if not self._single:
            return step
        probability = step.probability
        return Step(
            step.index,
            step.perturbed[0],
            step.difference[0],
            float(step.score[0]),
            None if probability is None else float(probability[0]),
            None if step.logits is None else step.logits[0],
        )

    def resolve(self, target: TargetLike | Sequence[TargetLike] = None) -> list[Target]:
        """One concrete target per image: names looked up, None replaced by the top class."""
        return resolved(one_each(target, len(self)), self.recording)

    def unbatched(self, batch: Tensor) -> Tensor:
        """What a batch holds, (N, ...), as it is seen from outside: without N for one image."""
        return batch[0] if self._single else batch


def pullback(
    model: Model | nn.Module,
    image: Any,
    target: TargetLike | Sequence[TargetLike] = None,
    softening: Softening | None = None,
    *,
    range: Range | None = None,
) -> Tensor:
    """The excitation pullback of a target in one line; see :meth:`Session.pullback`.

    ``range`` is that of :class:`Session`.
    """
    model = Model.of(model)
    softening = Softening.checked(softening)
    batch, single = model.batch(image, range)
    wanted = one_each(target, len(batch))
    # Where only logits are asked for, layers need not be told apart, which makes it faster.
    logits = all(one is None or isinstance(as_target(one), Logit | Rivals) for one in wanted)
    recording = Recording(model, batch, layers=not logits or bool(softening.factors))
    targets = resolved(wanted, recording)
    tell(recording, softening)
    pulled = recording.pull(targets, softening, last=True)
    tell_independent(recording, targets, pulled)
    return pulled[0] if single else pulled


def layers(model: Model | nn.Module) -> list[Layer]:
    """The layers of a network in forward order, with the shapes that one image gives them."""
    model = Model.of(model)
    return Recording(model, model.blank(), grad=False).layers


def report(model: Model | nn.Module) -> Report:
    """Which gates of a network are softened, and which nonlinearities keep their own derivative."""
    model = Model.of(model)
    return Session(model, model.blank()).report


def with_indices(target: Target, model: Model) -> Target:
    """The target with every class name replaced by its index; two names become a difference.

    Raises:
        ValueError: For a name that no class has, or more than two.
    """
    if isinstance(target, Logit) and isinstance(target.label, str):
        parts = several(target.label, model.categories)
        if len(parts) == 2:
            first, second = (with_indices(Logit(part), model) for part in parts)
            return Difference(first, second)
    if isinstance(target, Logit | Rivals) and isinstance(target.label, str):
        return replace(target, label=model.class_index(target.label))
    if isinstance(target, Difference):
        return Difference(
            with_indices(as_target(target.first), model),
            with_indices(as_target(target.second), model),
        )
    return target


def one_each(target: TargetLike | Sequence[TargetLike], images: int) -> list[TargetLike]:
    """What was asked for, once for each image."""
    if not isinstance(target, list | tuple):
        return [target] * images  # type: ignore[list-item]  # str is the only other sequence
    if len(target) != images:
        raise ValueError(
            f"There are {len(target)} targets for {images} images; give one target for all, or one "
            "for each image."
        )
    return list(target)


def resolved(wanted: Sequence[TargetLike], recording: Recording) -> list[Target]:
    """Concrete targets: names looked up, None replaced by the image's top class."""
    top = recording.class_logits().argmax(1).tolist() if None in wanted else []
    return [
        Logit(top[n])
        if one is None
        else _with_token(with_indices(as_target(one), recording.model), recording)
        for n, one in enumerate(wanted)
    ]


def _with_token(target: Target, recording: Recording) -> Target:
    """The target with a patch (row, column) replaced by the number of its token."""
    if isinstance(target, Difference):
        first, second = as_target(target.first), as_target(target.second)
        return Difference(_with_token(first, recording), _with_token(second, recording))
    if not isinstance(target, Unit | Direction) or len(target.position or ()) != 2:
        return target
    assert target.position is not None
    patch = (target.position[0], target.position[1])
    for layer in recording.layers:
        tokens = layer.tokens
        if layer.name == target.layer and tokens is not None:
            if not all(i < n for i, n in zip(patch, tokens.grid, strict=True)):
                raise ValueError(
                    f"Patch {patch} is not in layer {layer.name!r}, whose tokens are "
                    f"{tokens.grid[0]} x {tokens.grid[1]} patches; choose (row, column) inside."
                )
            return replace(target, position=(tokens.number(patch),))
    return target
