"""The further inputs of networks that take more than an image."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


def further(inputs: Callable[[Tensor], Any] | None, seen: Tensor) -> Arguments:
    """The arguments behind the images, in order and by keyword.

    Raises:
        TypeError: If the function returns neither a tuple nor a dict.
    """
    found = () if inputs is None else inputs(seen)
    if isinstance(found, Mapping):
        return (), found
    if isinstance(found, tuple):
        return found, {}
    raise TypeError(
        f"The function given as pw.Model(inputs=...) returned {type(found).__name__}; expected a "
        "tuple of the arguments behind the images, such as (metadata,), or a dict of keywords."
    )


def wrong_arguments(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str | None:
    """A sentence where the network's forward does not take these arguments; None where it does."""
    try:
        inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as error:
        given = (
            f"the images and {len(args) + len(kwargs) - 1} more"
            if args[1:] or kwargs
            else ("the images alone")
        )
        return (
            f"The forward of {type(module).__name__} was given {given} ({error}); give "
            "pw.Model(inputs=...) a function from the images to the further arguments, or wrap the "
            "network in a module that takes images."
        )
    except ValueError:  # no signature is known
        pass
    return None
