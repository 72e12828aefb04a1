"""A stand-in for a GPU: a device whose tensors have values, and that tells what is done to it.

Its tensors keep their numbers on the CPU and say that they are somewhere else. One that meets a
tensor of the CPU is an error, as it is on a GPU, and whatever a GPU would make Python wait for is
noted. So what holds of devices is tested where there is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("lazy", 0)
"""A device that torch knows and that no build of it computes on; autograd runs in the caller's
thread for it, as for the CPU."""

aten = torch.ops.aten

# What has a size or a value that Python must know before it goes on.
_WAITS = {
    aten._local_scalar_dense.default: "a number is read",
    aten.nonzero.default: "places are counted",
    aten.masked_select.default: "places are counted",
    aten.equal.default: "tensors are compared",
    aten.unique_dim.default: "values are counted",
    aten._unique2.default: "values are counted",
}
_NOT_COMPUTED = {aten._has_compatible_shallow_copy_type.default}
_COPIES = {aten._to_copy.default, aten.copy_.default}


class Device:
    """What was done to the device.

    Attributes:
        waits: What made Python wait for it, in order.
        down: Elements and type of each tensor that was copied to the CPU, in order.
        up: Likewise of each that came from there.
    """

    def __init__(self) -> None:
        self.waits: list[str] = []
        self.down: list[tuple[int, torch.dtype]] = []
        self.up: list[tuple[int, torch.dtype]] = []

    def forget(self) -> None:
        """Begin to note anew."""
        self.waits, self.down, self.up = [], [], []

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was copied or waited for."""
        return not (self.waits or self.down or self.up)


class _There(Tensor):
    """A tensor on the device."""

    inner: Tensor

    @staticmethod
    def __new__(cls: type[_There], inner: Tensor) -> _There:
        one: _There = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=ELSEWHERE,
        )
        one.inner = inner
        return one

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        raise AssertionError(f"{func} of a tensor elsewhere; enter elsewhere() in this thread")

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.inner.untyped_storage()

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def __repr__(self, **_: Any) -> str:
        return f"{self.inner!r} elsewhere"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        twin = _There(self.inner.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            twin = torch.nn.Parameter(twin, self.requires_grad)  # type: ignore[assignment]
        memo[id(self)] = twin
        return twin


class _Mode(TorchDispatchMode):
    """Computes on the CPU what is asked of the device."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        there = [one for one in given if isinstance(one, _There)]
        wanted = None if kwargs.get("device") is None else torch.device(kwargs["device"])
        if not there and (wanted is None or wanted.type != ELSEWHERE.type):
            return func(*args, **kwargs)
        self._note(func, given, there, wanted)
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        here = tree_map(_inner, (tuple(args), kwargs))
        out = func(*here[0], **here[1])
        stays = ELSEWHERE if wanted is None else wanted
        if func is aten.copy_.default and not isinstance(args[0], _There):
            return args[0]
        if stays.type == ELSEWHERE.type:
            out = tree_map(lambda one: _There(one) if isinstance(one, Tensor) else one, out)
            return return_and_correct_aliasing(func, args, kwargs, out)
        return out

    def _note(
        self, func: Any, given: list[Tensor], there: list[_There], wanted: torch.device | None
    ) -> None:
        device = self.device
        if func in _NOT_COMPUTED:
            return
        if func in _COPIES:
            source = given[-1] if func is aten.copy_.default else given[0]
            target = given[0].device if func is aten.copy_.default else wanted or source.device
            if source.device.type == target.type:
                return
            journey = device.down if isinstance(source, _There) else device.up
            journey.append((source.numel(), source.dtype))
            return
        if func in _WAITS:
            device.waits.append(_WAITS[func])
        if "index" in func._schema.name and any(
            one.dtype in (torch.bool, torch.uint8) for one in given[1:]
        ):
            device.waits.append("places are counted")
        strangers = [one for one in given if not isinstance(one, _There) and one.dim() > 0]
        if there and strangers:
            raise RuntimeError(
                f"{func} got tensors of the devices {ELSEWHERE} and {strangers[0].device}; "
                "expected all of them on one."
            )


def _inner(one: Any) -> Any:
    return one.inner if isinstance(one, _There) else one


@contextlib.contextmanager
def elsewhere() -> Iterator[Device]:
    """While this lasts, ``ELSEWHERE`` can be computed on in this thread."""
    device = Device()
    future = torch.__future__
    lifted, overwritten = (
        torch._C._only_lift_cpu_tensors(),
        future.get_overwrite_module_params_on_conversion(),
    )
    # torch.tensor(..., device=...) would make its tensor there, past the mode.
    torch._C._set_only_lift_cpu_tensors(True)
    # A module that is moved or cast gets new parameters, not new data in the old ones.
    future.set_overwrite_module_params_on_conversion(True)
    try:
        with _Mode(device):
            yield device
    finally:
        torch._C._set_only_lift_cpu_tensors(lifted)
        future.set_overwrite_module_params_on_conversion(overwritten)
