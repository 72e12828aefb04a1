"""Where memory ran out: what was taken is given back, and the computation goes on with less.

The frames of an exception's traceback keep their tensors, and so does the ``except`` block that
caught it. So nothing here is given back or tried again before that block is left.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import torch

Step = TypeVar("Step")

_SAID = ("out of memory", "alloc_failed", "can't allocate memory", "not enough memory")
"""How torch says it: of a GPU, of its libraries, of the CPU under Linux, and elsewhere."""


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that a device, or the machine, has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(one in text for one in _SAID)


def give_back() -> None:
    """Free what nothing refers to any more, and what torch keeps of it for later."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def halving(run: Callable[[int], Iterator[Step]], size: int) -> Iterator[Step]:
    """Compute in batches, which are half as large from where memory runs out.

    Args:
        run: From the size of a batch to the steps; called again, it goes on where it was.
        size: Of a batch, 1 or more.

    Raises:
        MemoryError: If there is too little for a batch of one.
        Exception: Whatever else the computation raises.
    """
    while True:
        said = yield from _until_full(run(size))
        if said is None:
            return
        give_back()
        if size == 1:
            raise MemoryError(_sentence(said))
        size //= 2


def again(run: Callable[[], Iterator[Step]], make_room: Callable[[], object]) -> Iterator[Step]:
    """Compute, and where memory runs out once more from the beginning, after room was made.

    Args:
        run: Gives the steps.
        make_room: Forgets what is kept to be faster.

    Raises:
        MemoryError: If memory runs out again.
        Exception: Whatever else the computation raises.
    """
    said = yield from _until_full(run())
    if said is None:
        return
    make_room()
    give_back()
    said = yield from _until_full(run())
    if said is not None:
        give_back()
        raise MemoryError(_sentence(said))


def _until_full(steps: Iterator[Step]) -> Generator[Step, None, str | None]:
    """All steps; returns what was said where memory ran out, None where it did not."""
    try:
        yield from steps
    except Exception as error:
        if not ran_out(error):
            raise
        return str(error).partition("\n")[0] or type(error).__name__
    return None


def _sentence(said: str) -> str:
    return (
        f"There is too little memory for this ({said}); choose a smaller network, smaller images "
        "or another device."
    )
