"""Where networks run, and in which type: chosen, or found from what the images meet."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .inside import modules_inside

_chosen: torch.device | None = None


def get_device() -> torch.device:
    """The device that networks of the catalogue run on: CUDA, then MPS, then the CPU.

    Chosen once; :func:`set_device` changes it.
    """
    global _chosen
    if _chosen is None:
        if torch.cuda.is_available():
            _chosen = torch.device("cuda")
        elif torch.backends.mps.is_available():
            _chosen = torch.device("mps")
        else:
            _chosen = torch.device("cpu")
    return _chosen


def set_device(device: str | torch.device | None) -> None:
    """Choose the device for networks loaded from now on; ``None`` chooses again.

    Raises:
        ValueError: If torch cannot use that device here.
    """
    global _chosen
    _chosen = None if device is None else usable(device)


def usable(device: str | torch.device) -> torch.device:
    """The device with its index, as tensors name it.

    Raises:
        ValueError: If torch cannot use it here.
    """
    try:
        found = torch.device(device)
        found = torch.empty(1, device=found).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"The device {str(device)!r} cannot be used here ({str(error).splitlines()[0]}); "
            'try "cpu", or None to let pullback_widgets choose.'
        ) from error
    return found


def devices() -> list[torch.device]:
    """What can compute here: GPUs, MPS, the CPU."""
    found = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(torch.device("mps", 0))
    return [*found, torch.device("cpu")]


def device_name(device: torch.device) -> str:
    """What people call a device: the GPU's own name beside torch's."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return "CPU" if device.type == "cpu" else str(device)


def memory_of(device: torch.device) -> tuple[int, int] | None:
    """Bytes of a device's memory that are free, and in use by anyone; None where no one says."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
    elif device.type == "mps":
        total = torch.mps.recommended_max_memory()
        free = total - torch.mps.driver_allocated_memory()
    elif device.type == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", ()):
        page = os.sysconf("SC_PAGE_SIZE")
        free, total = (page * os.sysconf(one) for one in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
    else:
        return None
    return free, total - free


def device_of(module: nn.Module) -> torch.device | None:
    """Where the first parameter or buffer is; None without any.

    Weights that are loaded only while a module runs lie on the device "meta" until then. What
    Hugging Face's accelerate offloads says where it computes.
    """
    first: torch.device | None = None
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if tensor.device.type != "meta":
            return tensor.device
        first = first or tensor.device
    if first is not None:
        for child in module.modules():
            place = getattr(getattr(child, "_hf_hook", None), "execution_device", None)
            if place is not None:
                return usable(f"cuda:{place}" if isinstance(place, int) else place)
    return first


def type_of(module: nn.Module) -> torch.dtype:
    """The floating-point type of the first parameter or buffer that has one, or of its parts."""
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if tensor.is_floating_point() or tensor.is_complex():
            return tensor.dtype.to_real()
    return torch.get_default_dtype()


def is_mixed(module: nn.Module) -> bool:
    """Whether floating-point parameters have several types, or lie on several devices."""
    first: tuple[torch.device, torch.dtype] | None = None
    for child in modules_inside(module):
        for one in child._parameters.values():
            if one is None:
                continue
            kind = one.device, one.dtype
            if kind != first and one.is_floating_point() and one.device.type != "meta":
                if first is not None:
                    return True
                first = kind
    return False


def met_by(
    image: Tensor, module: nn.Module, run: Callable[[], object]
) -> tuple[torch.device, torch.dtype] | None:
    """Device and type of the parameters that an image meets first.

    A network casts what it is given, or takes it as it is. Which one, only a forward pass tells:
    what counts is the innermost module that is called with the image itself and has parameters.

    Args:
        image: A batch as the network takes it.
        module: The network.
        run: Runs the network on ``image``; whatever it raises is ignored here.

    Returns:
        None if no such module is called.
    """
    thread = threading.get_ident()
    met: list[tuple[torch.device, torch.dtype]] = []

    def before(child: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != thread:
            return
        if not any(one is image for one in args):
            if met:  # what comes from here on is called with something else
                raise _Known
            return
        own = [one for one in child.parameters(recurse=False) if one.is_floating_point()]
        met.extend((one.device, one.dtype) for one in own[:1] if one.device.type != "meta")
        if own and not any(child.children()):
            raise _Known

    handles = [child.register_forward_pre_hook(before) for child in module.modules()]
    try:
        with torch.no_grad():
            run()
    except (_Known, Exception):  # a type that does not fit, too, is what we want to know
        pass
    finally:
        for handle in handles:
            handle.remove()
    return met[-1] if met else None


class _Known(BaseException):
    """The image has met its parameters; not an Exception, so that no network swallows it."""
