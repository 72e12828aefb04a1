"""The network: a module as its owner made it, and what must be known to show images to it."""

from __future__ import annotations

import copy
import difflib
import itertools
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .. import checks
from .image import SAMPLES, to_batch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_chosen_device: torch.device | None = None

# One lock for each module, since several models may wrap the same one.
_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()


def get_device() -> torch.device:
    """The device that networks of the catalogue run on: CUDA, then MPS, then the CPU.

    Chosen once; :func:`set_device` changes it.
    """
    global _chosen_device
    if _chosen_device is None:
        if torch.cuda.is_available():
            _chosen_device = torch.device("cuda")
        elif torch.backends.mps.is_available():
            _chosen_device = torch.device("mps")
        else:
            _chosen_device = torch.device("cpu")
    return _chosen_device


def set_device(device: str | torch.device | None) -> None:
    """Choose the device for networks loaded from now on; ``None`` chooses again.

    Raises:
        ValueError: If torch cannot use that device here.
    """
    global _chosen_device
    _chosen_device = None if device is None else _usable(device)


def _usable(device: str | torch.device) -> torch.device:
    try:
        usable = torch.device(device)
        usable = torch.empty(1, device=usable).device  # with its index, as tensors name it
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"The device {str(device)!r} cannot be used here ({str(error).splitlines()[0]}); "
            'try "cpu", or None to let pullback_widgets choose.'
        ) from error
    return usable


class Model:
    """A network and its preprocessing. The module itself is never changed.

    Attributes:
        module: The network as given (or its copy on ``device``, if one was asked for).
        mean: Of each colour channel; the network sees ``((x + 1) / 2 - mean) / std`` of an image
            ``x`` in [-1, 1].
        std: Likewise.
        size: Side in pixels to which photographs are resized and cropped.
        categories: Class names, or None.
        name: A short name for labels.
        catalogue_name: What ``load_model`` calls it, None for one's own.
        lock: Held while the module runs in another mode than its own.

    While a network in training mode is run it is in evaluation mode, so do not train it in another
    thread at the same time.
    """

    def __init__(
        self,
        module: nn.Module,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size: int = 224,
        categories: Sequence[str] | None = None,
        name: str | None = None,
        device: str | torch.device | None = None,
        calibration: Any = None,
    ) -> None:
        """Wrap a module.

        Args:
            module: Any network from (N, 3, H, W) images to (N, K) logits.
            mean: Three numbers, of images in [0, 1].
            std: Three numbers above 0.
            size: Side of the square input in pixels.
            categories: K class names.
            name: A short name; the class name by default.
            device: Where to run. By default where the module's parameters are; another device gets
                a copy, so that the given module stays where it is.
            calibration: Images for the scales that no batch norm gives (see ``scale.py``): what
                ``Session`` takes, best a dozen or more. By default the sample photographs.

        Raises:
            TypeError: If ``module`` is not a torch module.
            ValueError: If mean, std or size make no sense.
        """
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"The network is {type(module).__name__}; expected a torch.nn.Module. For a "
                "network of the catalogue use pw.load_model(name)."
            )
        self.mean = _three("mean", mean)
        self.std = _three("std", std)
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}; expected three numbers above 0.")
        scripted: type = torch.jit.ScriptModule
        if isinstance(module, scripted):
            raise TypeError(
                "The network is TorchScript, whose gates cannot be seen; give the Python module "
                "that it was made from."
            )
        self.size = checks.whole("size", size, hint=", the input's side in pixels, such as 224")
        if isinstance(categories, Mapping):  # index -> name, as some label files have it
            categories = [categories[index] for index in sorted(categories)]
        self.categories = None if categories is None else tuple(map(str, categories))
        self.catalogue_name: str | None = None
        self.name = name or type(module).__name__
        if device is not None and _usable(device) != _device_of(module):
            module = copy.deepcopy(module).to(_usable(device))
        self.module = module
        self._calibration = calibration
        self.lock = _locks.setdefault(module, threading.RLock())

    @classmethod
    def of(cls, model: Model | nn.Module) -> Model:
        """The model itself; a bare module wrapped, with ImageNet preprocessing at 224 px.

        Raises:
            TypeError: If it is neither.
        """
        return model if isinstance(model, Model) else cls(model)

    def __repr__(self) -> str:
        return f"<Model {self.name}, {self.size} px, on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Where the network's parameters are."""
        return _device_of(self.module) or get_device()

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the network's parameters."""
        for tensor in itertools.chain(self.module.parameters(), self.module.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype
        return torch.get_default_dtype()

    def normalise(self, x: Tensor) -> Tensor:
        """What the network sees of images ``x`` in [-1, 1]: ``((x + 1) / 2 - mean) / std``."""
        mean = torch.tensor(self.mean, dtype=x.dtype, device=x.device).view(3, 1, 1)
        std = torch.tensor(self.std, dtype=x.dtype, device=x.device).view(3, 1, 1)
        return ((x + 1) / 2 - mean) / std

    def label(self, index: int) -> str:
        """The name of a class, ``class 497`` where there is none."""
        if self.categories is not None and 0 <= index < len(self.categories):
            return self.categories[index]
        return f"class {index}"

    def class_index(self, name: str) -> int:
        """The class with this name, or the only one whose name has this part.

        Raises:
            ValueError: If no class fits, or several do; it lists the nearest.
        """
        if self.categories is None:
            raise ValueError(
                f"The network {self.name} has no class names, so {name!r} cannot be looked up; "
                "give the class index, or pass categories=[...] to pw.Model."
            )
        wanted = name.strip().casefold()
        names = [category.casefold() for category in self.categories]
        fits = [i for i, category in enumerate(names) if category == wanted] or [
            i for i, category in enumerate(names) if wanted and wanted in category
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            listed = ", ".join(f"{self.categories[i]} ({i})" for i in fits[:6])
            more = ", ..." if len(fits) > 6 else ""
            raise ValueError(
                f"{name!r} fits {len(fits)} classes: {listed}{more}; "
                "give more of the name, or the index."
            )
        near = difflib.get_close_matches(wanted, names, n=4, cutoff=0.5)
        hint = "; nearest: " + ", ".join(
            f"{self.categories[names.index(n)]} ({names.index(n)})" for n in near
        )
        raise ValueError(
            f"No class of {self.name} is called {name!r}{hint if near else ''}; "
            "give a part of a class name, or an index."
        )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The module in evaluation mode; every flag is put back, whatever happens inside."""
        with self.lock:
            training = [module for module in modules_inside(self.module) if module.training]
            try:
                for module in training:
                    # The flag itself: train() may be overridden, or touch more than the flag.
                    module.training = False
                yield
            finally:
                for module in training:
                    module.training = True

    def calibration_batch(self, height: int, width: int) -> Tensor:
        """The images that measure scales, (N, 3, H, W): the user's own, or the samples cropped."""
        if self._calibration is not None:
            batch, _ = to_batch(self._calibration, self.size)
        else:
            side = max(height, width)
            batch, _ = to_batch(list(SAMPLES), side)
            top, left = (side - height) // 2, (side - width) // 2
            batch = batch[..., top : top + height, left : left + width]
        return batch.to(self.device, self.dtype)


class Direct(Model):
    """A network that takes its inputs as they are: of any shape, and without preprocessing."""

    def normalise(self, x: Tensor) -> Tensor:
        return x

    def calibration_batch(self, height: int, width: int) -> Tensor:
        if self._calibration is None:
            raise ValueError(
                "A relative temperature needs inputs to measure scales on; give calibration=... a "
                "tensor of inputs, or use an absolute temperature."
            )
        return torch.as_tensor(self._calibration).to(self.device, self.dtype)


def modules_inside(module: nn.Module) -> list[nn.Module]:
    """What ``module.modules()`` gives, several times faster: every forward pass needs it."""
    found = {id(module): module}
    waiting = [module]
    while waiting:
        for child in waiting.pop()._modules.values():
            if child is not None and id(child) not in found:
                found[id(child)] = child
                waiting.append(child)
    return list(found.values())


def _device_of(module: nn.Module) -> torch.device | None:
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        return tensor.device
    return None


def _three(what: str, values: Sequence[float]) -> tuple[float, float, float]:
    try:
        first, second, third = (float(value) for value in values)
    except (TypeError, ValueError):
        raise ValueError(
            f"{what} is {values!r}; expected three numbers, one per colour channel."
        ) from None
    return first, second, third
