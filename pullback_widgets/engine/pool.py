"""Max-pooling whose backward pass shares a gradient among the window by softmax weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .gate import GateKey, Kept, Settings, own_derivative, shaped
from .softening import Softening


@dataclass
class Pool:
    """One call of a max-pooling over the last ``len(kernel)`` dimensions.

    Attributes:
        key: Which gate of the network this is.
        settings: Where the softening is read at backward time.
        kernel, stride, padding, dilation: Per dimension, as torch defines them.
        ceil_mode: Whether windows may start inside and end outside of the padded input.
        indices: Where the maxima are, after the call, as torch returns them.
        input: For the backward pass.
    """

    key: GateKey
    settings: Settings
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool
    return_indices: bool = False
    indices: Tensor | None = None
    input: Kept | None = None

    @property
    def operation(self) -> str:
        """What the network called."""
        return f"max_pool{len(self.kernel)}d"

    def __call__(self, x: Tensor) -> Tensor:
        """Max-pooling's own output; gradients of it are softened."""
        return _PoolFunction.apply(x, self)

    def untouched(self, x: Tensor) -> Tensor:
        """Max-pooling's own output with nothing behind it; its indices are kept if wanted."""
        if not self.return_indices:
            return self.own(x)
        y, self.indices = self.own(x, return_indices=True)
        return y

    def own(self, x: Tensor, return_indices: bool = False) -> Any:
        """Max-pooling itself; with ``return_indices`` the values and the indices."""
        pools: list[Callable[..., Any]] = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
        return pools[len(self.kernel) - 1](
            x,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            return_indices,
        )

    def backward(self, x: Tensor, grad: Tensor) -> Tensor:
        """Share ``grad`` in each window by ``w = softmax(x / T_pool)``."""
        softening = self.settings.softening
        if softening.pool == "hard":
            return own_derivative(self.own, x, grad)
        dims = len(self.kernel)
        temperature = shaped(self._temperature(softening), x, channel_dim=x.dim() - dims - 1)
        differentiated = softening.pool == "differentiated"
        # On another device the question whether it can be done would wait for the answer.
        if x.device.type == "cpu" and x.numel():
            u = x - x.amax(tuple(range(-dims, 0)), keepdim=True)
            u /= temperature * math.log(2)
            if u.amin() > 0.7 * math.log2(torch.finfo(u.dtype).tiny):
                return self._once(u, grad, differentiated)
        return self._by_window(x, grad, temperature, differentiated)

    def _once(self, u: Tensor, grad: Tensor, differentiated: bool) -> Tensor:
        """The shares by one exponential for each input, in place of one for each of each window.

        ``softmax`` is the same whatever is taken off all values, here the largest of the channel,
        as long as no exponential becomes 0.

        Args:
            u: ``x / T`` less its maximum, in units of ``log 2``.
            grad: By the output.
            differentiated: Whether the weights have a derivative, too.
        """
        weight = u.exp2()
        total = self._sums(weight, grad.shape)
        share = grad / total
        if not differentiated:
            return self._spread(share, u.shape).mul_(weight)
        u *= math.log(2)
        mean = self._sums(weight * u, grad.shape).div_(total)
        u += 1
        own = self._spread(share, u.shape).mul_(u)
        return own.sub_(self._spread(share.mul_(mean), u.shape)).mul_(weight)

    def _sums(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The sums over all windows, axis by axis: rows first, which lie together in memory."""
        x, _ = self._pad(x, shape, 0.0)
        for axis in range(-len(self.kernel), 0):
            first, *others = (x[index] for index in self._steps(axis, shape))
            x = first + others[0] if others else first
            for one in others[1:]:
                x += one
        return x

    def _spread(self, y: Tensor, shape: Sequence[int]) -> Tensor:
        """The transpose of ``_sums``: each window's value at all its places of an input."""
        pads, crop = self._padding(shape, y.shape)
        for axis in range(-1, -len(self.kernel) - 1, -1):
            size = list(y.shape)
            size[axis] = shape[axis] + sum(pads[axis])
            result = y.new_zeros(size)
            apart = self.kernel[axis] <= self.stride[axis] and self.dilation[axis] == 1
            for index in self._steps(axis, y.shape):
                if apart:
                    result[index] = y
                else:
                    result[index] += y
            y = result
        return y[crop]

    def _by_window(
        self, x: Tensor, grad: Tensor, temperature: float | Tensor, differentiated: bool
    ) -> Tensor:
        """The shares for values that lie far apart: in each window less its own maximum.

        A closed form over shifted slices: for each offset in the kernel, the strided slice of the
        input that stands at this offset of all windows. Extra memory is a few tensors of the size
        of the input or the output, whatever the kernel.
        """
        y = self.own(x)
        padded, crop = self._pad(x, y.shape, -torch.inf)
        # The window's maximum is the output itself, so all exponents are at most 0. A window that
        # dilation puts wholly in the padding has maximum -inf: its gradient has nowhere to go.
        top = y.clamp_min(torch.finfo(y.dtype).min)

        def weights() -> Iterator[tuple[tuple[Any, ...], Tensor, Tensor]]:
            """For each offset: its slice, x / T less the maximum, and the unnormalised weight."""
            for index in self._slices(y.shape):
                u = (padded[index] - top).div_(temperature)
                if differentiated:
                    # exp(-1000) is 0 in every float type; the clamp keeps 0 * inf out of padding.
                    u.clamp_(min=-1000.0)
                    yield index, u, u.exp()
                else:
                    yield index, u, u.exp_()

        # Where windows do not overlap, all weights together are no larger than the input and are
        # kept; elsewhere they would be as many times larger as windows overlap, and are made twice.
        disjoint = all(
            k <= s and d == 1
            for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True)
        )
        kept = list(weights()) if disjoint else None
        total = torch.zeros_like(y)
        mean = torch.zeros_like(y) if differentiated else None
        for _, u, weight in kept or weights():
            total += weight
            if mean is not None:
                mean.addcmul_(weight, u)
        total.clamp_min_(torch.finfo(y.dtype).tiny)
        share = grad / total
        if mean is not None:
            mean /= total
        result = torch.zeros_like(padded)
        for index, u, weight in kept or weights():
            if mean is not None:
                weight = weight * (u - mean + 1.0)
            if disjoint:
                torch.mul(weight, share, out=result[index])
            else:
                result[index].addcmul_(weight, share)
        return result[crop]

    def _temperature(self, softening: Softening) -> float | Tensor:
        t = softening.pool_temperature * softening.factor(self.key.path)
        if softening.units == "absolute":
            return t * softening.temperature
        return t * self.settings.calibrated(self.key)

    def _padding(
        self, shape: Sequence[int], windows: Sequence[int]
    ) -> tuple[list[tuple[int, int]], tuple[Any, ...]]:
        """How far windows reach outside of an input, before and behind, and the way back."""
        pads: list[tuple[int, int]] = []
        crop: list[Any] = [Ellipsis]
        for i in range(-len(self.kernel), 0):
            reach = (windows[i] - 1) * self.stride[i] + (
                self.dilation[i] * (self.kernel[i] - 1) + 1
            )
            before = self.padding[i]
            pads.append((before, max(reach - shape[i] - before, 0)))
            crop.append(slice(before, before + shape[i]))
        return pads, tuple(crop)

    def _pad(
        self, x: Tensor, windows: Sequence[int], value: float
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """The input with a value wherever a window reaches outside, and the way back."""
        pads, crop = self._padding(x.shape, windows)
        flat = [one for pair in reversed(pads) for one in pair]
        return F.pad(x, flat, value=value) if any(flat) else x, crop

    def _steps(self, axis: int, windows: Sequence[int]) -> list[tuple[Any, ...]]:
        """For each offset in the kernel along one axis: where it stands in all windows."""
        span = (windows[axis] - 1) * self.stride[axis] + 1
        starts = (k * self.dilation[axis] for k in range(self.kernel[axis]))
        behind = [slice(None)] * (-1 - axis)
        return [
            (Ellipsis, slice(start, start + span, self.stride[axis]), *behind) for start in starts
        ]

    def _slices(self, windows: Sequence[int]) -> list[tuple[Any, ...]]:
        """For each offset in the kernel: where it stands in all windows of the padded input."""
        result: list[tuple[Any, ...]] = [(Ellipsis,)]
        for axis in range(-len(self.kernel), 0):
            steps = [step[1] for step in self._steps(axis, windows)]
            result = [(*index, step) for index in result for step in steps]
        return result


class _PoolFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pool: Pool) -> Tensor:
        ctx.pool = pool
        return pool.untouched(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        pool, last = ctx.pool, ctx.pool.settings.last
        return pool.backward(pool.input.get(last), grads[0]), None
