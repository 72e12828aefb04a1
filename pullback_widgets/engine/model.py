"""The network: a module as its owner made it, and what must be known to show images to it."""

from __future__ import annotations

import copy
import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .. import checks
from .buffers import copies_of_buffers
from .caller import warn_caller
from .category import looked_up, names_of, unnamed
from .channels import mean_and_std, wrong_channels
from .copies import copied
from .device import device_of, get_device, is_mixed, met_by, type_of, usable
from .eager import eagerly
from .image import SAMPLES, Range, to_batch, to_tensor
from .inputs import further, wrong_arguments
from .inside import modules_inside
from .output import (
    Choice,
    Probability,
    checked_choice,
    checked_probability,
    logits_in,
    picked,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

INFERENCE = (
    "The network computes with tensors that were made under torch.inference_mode, through which "
    "torch gives no gradient; where these are its weights, give copy.deepcopy(network), and where "
    "its forward makes them, use torch.no_grad there."
)

# One lock for each module, since several models may wrap the same one.
_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()


class Model:
    """A network and its preprocessing. The module itself is never changed.

    Attributes:
        module: The network as given (or its copy on ``device``, if one was asked for).
        mean: Of each of the C channels; the network sees ``((x + 1) / 2 - mean) / std`` of an
            image ``x`` in [-1, 1].
        std: Likewise.
        size: Side in pixels to which photographs are resized and cropped.
        categories: Class names at the index of their class, or None.
        name: A short name for labels.
        catalogue_name: What ``load_model`` calls it, None for one's own.
        output: Which part of what the network returns are the logits; None where none was chosen.
        probability: What makes probabilities of them; None where it is noticed.
        inputs: From images to the network's further arguments, or None.
        lock: Held while the module runs in another mode than its own.

    While a network in training mode is run it is in evaluation mode, so do not train it in another
    thread at the same time.
    """

    def __init__(
        self,
        module: nn.Module,
        mean: Sequence[float] | float = IMAGENET_MEAN,
        std: Sequence[float] | float = IMAGENET_STD,
        size: int = 224,
        categories: Sequence[str] | Mapping[Any, Any] | None = None,
        name: str | None = None,
        device: str | torch.device | None = None,
        calibration: Any = None,
        *,
        output: Choice = None,
        probability: Probability | None = None,
        inputs: Callable[[Tensor], Any] | None = None,
    ) -> None:
        """Wrap a module.

        Args:
            module: Any network from (N, C, H, W) images. It best returns (N, K) logits, for which
                (N,) is (N, 1); a map (N, K, H, W) has channels and no classes.
            mean: One number for each channel that the network takes, of images in [0, 1]; or one
                number for all. Photographs become grey for a network of one channel; other numbers
                than 1 and 3 are for tensors.
            std: Likewise, numbers above 0.
            size: Side of the square input in pixels.
            categories: K class names; or a mapping from class index to name, whose indices may be
                text.
            name: A short name; the class name by default.
            device: Where to run. By default where the module's parameters are; another device gets
                a copy, so that the given module stays where it is.
            calibration: Images for the scales that no batch norm gives (see ``scale.py``): what
                ``Session`` takes, best a dozen or more. By default the sample photographs.
            output: Which part of what the network returns are its logits: a name, an index, or a
                function from all of it to a tensor. By default what is called ``logits`` or
                ``out``, or the only tensor that fits; several are an error, once a target asks.
            probability: What makes probabilities of the logits. ``"softmax"``: one of K classes;
                ``"sigmoid"``: each of K labels for itself; ``"given"``: they are probabilities
                already; ``"none"``: there are none. By default rows in [0, 1] that sum to 1 are
                given, a single output is a sigmoid's, and everything else a softmax's.
            inputs: A function from what the network sees of a batch, (N, C, H, W), to its further
                arguments: a tuple of those in order behind the images, or a dict of keywords.

        Raises:
            TypeError: If ``module`` is not a torch module, or ``output`` or ``inputs`` are not what
                they can be.
            ValueError: If another of the arguments makes no sense.
        """
        if not isinstance(module, nn.Module):
            if type(module).__name__ == "ExportedProgram":
                raise TypeError(
                    "The network is an ExportedProgram; expected a torch.nn.Module, which its "
                    "module() is."
                )
            raise TypeError(
                f"The network is {type(module).__name__}; expected a torch.nn.Module. For a "
                "network of the catalogue use pw.load_model(name)."
            )
        scripted: type = torch.jit.ScriptModule
        if isinstance(module, scripted):
            raise TypeError(
                "The network is TorchScript, whose gates cannot be seen; give the Python module "
                "that it was made from."
            )
        self.mean, self.std = mean_and_std(mean, std, module)
        self.size = checks.whole("size", size, hint=", the input's side in pixels, such as 224")
        self.categories = names_of(categories)
        self.catalogue_name: str | None = None
        self.name = name or type(module).__name__
        self.output = checked_choice(output)
        self.probability = checked_probability(probability)
        if inputs is not None and not callable(inputs):
            raise TypeError(
                f"inputs is {type(inputs).__name__}; expected a function from the batch of images "
                "to the network's further arguments, a tuple or a dict."
            )
        self.inputs = inputs
        if device is not None and usable(device) != device_of(module):
            module = copied(module).to(usable(device))
        self.module = module
        self._calibration = calibration
        self._met: tuple[torch.device, torch.dtype] | None = None
        self._outputs: int | None = None  # how many the network has, after a forward pass
        self._names_compared = False
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

    def __getstate__(self) -> dict[str, Any]:
        # A lock neither pickles nor copies, and belongs to this module in this process.
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.lock = _locks.setdefault(self.module, threading.RLock())

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        module = memo[id(self.module)] = copied(self.module, memo)
        twin = copy.copy(self)
        memo[id(self)] = twin
        rest = {name: one for name, one in self.__getstate__().items() if name != "module"}
        twin.__setstate__({"module": module, **copy.deepcopy(rest, memo)})
        return twin

    @property
    def channels(self) -> int:
        """Number of channels of its images, as many as ``mean`` has numbers."""
        return len(self.mean)

    @property
    def device(self) -> torch.device:
        """Where the network's parameters are, or those that the image meets first."""
        return self.placement()[0]

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the network's parameters, or of those met first."""
        return self.placement()[1]

    def placement(self) -> tuple[torch.device, torch.dtype]:
        """The device and the type together, which takes half the time."""
        if not is_mixed(self.module):
            return device_of(self.module) or get_device(), type_of(self.module)
        if self._met is None:
            first = device_of(self.module) or get_device(), type_of(self.module)
            seen = self.normalise(self.blank().to(*first))
            with self.evaluating(), torch.inference_mode(False):
                self._met = met_by(seen, self.module, lambda: self.run(seen)) or first
        return self._met

    def on(self, device: str | torch.device) -> Model:
        """The same network on another device, a copy; itself if it is there.

        Raises:
            ValueError: If torch cannot use that device here.
        """
        place = usable(device)
        if place == self.device:
            return self
        twin = copy.copy(self)
        twin.module = copied(self.module).to(place)
        twin.lock = _locks.setdefault(twin.module, threading.RLock())
        twin._met = None
        return twin

    def blank(self, height: int | None = None, width: int | None = None) -> Tensor:
        """An image of mid-grey, (1, C, H, W), of the model's own size where none is given."""
        return torch.zeros(1, self.channels, height or self.size, width or self.size)

    def image(self, source: Any) -> Tensor:
        """One image as ``Session`` takes it, (C, H, W) in [-1, 1].

        Raises:
            ImageError: If it cannot be read, or is none of this network's.
        """
        return to_tensor(source, self.size, self.channels)

    def batch(self, images: Any, range: Range | None = None) -> tuple[Tensor, bool]:
        """What ``Session`` takes as a batch, (N, C, H, W), and whether it is a single image."""
        return to_batch(images, self.size, self.channels, range)

    def normalise(self, x: Tensor) -> Tensor:
        """What the network sees of images ``x`` in [-1, 1]: ``((x + 1) / 2 - mean) / std``."""
        make = _columns if x.device.type == "cpu" else _kept_columns
        mean, std = make(tuple(self.mean), tuple(self.std), x.dtype, x.device)
        return ((x + 1) / 2 - mean) / std

    def run(self, seen: Tensor) -> Any:
        """What the network returns for what it sees, with its further inputs.

        Raises:
            TypeError: If it wants other arguments than it is given.
            ValueError: If it takes images of another number of channels.
            Exception: Whatever the network raises.
        """
        args, kwargs = further(self.inputs, seen)
        try:
            return self.module(seen, *args, **kwargs)
        except TypeError as error:
            problem = wrong_arguments(self.module, (seen, *args), kwargs)
            if problem is None:
                raise
            raise TypeError(problem) from error
        except AssertionError as error:
            if "Guard failed" not in str(error):
                raise
            raise ValueError(
                f"The network was exported for inputs of other shapes than {tuple(seen.shape)}, "
                f"which pullbacks or their calibration need ({error}); export it for batches of "
                'any size: torch.export.export(..., dynamic_shapes=({0: torch.export.Dim("n")},)), '
                "or give pw.Model(calibration=...) a batch of that size."
            ) from error
        except RuntimeError as error:
            if "Inference tensors cannot be saved" in str(error):
                raise RuntimeError(INFERENCE) from error
            problem = wrong_channels(str(error), seen)
            if problem is None:
                raise
            raise ValueError(problem) from error

    def logits(self, returned: Any, images: int) -> Tensor:
        """The output in what the network returned for N images; see ``output.logits_in``.

        Raises:
            ValueError: If it cannot be found without a guess.
        """
        names = None if self.categories is None else len(self.categories)
        found = logits_in(picked(returned, self.output), self.output, images, names)
        self._outputs = found.shape[1]
        return found

    @property
    def classes(self) -> int | None:
        """Number of classes; None before the first forward pass, and of a network without any."""
        return self._outputs

    def _compare_names(self) -> None:
        """Warn, once, if there are not as many names as outputs; called where a name is used.

        Not an error: layers and indices are right all the same, and networks with one output more
        than names, such as a background, are common.
        """
        names, outputs = self.categories, self._outputs
        if names is None or outputs in (None, len(names)) or self._names_compared:
            return
        self._names_compared = True
        warn_caller(
            f"{self.name} has {outputs} outputs and categories has {len(names)} names, so that "
            "names may stand at wrong classes; give pw.Model one name for each output, in order."
        )

    def label(self, index: int) -> str:
        """The name of a class, ``class 497`` where there is none."""
        self._compare_names()
        if self.categories is not None and 0 <= index < len(self.categories):
            return self.categories[index]
        return unnamed(index)

    def class_index(self, name: str) -> int:
        """The class with this name; upper and lower case are the same.

        Of a name with commas, as timm's, each of the synonyms between them is enough.

        Raises:
            ValueError: If no class is called so, or several are; it says what may be meant.
        """
        self._compare_names()
        return looked_up(name, self.categories, self.name)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The module in evaluation mode, not compiled, writing to copies of its buffers.

        Every flag and buffer is put back, whatever happens inside.
        """
        with self.lock:
            modules = modules_inside(self.module)
            training = [module for module in modules if module.training]
            try:
                for module in training:
                    # The flag itself: train() may be overridden, or touch more than the flag.
                    module.training = False
                with eagerly(), copies_of_buffers(modules):
                    yield
            finally:
                for module in training:
                    module.training = True

    def calibration_batch(self, height: int, width: int) -> Tensor:
        """The images that measure scales, (N, C, H, W): the user's own, or the samples cropped."""
        if self._calibration is not None:
            batch, _ = self.batch(self._calibration)
        elif self.channels not in (1, 3):
            raise ValueError(
                "A relative temperature needs images to measure scales on, and the sample "
                f"photographs do not have {self.channels} channels; give pw.Model(calibration=...) "
                f"tensors ({self.channels}, H, W), or use an absolute temperature."
            )
        else:
            side = max(height, width)
            batch, _ = to_batch(list(SAMPLES), side, self.channels)
            top, left = (side - height) // 2, (side - width) // 2
            batch = batch[..., top : top + height, left : left + width]
        return batch.to(self.device, self.dtype)


def _columns(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Mean and deviation, (C, 1, 1)."""
    with torch.inference_mode(False):
        first, second = (torch.tensor(one, dtype=dtype, device=device) for one in (mean, std))
        return first.view(-1, 1, 1), second.view(-1, 1, 1)


_kept_columns = functools.lru_cache(maxsize=32)(_columns)
"""The same, once for all: what is sent to a GPU is waited for."""


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
