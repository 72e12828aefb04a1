"""Sees every torch call of a forward pass and puts soft gates behind the hard ones.

A ``TorchFunctionMode`` sees a call whether it is written as a module, a function or a method; the
gates among the calls are handed to ``gate``. What the layers were worth is noted in a ``trace``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .aten import namesake
from .checkpointing import is_checkpointed, kept_values
from .factors import ACTIVATED, Factors, Mark, concerns_factors
from .gate import Gate, Kept, Settings
from .heads import ATTENTION, find_heads
from .operations import Call, find_held, find_weighted_sum, may_be_held, with_held_factor
from .pool import Pool
from .rectifier import MaxPool, Rectifier, find_max_pool, find_rectifier, may_be_gate
from .scale import ScaleMap, channel_deviation, follows_scale
from .trace import (
    TELLING,
    Trace,
    is_transformed,
    may_overwrite,
    note_written,
    overwritten_by,
)
from .unread import forget_input, may_leave_unread

ACTIVATED_VALUE = Mark(ACTIVATED)


class _Concerns(NamedTuple):
    """What a call of a function may be, looked up once for each function.

    Attributes:
        func: Under the name that Python has for it.
        tells: It says what a tensor is like and makes none.
        holds: It may have a part that is held constant.
        gates: It may be a gate.
        writes: It may overwrite a tensor, not only by ``out``.
        scales: It may pass a scale on.
        factors: It may make a bounded factor, or pass one on.
        attends: It may be attention.
        unread: It may keep an input that no gradient by the image reads.
    """

    func: Callable[..., Any]
    tells: bool
    holds: bool
    gates: bool
    writes: bool
    scales: bool
    factors: bool
    attends: bool
    unread: bool


@functools.cache
def _concerns(called: Callable[..., Any]) -> _Concerns:
    func = namesake(called)
    return _Concerns(
        func,
        func in TELLING,
        may_be_held(func),
        may_be_gate(func),
        may_overwrite(func),
        follows_scale(func),
        concerns_factors(func),
        func in ATTENTION,
        may_leave_unread(func),
    )


TAKING_GRADIENTS = {torch.autograd.grad, torch.autograd.backward, Tensor.backward}


class TakesGradients(BaseException):
    """The network takes gradients while it runs; not an Exception, so that none swallows it."""


class Recorder(TorchFunctionMode):
    """Sees every torch call of the forward pass and puts soft gates behind the hard ones."""

    def __init__(
        self,
        trace: Trace,
        settings: Settings,
        measured: dict[int, Tensor] | None,
        image: Tensor,
        *,
        whole: bool = True,
    ) -> None:
        """Begin with an image.

        Args:
            trace: What is left behind.
            settings: What the gates will read.
            measured: Filled with the deviation of channels.
            image: What gradients will be taken by.
            whole: Whether gradients by anything else may be taken, such as weights.
        """
        super().__init__()
        self.image, self.whole = image, whole
        self.factors = Factors(image)
        self.trace = trace
        self.settings = settings
        self.measured = measured
        self.grad = torch.is_grad_enabled()
        self.scales = ScaleMap()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        concerns = _concerns(func)
        # Where functions are transformed no gate could be put; the report says what keeps its own.
        if concerns.tells or is_transformed():
            return func(*args, **kwargs)
        if self.grad and is_checkpointed():
            with kept_values():
                return self._call(concerns, func, args, kwargs)
        return self._call(concerns, func, args, kwargs)

    def _call(
        self,
        concerns: _Concerns,
        called: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """What a call of the network returns, with a gate behind it if it is one."""
        func = concerns.func
        if self.grad and concerns.holds:
            held = self._held(func, args, kwargs)
            if held is not None:
                self._follow(func, args, kwargs, held)
                return held
            args = with_held_factor(func, args, self.factors, self.settings, self.trace)
        overwritten = None
        if concerns.gates:
            rectifier = find_rectifier(func, args, kwargs)
            # Whole numbers, such as places that are clamped, have neither a gradient nor a scale.
            if rectifier is not None and rectifier.z.is_floating_point():
                return self._rectified(rectifier, func, args, kwargs)
            pool = find_max_pool(func, args, kwargs)
            if pool is not None:
                return self._pooled(pool)
        if concerns.writes or "out" in kwargs:
            overwritten = overwritten_by(func, args, kwargs)
            if overwritten is not None:
                self.trace.rescue(overwritten, by_gate=False)
        if func in TAKING_GRADIENTS and self.grad and not self.whole:
            raise TakesGradients
        out = called(*args, **kwargs)
        if self.grad:
            if concerns.unread and not self.whole:
                forget_input(out, self.image, self.settings)
            self.trace.note_cut(func, args, out)
            if overwritten is not None:
                note_written(func, args)
        elif concerns.attends and self.trace.stack:
            self._note_heads(self._find_held(func, args, kwargs), func, args, kwargs, out)
        if concerns.factors:
            self.factors.follow(func, args, kwargs, out)
        if concerns.scales or overwritten is not None:
            self.scales.follow(func, args, kwargs, out)
        self.trace.axes.follow(func, args, kwargs, out)
        return out

    def _rectified(
        self,
        rectifier: Rectifier,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Tensor:
        """What an activation returns, with a gate behind it."""
        z = rectifier.z
        axis = self.trace.axes.get(z)
        gate = Gate(
            self.trace.next_gate(z.shape[axis] if z.dim() > 1 else 1),
            self.settings,
            func.__name__.strip("_"),
            functools.partial(func, *args, **kwargs),
            rectifier.own,
            rectifier.slope,
            self.scales.get(z),
            rectifier.in_place,
            rectifier.form,
            axis,
        )
        self.trace.gates.append(gate)
        if gate.scale is None and self.measured is not None:
            self.measured[gate.key.turn] = channel_deviation(z, axis)
        self.trace.enters(z, gate)
        if gate.in_place:
            copy = self.trace.rescue(z, by_gate=True)
            if self.grad:
                gate.input = Kept(z.detach().clone() if copy is None else copy)
        elif self.grad:
            gate.input = self.trace.keep_for_backward(z)
        # Without gradients nothing stands behind it, so that those which the network takes by
        # itself find its own operations.
        out = gate(z) if self.grad else gate.untouched()
        if self.grad:
            self.trace.note_cut(func, args, out)
        self.scales.put(out, gate.scale)
        self.trace.axes.put(out, axis)
        if self.grad:
            self.factors.put(out, ACTIVATED_VALUE)
        return out

    def _pooled(self, found: MaxPool) -> Any:
        """What a max-pooling returns, with a gate behind it."""
        channel_dim = found.x.dim() - len(found.kernel) - 1
        key = self.trace.next_gate(found.x.shape[channel_dim])
        pool = Pool(key, self.settings, *found[1:])
        self.trace.gates.append(pool)
        if self.measured is not None:
            self.measured[key.turn] = channel_deviation(found.x, channel_dim)
        if self.grad:
            pool.input = self.trace.keep_for_backward(found.x)
            out = pool(found.x)
        else:
            out = pool.untouched(found.x)
        self.scales.put(out, self.scales.get(found.x))
        return (out, pool.indices) if pool.return_indices else out

    def _held(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """What an operation returns of which a part may be held constant; None for others."""
        found = self._find_held(func, args, kwargs)
        if found is None:
            return None
        held, inputs = found
        held.inputs = [self.trace.keep_for_backward(one) for one in inputs]
        self.trace.held.append(held)
        out = held(*inputs)
        self.trace.note_cut(func, args, out)
        if func in ATTENTION and self.trace.stack:
            self._note_heads(found, func, args, kwargs, out)
        return out

    def _find_held(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Call | None:
        path = self.trace.path
        return find_held(func, args, kwargs, self.settings, path) or find_weighted_sum(
            func, args, self.factors, self.settings, path
        )

    def _note_heads(
        self,
        found: Call | None,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        out: Any,
    ) -> None:
        """Note the heads of a call that was recognised as attention as a layer."""
        if found is not None:
            heads = find_heads(*found, func, args, kwargs, out, self.trace.tokens)
            if heads is not None:
                self.trace.note_heads(heads)

    def _follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
    ) -> None:
        """Note the channels' axis in what a call returned, and whether it is a bounded factor."""
        self.trace.axes.follow(func, args, kwargs, out)
        if self.grad and concerns_factors(func):
            self.factors.follow(func, args, kwargs, out)
