"""EfficientNet-Lite0 in plain torch.

Its modules and their classes are called as in timm's ``tf_efficientnet_lite0``: these are the names
of layers and their kinds, in lists, recipes and notebooks. Importing timm, and with it torchvision,
takes as long as importing torch itself.

The architecture is EfficientNet-B0's (M. Tan, Q. Le, ICML 2019, arXiv:1905.11946, table 1) without
squeeze-and-excitation and with ReLU6, as the authors' TensorFlow code has it under the name Lite.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Stage(NamedTuple):
    """Blocks alike.

    Attributes:
        blocks: How many.
        size: Side of the depthwise kernel.
        stride: Of the first block.
        expansion: How many channels there are in a block for each that enters it.
        channels: That leave each block.
    """

    blocks: int
    size: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)

_STEM, _HEAD = 32, 1280
"""Channels before the first stage, and after the last."""


class Conv2dSame(nn.Conv2d):
    """A convolution with TensorFlow's padding "same".

    There are as many places as strides that begin in the image. What the last ones lack is added
    around the image, and an odd pixel of it at the right and the bottom.
    """

    def forward(self, input: Tensor) -> Tensor:
        padding: list[int] = []
        sides = zip(input.shape[-2:], self.kernel_size, self.stride, strict=True)
        for side, size, stride in sides:
            lacking = max((math.ceil(side / stride) - 1) * stride + size - side, 0)
            padding = [lacking // 2, lacking - lacking // 2, *padding]  # the last axis goes first
        return super().forward(F.pad(input, padding))


class BatchNormAct2d(nn.BatchNorm2d):
    """A batch norm and the activation after it."""

    def __init__(self, channels: int, active: bool = True) -> None:
        super().__init__(channels, eps=1e-3)
        self.drop = nn.Identity()
        self.act = nn.ReLU6(inplace=True) if active else nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))


class DepthwiseSeparableConv(nn.Module):
    """A block that expands nothing, as the first one."""

    def __init__(self, before: int, stage: Stage, stride: int) -> None:
        super().__init__()
        self.conv_dw = _convolution(before, before, stage.size, stride, groups=before)
        self.bn1 = BatchNormAct2d(before)
        self.aa, self.se = nn.Identity(), nn.Identity()
        self.conv_pw = _convolution(before, stage.channels)
        self.bn2 = BatchNormAct2d(stage.channels, active=False)
        self.drop_path = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv_pw(self.se(self.aa(self.bn1(self.conv_dw(x))))))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, added to what came in where that fits."""

    def __init__(self, before: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inside = before * stage.expansion
        self.residual = stride == 1 and before == stage.channels
        self.conv_pw = _convolution(before, inside)
        self.bn1 = BatchNormAct2d(inside)
        self.conv_dw = _convolution(inside, inside, stage.size, stride, groups=inside)
        self.bn2 = BatchNormAct2d(inside)
        self.aa, self.se = nn.Identity(), nn.Identity()
        self.conv_pwl = _convolution(inside, stage.channels)
        self.bn3 = BatchNormAct2d(stage.channels, active=False)
        self.drop_path = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv_pw(x))
        y = self.se(self.aa(self.bn2(self.conv_dw(y))))
        y = self.bn3(self.conv_pwl(y))
        return self.drop_path(y) + x if self.residual else y


class SelectAdaptivePool2d(nn.Sequential):
    """The mean of each channel."""

    def __init__(self) -> None:
        super().__init__(OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1)))


class EfficientNet(nn.Module):
    """EfficientNet-Lite0: (N, 3, H, W) in [-1, 1] -> logits (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _convolution(3, _STEM, 3, 2)
        self.bn1 = BatchNormAct2d(_STEM)
        before = [_STEM, *(stage.channels for stage in STAGES)]
        self.blocks = nn.Sequential(*map(_stage, before, STAGES))
        self.conv_head = _convolution(before[-1], _HEAD)
        self.bn2 = BatchNormAct2d(_HEAD)
        self.global_pool = SelectAdaptivePool2d()
        self.classifier = nn.Linear(_HEAD, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.bn1(self.conv_stem(x)))
        return self.classifier(self.global_pool(self.bn2(self.conv_head(x))))


def _stage(before: int, stage: Stage) -> nn.Sequential:
    block = InvertedResidual if stage.expansion > 1 else DepthwiseSeparableConv
    first = block(before, stage, stage.stride)
    return nn.Sequential(first, *(block(stage.channels, stage, 1) for _ in range(stage.blocks - 1)))


def _convolution(
    before: int, after: int, size: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    if stride > 1:
        return Conv2dSame(before, after, size, stride, groups=groups, bias=False)
    return nn.Conv2d(before, after, size, padding=size // 2, groups=groups, bias=False)
