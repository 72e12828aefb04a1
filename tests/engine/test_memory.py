"""Where memory runs out it is given back first, and then the computation goes on with less."""

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch

from pullback_widgets.engine import memory
from pullback_widgets.engine.memory import again, halving, ran_out

SAID: dict[str, Exception] = {
    "GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    "GPU, by its old name": torch.cuda.OutOfMemoryError("CUDA out of memory."),
    "library of a GPU": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    "CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "Python": MemoryError(),
}


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
def test_what_says_that_memory_ran_out(error: Exception) -> None:
    assert ran_out(error)


@pytest.mark.parametrize(
    "error", [ValueError("out of memory"), RuntimeError("shapes cannot be multiplied"), KeyError(3)]
)
def test_what_does_not(error: Exception) -> None:
    assert not ran_out(error)


def test_torch_says_it_so() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert ran_out(caught.value)


class Filling:
    """A computation of ten things in batches, of which too large ones find no memory.

    Attributes:
        sizes: Of the batches that were tried.
        done: How many things there are.
    """

    def __init__(self, most: int, error: Exception = SAID["GPU"]) -> None:
        self.most, self.error, self.done = most, error, 0
        self.sizes: list[int] = []
        self.kept: list[weakref.ref[torch.Tensor]] = []

    def run(self, size: int) -> Iterator[int]:
        while self.done < 10:
            self.sizes.append(size)
            tensor = torch.ones(size)
            self.kept.append(weakref.ref(tensor))
            if size > self.most:
                raise type(self.error)(*self.error.args)
            self.done += size
            yield self.done


@pytest.mark.parametrize("error", SAID.values(), ids=SAID)
def test_batches_are_half_as_large_and_go_on(error: Exception) -> None:
    filling = Filling(2, error)
    assert list(halving(filling.run, 9)) == [2, 4, 6, 8, 10]
    assert filling.sizes == [9, 4, 2, 2, 2, 2, 2]


def test_nothing_of_a_failure_is_alive_when_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The except block is left by then: its exception's frames have their tensors."""
    filling = Filling(1)
    alive: list[int] = []
    monkeypatch.setattr(
        memory, "give_back", lambda: alive.append(sum(one() is not None for one in filling.kept))
    )
    gc.disable()  # so that nothing but the block itself lets go of them
    try:
        next(halving(filling.run, 4))
    finally:
        gc.enable()
    assert alive == [0, 0]


def test_one_that_is_too_large_is_one_sentence() -> None:
    with pytest.raises(MemoryError, match=r"too little memory for this \(CUDA out of.*; choose a"):
        list(halving(Filling(0).run, 3))


@pytest.mark.parametrize("wanted", [halving, again])
def test_other_errors_stay_what_they_are(wanted: object) -> None:
    def fails(size: int = 1) -> Iterator[int]:
        yield 1
        raise KeyError("else")

    steps = halving(fails, 4) if wanted is halving else again(fails, lambda: None)
    assert next(steps) == 1
    with pytest.raises(KeyError, match="else"):
        next(steps)


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_once_more_after_room_was_made(failures: int) -> None:
    tried, room = [0], []

    def run() -> Iterator[int]:
        tried[0] += 1
        yield tried[0]
        if tried[0] <= failures:
            raise torch.OutOfMemoryError("CUDA out of memory")

    steps = again(run, lambda: room.append(True))
    if failures == 2:
        with pytest.raises(MemoryError, match="too little memory"):
            list(steps)
    else:
        assert list(steps) == list(range(1, failures + 2))
    assert len(room) == min(failures, 1)


def test_a_stopped_computation_is_closed() -> None:
    closed = []

    def run(size: int = 1) -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(size)

    for steps in (halving(run, 4), again(run, lambda: None)):
        next(steps)
        steps.close()  # type: ignore[attr-defined]
    assert closed == [4, 1]
