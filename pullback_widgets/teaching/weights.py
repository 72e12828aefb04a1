"""First weights from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from .. import checks

LARGEST_SEED = 2**32 - 1

Network = TypeVar("Network", bound=nn.Module)


def seeded(build: Callable[[], Network], seed: int) -> Network:
    """A network with the weights that torch gives it after ``torch.manual_seed(seed)``.

    torch's own generator is left alone: it is the user's, and other threads draw from it too.

    Args:
        build: Makes the network, of linear layers, convolutions and layers without chance.
        seed: 0 to ``LARGEST_SEED``.

    Raises:
        ValueError: For another seed.
    """
    chance = torch.Generator().manual_seed(checked_seed(seed))
    with torch.inference_mode(False):
        with torch.device("meta"):  # where no number is drawn
            network = build()
        network.to_empty(device="cpu")
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                # As their own reset_parameters, which takes no generator.
                nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=chance)
                if layer.bias is not None:
                    bound = 1 / math.sqrt(layer.weight[0].numel())
                    nn.init.uniform_(layer.bias, -bound, bound, generator=chance)
            elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_parameters()
    return network


def checked_seed(seed: Any) -> int:
    """A seed.

    Raises:
        ValueError: If it is none.
    """
    return checks.whole("seed", seed, least=0, most=LARGEST_SEED)
