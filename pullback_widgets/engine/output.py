"""What a network returns: which tensor of it are the logits, and what probabilities they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Choice = str | int | Callable[[Any], Any] | None
"""Which part of what a network returns is its output: see ``pw.Model(output=...)``."""

Probability = Literal["softmax", "sigmoid", "given", "none"]
"""What makes probabilities of a network's output: see ``pw.Model(probability=...)``."""

NAMES = ("logits", "out")
"""What networks of others call the output that matters: transformers' and torchvision's."""


class OutputError(ValueError):
    """What a network returns cannot be taken for its output, or not without a guess."""


def checked_choice(choice: Choice) -> Choice:
    """The choice itself.

    Raises:
        TypeError: If it is no name, index or function.
    """
    if choice is None or callable(choice):
        return choice
    if isinstance(choice, str | int) and not isinstance(choice, bool):
        return choice
    raise TypeError(
        f"output is {choice!r}; expected a name, an index, or a function from what the network "
        "returns to a tensor."
    )


def checked_probability(probability: Any) -> Probability | None:
    """The word itself; None leaves it to what the output looks like.

    Raises:
        ValueError: For any other word.
    """
    if probability is None or probability in get_args(Probability):
        return probability
    raise ValueError(
        f"probability is {probability!r}; expected one of "
        f"{', '.join(map(repr, get_args(Probability)))}, or None."
    )


def picked(returned: Any, choice: Choice) -> Any:
    """What the choice picks from what a network returned; all of it where nothing was chosen.

    Raises:
        OutputError: If there is nothing of that name or index, or the function fails.
    """
    if choice is None:
        return returned
    if callable(choice):
        try:
            return choice(returned)
        except Exception as error:
            raise OutputError(
                "The function given as pw.Model(output=...) fails on what the network returns, "
                f"{described(returned)} ({type(error).__name__}: {error}); expected a tensor of "
                "logits (N, K)."
            ) from error
    parts = parts_of(returned)
    values = list(parts.values())
    if choice in parts:
        return parts[choice]
    if isinstance(choice, int) and -len(values) <= choice < len(values):
        return values[choice]
    there = ", ".join(map(str, parts)) or "no parts"
    raise OutputError(
        f"The network returns {described(returned)}, and output={choice!r} is not in it; it has "
        f"{there}: name one of these in pw.Model(output=...)."
    )


def logits_in(returned: Any, choice: Choice, images: int, names: int | None) -> Tensor:
    """The output in what a network returns, found without a guess.

    Args:
        returned: What the network returned, or what was picked from it.
        choice: What was chosen; where something was, nothing is searched.
        images: N, the number of images shown.
        names: Number of class names, None where there are none: it decides between several tensors.

    Returns:
        Floating-point numbers (N, K), (N, K, H, W) or the like; (N,) becomes (N, 1).

    Raises:
        OutputError: If no tensor fits, or several do; it names them.
    """
    if isinstance(returned, Tensor):
        if _fits(returned, images):
            return returned.unsqueeze(1) if returned.dim() == 1 else returned
        raise _none_fits(returned)
    if choice is not None:
        raise _none_fits(returned)
    parts = parts_of(returned)
    for name in NAMES:
        if isinstance(parts.get(name), Tensor):
            return logits_in(parts[name], None, images, names)
    fits = {
        name: part
        for name, part in parts.items()
        if isinstance(part, Tensor) and _fits(part, images)
    }
    if len(fits) > 1 and names is not None:
        named = {name: part for name, part in fits.items() if _width(part) == names}
        fits = named or fits
    if len(fits) > 1:
        listed = ", ".join(f"{name!r} {tuple(part.shape)}" for name, part in fits.items())
        raise OutputError(
            f"The network returned {len(fits)} tensors that may be its logits: {listed}; say which "
            "is meant, by pw.Model(output=...) with a name, an index or a function, or choose a "
            "hidden layer."
        )
    if not fits:
        raise _none_fits(returned)
    return logits_in(next(iter(fits.values())), None, images, names)


def parts_of(returned: Any) -> dict[str | int, Any]:
    """The parts of what a network returns, by their names, or by their places if they have none."""
    if isinstance(returned, Tensor):
        return {}
    if isinstance(returned, Mapping):
        return dict(returned)
    if hasattr(returned, "_asdict"):
        return dict(returned._asdict())
    if isinstance(returned, Sequence) and not isinstance(returned, str | bytes):
        return dict(enumerate(returned))
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return {one.name: getattr(returned, one.name) for one in dataclasses.fields(returned)}
    return dict(vars(returned)) if hasattr(returned, "__dict__") else {}


def described(returned: Any) -> str:
    """What a network returned, in a few words."""
    if isinstance(returned, Tensor):
        kind = "" if returned.is_floating_point() else f" of {returned.dtype}"
        return f"{tuple(returned.shape)}{kind}"
    parts = parts_of(returned)
    if not parts:
        return type(returned).__name__
    inside = [f"{name}: {_brief(part)}" for name, part in list(parts.items())[:6]]
    more = ", ..." if len(parts) > 6 else ""
    return f"{type(returned).__name__} ({', '.join(inside)}{more})"


def probabilities_of(logits: Tensor, kind: Probability | None) -> Tensor | None:
    """The probabilities that logits mean.

    Args:
        logits: (N, K).
        kind: ``"softmax"``: one of K classes; ``"sigmoid"``: each of K labels for itself;
            ``"given"``: they are probabilities; ``"none"``; or None for what :func:`noticed` says.

    Returns:
        (N, K), without gradient; None if there are none.
    """
    logits = logits.detach()
    kind = noticed(logits) if kind is None else kind
    if kind == "softmax":
        return logits.softmax(1)
    if kind == "sigmoid":
        return logits.sigmoid()
    return logits if kind == "given" else None


def noticed(logits: Tensor) -> Probability:
    """What makes probabilities of (N, K) logits by the look of them.

    Rows in [0, 1] that sum to 1 are probabilities already, and a softmax over one class would
    always be 1.
    """
    if logits.shape[1] == 1:
        return "sigmoid"
    # As exact as a sum of rounded numbers can be.
    rounding = torch.finfo(logits.dtype).eps ** 0.5
    sums = logits.sum(1)
    inside = bool(((logits >= 0) & (logits <= 1 + rounding)).all())
    return "given" if inside and bool(((sums - 1).abs() <= rounding).all()) else "softmax"


def _fits(tensor: Tensor, images: int) -> bool:
    """Whether a tensor has the images in front, and numbers that have a gradient."""
    return tensor.is_floating_point() and tensor.dim() > 0 and tensor.shape[0] == images


def _width(tensor: Tensor) -> int:
    return tensor.shape[1] if tensor.dim() > 1 else 1


def _brief(part: Any) -> str:
    if isinstance(part, Tensor):
        return str(tuple(part.shape))
    inner = ", ".join(map(str, list(parts_of(part))[:6])) if isinstance(part, Mapping) else ""
    return f"{type(part).__name__} ({inner})" if inner else type(part).__name__


def _none_fits(returned: Any) -> OutputError:
    return OutputError(
        f"The network returned {described(returned)}; expected logits (N, K), one row for each "
        "image. Choose a hidden layer, or say by pw.Model(output=...) what the logits are: a name, "
        "an index or a function from what the network returns to a tensor."
    )
