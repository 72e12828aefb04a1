"""A few images in front of a network: what all metrics and methods share of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..engine.model import Model
from ..engine.output import probabilities_of
from ..engine.session import Session
from .methods import PIXELS, Explainer, key

Made = TypeVar("Made")
Scores = NDArray[np.float64]
MOST = 128
"""At most so many images go through the network at once, however small they are."""

Perturbed = Iterable[tuple[int, Tensor]]
"""Images (C, H, W), each with the number of the one in the batch that it was made of."""


@dataclass(frozen=True)
class Neighbour:
    """An image for mosaics.

    Attributes:
        key: What it is known by.
        top: The network's own top class.
        label: Its class, where one is known.
        pixels: At half the size, (C, H / 2, W / 2).
    """

    key: int
    top: int
    label: int | None
    pixels: Tensor


@dataclass(eq=False)
class Batch:
    """N images in front of a network, with a class each.

    Attributes:
        session: The images, recorded.
        targets: The class of each.
        seed: Of all chance, together with the image.
        at_once: How many perturbed images of 224 x 224 pixels go through the network at once; of
            smaller ones as many more.
        neighbours: Images for mosaics.
        second: Another network, which counterfactuals are shown to.
        problems: Why a control has no numbers, by its name.
        of_run: What is kept for all batches of a run, such as copies of the network.
    """

    session: Session
    targets: list[int]
    seed: int = 0
    at_once: int = 8
    neighbours: Sequence[Neighbour] = ()
    second: Model | None = None
    problems: dict[str, str] = field(default_factory=dict)
    of_run: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = [key(one) for one in self.x]
        self._maps: dict[str, Tensor] = {}
        self._kept: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def model(self) -> Model:
        return self.session.model

    @property
    def x(self) -> Tensor:
        """The images, (N, C, H, W) in [-1, 1], on the model's device."""
        return self.session.recording.x.detach()

    @property
    def logits(self) -> Tensor:
        """What the network says of them, (N, K), on the CPU."""
        return self.session.recording.class_logits().detach().cpu()

    @property
    def scores(self) -> Scores:
        """The target's logit of each, (N,)."""
        return exact(self.logits[torch.arange(len(self)), self.targets])

    def chance(self, number: int, what: str) -> np.random.Generator:
        """Random numbers for an image and a purpose, whatever else is in the batch."""
        return np.random.default_rng([self.seed, self.keys[number], zlib.crc32(what.encode())])

    def shared(self, what: Any, make: Callable[[], Made]) -> Made:
        """What several metrics and methods need, made once."""
        if what not in self._kept:
            self._kept[what] = make()
        found: Made = self._kept[what]
        return found

    def once(self, what: Any, make: Callable[[], Made]) -> Made:
        """What all batches of a run need, made once."""
        if what not in self.of_run:
            self.of_run[what] = make()
        found: Made = self.of_run[what]
        return found

    def maps(self, method: Explainer) -> Tensor | None:
        """A method's maps of the targets, (N, C, H, W); None of a control that cannot run."""
        if method.name not in self._maps:
            found = self.explained(method, self.session, self.targets)
            if found is None:
                return None
            self._maps[method.name] = found
        return self._maps[method.name]

    def explained(
        self, method: Explainer, session: Session, targets: Sequence[int]
    ) -> Tensor | None:
        """A method's maps of other images or targets; None of a control that cannot run."""
        if method.name in self.problems:
            return None
        try:
            return method.explain(session, targets).detach()
        except (ValueError, ImportError) as error:
            if not method.control:
                raise
            self.problems[method.name] = str(error)
            return None

    def values(
        self,
        perturbed: Perturbed,
        targets: Sequence[int] | None = None,
        *,
        probability: bool = False,
    ) -> Scores:
        """The targets' logits of perturbed images, in few forward passes and little memory.

        Args:
            perturbed: The images; a generator is drawn from as far as one pass needs it.
            targets: Other classes than the batch's.
            probability: Whether probabilities are meant, where the network has them.

        Returns:
            A number for each, in order.
        """
        wanted = self.targets if targets is None else targets
        most = max(1, min(MOST, self.at_once * PIXELS // self.x[0].numel()))
        found: list[Scores] = []
        numbers: list[int] = []
        images: list[Tensor] = []

        def run() -> None:
            said = answers(self.model, torch.stack(images))
            if probability:
                shares = probabilities_of(said, self.model.probability)
                said = said if shares is None else shares
            rows = torch.arange(len(said), device=said.device)
            classes = torch.tensor([wanted[n] for n in numbers], device=said.device)
            found.append(exact(said[rows, classes]))
            numbers.clear()
            images.clear()

        for number, image in perturbed:
            numbers.append(number)
            images.append(image)
            if len(images) >= most:
                run()
        if images:
            run()
        return np.concatenate(found) if found else np.zeros(0)


def answers(model: Model, images: Tensor) -> Tensor:
    """The logits of images (N, C, H, W), (N, K), without a graph."""
    device, dtype = model.placement()
    with torch.inference_mode(False), torch.no_grad(), model.evaluating():
        x = images.to(device, dtype)
        return model.logits(model.run(model.normalise(x)), len(x)).detach()


def exact(values: Tensor) -> Scores:
    """Numbers of a tensor in double precision."""
    return np.asarray(values.detach().cpu().double().numpy())
