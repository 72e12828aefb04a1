"""The number of threads is chosen by what passes take, and for one thread alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from threadpoolctl import ThreadpoolController

from pullback_widgets.engine import threads
from pullback_widgets.engine.threads import RECENT, ROUNDS, Threads


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets, and eight cores."""
    now = [0.0]
    monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    return now


def passes(
    chosen: Threads, clock: list[float], seconds: Callable[[int], float], n: int, kind: str = "a"
) -> list[int]:
    """Run n passes that take as long as a function of the number of threads says."""
    counts = []
    for _ in range(n):
        with chosen.timed(kind) as count:
            clock[0] += seconds(count)
        counts.append(count)
    return counts


@pytest.mark.parametrize("fastest", [1, 4, 8])
def test_the_fastest_is_kept(clock: list[float], fastest: int) -> None:
    chosen = Threads()
    counts = passes(chosen, clock, lambda one: 1.0 if one == fastest else 1.5, 3 * ROUNDS + 11)
    assert counts[0] == 8  # before anything is known, torch's own
    assert sorted(counts[1 : 3 * ROUNDS + 1]) == sorted([1, 4, 8] * ROUNDS)
    assert chosen.best == fastest and set(counts[3 * ROUNDS + 1 :]) == {fastest}


def test_what_takes_twice_as_long_is_tried_once(clock: list[float]) -> None:
    chosen = Threads()
    counts = passes(chosen, clock, lambda one: float(one), 20)
    assert counts[1:].count(4) == counts[1:].count(8) == 1 and chosen.best == 1


def test_the_first_pass_of_a_kind_does_not_count(clock: list[float]) -> None:
    chosen, long = Threads(), iter([100.0] + [1.0] * 100)
    passes(chosen, clock, lambda one: next(long) if one == 8 else 1.5, 3 * ROUNDS + 1)
    assert chosen.best == 8
    assert passes(chosen, clock, lambda one: 1.0, 1, kind="b") == [8]


def test_it_looks_again_when_times_drift(clock: list[float]) -> None:
    chosen = Threads()
    passes(chosen, clock, lambda one: 2.0 - one / 8, 3 * ROUNDS + 1)
    assert chosen.best == 8
    # Now something else takes the cores.
    passes(chosen, clock, lambda one: float(one), RECENT + 3 * ROUNDS)
    assert chosen.best == 1


def test_a_pass_that_fails_teaches_nothing(clock: list[float]) -> None:
    chosen = Threads()
    passes(chosen, clock, lambda one: 1.0, 1)
    with pytest.raises(ZeroDivisionError), chosen.timed("a"):
        raise ZeroDivisionError
    assert sorted(passes(chosen, clock, lambda one: 1.0, 3 * ROUNDS)) == sorted([1, 4, 8] * ROUNDS)


def test_the_setting_holds_for_one_thread_while_a_pass_runs() -> None:
    openmp = ThreadpoolController().select(user_api="openmp")
    if not openmp.lib_controllers:
        pytest.skip("this torch computes without OpenMP")
    before, seen = torch.get_num_threads(), []

    def work() -> None:
        torch.ones(3).sum()
        with openmp.limit(limits=2):
            chosen = Threads()
            for _ in range(2):  # the second tries one thread
                with chosen.timed("a"):
                    seen.append(torch.get_num_threads())
                    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
                    other.start()
                    other.join()
            seen.append(torch.get_num_threads())

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert seen == [2, before, 1, before, 2]
    assert torch.get_num_threads() == before
