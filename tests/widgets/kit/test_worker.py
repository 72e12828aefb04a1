"""The worker: only the newest request counts, whatever happens to the others."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import SECONDS, until

from pullback_widgets.widgets.kit import worker as worker_module
from pullback_widgets.widgets.kit.worker import Worker


@pytest.fixture(autouse=True)
def nothing_swallowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test in whose threads an exception got lost."""
    lost: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lost.append)
    yield
    assert not lost, lost[0].exc_value


class Held:
    """Requests that say when they have started, and go on when they are let go."""

    def __init__(self, steps: int = 1) -> None:
        self.steps = steps
        self.started = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.log: list[tuple[str, int]] = []
        self.closed: list[str] = []
        self.failures: list[tuple[str, BaseException]] = []
        self.worker: Worker[str] = Worker(
            self.run, lambda request, error: self.failures.append((request, error))
        )

    def run(self, request: str) -> Iterator[None]:
        try:
            for step in range(self.steps):
                self.started.release()
                assert self.go.acquire(timeout=SECONDS)
                if request.startswith("bad"):
                    raise ValueError(request)
                self.log.append((request, step))
                yield
        finally:
            self.closed.append(request)

    def submit(self, *requests: str) -> None:
        for request in requests:
            self.worker.submit(request)

    def until_started(self) -> None:
        assert self.started.acquire(timeout=SECONDS)

    def finish(self) -> None:
        """Lets everything go that still comes."""
        for _ in range(1000):
            self.go.release()
        assert self.worker.wait(SECONDS)


def names(held: Held) -> set[str]:
    return {name for name, _ in held.log}


# Newest wins -------------------------------------------------------------------------------------


def test_a_request_runs_to_its_end() -> None:
    held = Held(steps=3)
    held.submit("one")
    held.finish()
    assert held.log == [("one", 0), ("one", 1), ("one", 2)]
    assert held.failures == []


def test_only_the_newest_of_those_that_wait_runs() -> None:
    held = Held()
    held.submit("first")
    held.until_started()
    held.submit(*(f"waiting {i}" for i in range(50)), "last")
    held.finish()
    assert names(held) == {"first", "last"}


def test_a_running_request_is_dropped_at_its_next_step() -> None:
    held = Held(steps=5)
    held.submit("first")
    held.until_started()
    held.go.release()
    held.until_started()  # its second step runs
    held.submit("last")
    held.finish()
    assert [entry for entry in held.log if entry[0] == "first"] == [("first", 0), ("first", 1)]
    assert [entry for entry in held.log if entry[0] == "last"] == [("last", i) for i in range(5)]


def test_a_dropped_request_is_closed_before_the_next_one_starts() -> None:
    held = Held(steps=2)
    held.submit("first")
    held.until_started()
    held.submit("last")
    held.go.release()
    held.until_started()
    assert held.closed == ["first"]
    held.finish()


def test_the_last_of_a_storm_always_runs() -> None:
    done: list[int] = []

    def run(request: int) -> Iterator[None]:
        yield
        done.append(request)
        yield

    worker: Worker[int] = Worker(run, lambda request, error: None)
    for round_ in range(5):
        for request in range(2000):
            worker.submit(2000 * round_ + request)
        assert worker.wait(SECONDS)
        assert done[-1] == 2000 * round_ + 1999
    assert done == sorted(set(done))


def test_storms_from_several_threads_leave_nothing_running() -> None:
    one_at_a_time = threading.Lock()
    overlaps: list[int] = []

    def run(request: int) -> Iterator[None]:
        for _ in range(3):
            if not one_at_a_time.acquire(blocking=False):
                overlaps.append(request)
                return
            time.sleep(0.0002)
            one_at_a_time.release()
            yield

    worker: Worker[int] = Worker(run, lambda request, error: None)
    threads = [
        threading.Thread(target=lambda: [worker.submit(i) for i in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.wait(SECONDS)
    assert not overlaps
    assert not worker.busy


def test_requests_run_in_another_thread_and_the_caller_goes_on() -> None:
    held = Held()
    held.submit("one")
    held.until_started()
    assert held.worker.busy  # it is held, and we are here
    held.finish()
    assert not held.worker.busy


def test_a_request_may_submit_the_next() -> None:
    done: list[int] = []

    def run(request: int) -> Iterator[None]:
        done.append(request)
        if request < 3:
            worker.submit(request + 1)
        yield

    worker: Worker[int] = Worker(run, lambda request, error: None)
    worker.submit(0)
    until(lambda: done == [0, 1, 2, 3])


# Exceptions --------------------------------------------------------------------------------------


def test_an_exception_is_reported_and_the_next_request_works() -> None:
    held = Held()
    held.submit("bad")
    held.go.release()
    assert held.worker.wait(SECONDS)
    ((request, error),) = held.failures
    assert request == "bad"
    assert isinstance(error, ValueError) and str(error) == "bad"
    held.submit("good")
    held.finish()
    assert names(held) == {"good"}


def test_an_exception_of_a_request_that_nobody_wants_any_more_is_not_reported() -> None:
    held = Held()
    held.submit("bad")
    held.until_started()
    held.submit("good")
    held.finish()
    assert held.failures == []
    assert names(held) == {"good"}


@pytest.mark.parametrize(
    "error", [MemoryError("none left"), KeyboardInterrupt(), SystemExit(1)], ids=repr
)
def test_whatever_is_raised_is_reported(error: BaseException) -> None:
    def run(request: str) -> Iterator[None]:
        raise error
        yield

    reported: list[BaseException] = []
    worker: Worker[str] = Worker(run, lambda _, error: reported.append(error))
    worker.submit("one")
    assert worker.wait(SECONDS)
    assert reported == [error]


def test_a_call_that_raises_before_the_first_step_is_reported() -> None:
    def run(request: str) -> Iterator[None]:
        raise ValueError(request)

    reported: list[str] = []
    worker: Worker[str] = Worker(run, lambda _, error: reported.append(str(error)))
    worker.submit("one")
    assert worker.wait(SECONDS)
    assert reported == ["one"]


def test_a_report_that_fails_itself_does_not_end_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)  # it may show up here, or nowhere
    done: list[str] = []

    def run(request: str) -> Iterator[None]:
        if request == "bad":
            raise ValueError(request)
        done.append(request)
        yield

    def failed(request: str, error: BaseException) -> None:
        raise RuntimeError("the report failed")

    worker: Worker[str] = Worker(run, failed)
    worker.submit("bad")
    assert worker.wait(SECONDS), "the worker says for ever that it is busy"
    worker.submit("good")
    assert worker.wait(SECONDS)
    assert done == ["good"]


# Stop and wait -----------------------------------------------------------------------------------


def test_stop_ends_the_running_request_at_its_next_step() -> None:
    held = Held(steps=5)
    held.submit("one")
    held.until_started()
    held.worker.stop()
    held.finish()
    assert held.log == [("one", 0)]
    assert held.closed == ["one"]
    assert held.failures == []


def test_what_waits_when_stop_comes_is_taken_one_step_far() -> None:
    """It stands for choices that were made, so its first picture must come."""
    held = Held(steps=3)
    held.submit("first")
    held.until_started()
    held.submit("second")
    held.worker.stop()
    held.finish()
    assert held.log == [("first", 0), ("second", 0)]
    assert held.closed == ["first", "second"]


def test_a_stop_does_not_touch_later_requests() -> None:
    held = Held(steps=3)
    held.worker.stop()
    held.submit("one")
    held.finish()
    assert len(held.log) == 3
    held.worker.stop()
    held.worker.stop()
    held.submit("two")
    held.finish()
    assert len(held.log) == 6


def test_waiting_takes_no_time_when_there_is_nothing_to_wait_for() -> None:
    held = Held()
    assert held.worker.wait(0.0)


def test_waiting_gives_up_after_its_timeout() -> None:
    held = Held()
    held.submit("one")
    held.until_started()
    assert not held.worker.wait(0.05)
    held.finish()


def test_waiting_includes_what_waits() -> None:
    held = Held()
    held.submit("first")
    held.until_started()
    assert not held.worker.waiting
    held.submit("second")
    assert held.worker.waiting
    held.go.release()
    held.until_started()
    assert not held.worker.wait(0.05)
    held.finish()
    assert names(held) == {"first", "second"}


def test_the_worker_does_not_wait_for_itself() -> None:
    answers: list[bool] = []

    def run(request: str) -> Iterator[None]:
        answers.append(worker.wait())
        yield

    worker: Worker[str] = Worker(run, lambda request, error: None)
    worker.submit("one")
    assert worker.wait(SECONDS)
    assert answers == [False]


# The thread --------------------------------------------------------------------------------------


def workers_called(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_there_is_one_thread_and_only_when_something_was_asked_for() -> None:
    worker: Worker[int] = Worker(lambda _: iter([0]), lambda *_: None, name="only one")
    assert not workers_called("only one")
    for request in range(20):
        worker.submit(request)
    (thread,) = workers_called("only one")
    assert thread.daemon
    assert worker.wait(SECONDS)
    assert workers_called("only one") == [thread]


def test_an_idle_thread_ends_and_the_next_request_starts_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.05)
    done: list[int] = []

    def run(request: int) -> Iterator[None]:
        done.append(request)
        yield

    worker: Worker[int] = Worker(run, lambda *_: None, name="idle")
    for request in range(3):
        worker.submit(request)
        assert worker.wait(SECONDS)
        until(lambda: not workers_called("idle"))
    assert done == [0, 1, 2]


def test_requests_at_the_moment_of_falling_asleep_are_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.001)
    done: list[int] = []

    def run(request: int) -> Iterator[None]:
        done.append(request)
        yield

    worker: Worker[int] = Worker(run, lambda *_: None)
    for request in range(300):
        worker.submit(request)
        assert worker.wait(SECONDS)
        time.sleep(0.0005 * (request % 5))
    assert done == list(range(300))


def test_an_idle_worker_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Request:
        pass

    def run(request: Request) -> Iterator[None]:
        yield

    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.2)
    worker: Worker[Request] = Worker(run, lambda *_: None)
    request = Request()
    dead = weakref.ref(request)
    worker.submit(request)
    assert worker.wait(SECONDS)
    del request
    until(lambda: gc.collect() >= 0 and dead() is None)
    # Its thread gone too, the worker itself goes when nobody refers to it.
    gone = weakref.ref(worker)
    del worker
    until(lambda: gc.collect() >= 0 and gone() is None)


AT_EXIT = """
import threading
import torch
from pullback_widgets.widgets.kit.worker import Worker

begun = threading.Event()

class Busy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        begun.set()
        for _ in range(50):
            grad = (grad @ torch.eye(200)).clone()
        return grad

def run(request):
    while True:
        x = torch.ones(200, 200, requires_grad=True)
        Busy.apply(x).sum().backward()
        yield

worker = Worker(run, lambda request, error: None)
worker.submit(1)
begun.wait()
"""


def test_python_ends_cleanly_while_torch_computes() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    ended = subprocess.run(
        [sys.executable, "-c", AT_EXIT],
        env=environment,  # with all threads that torch takes by itself
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


class Spare:
    """A worker that has something to do when nobody asks."""

    def __init__(self, patch: pytest.MonkeyPatch, times: int = 3) -> None:
        patch.setattr(worker_module, "PAUSE_SECONDS", 0.01)
        patch.setattr(worker_module, "QUIET", 1e9)
        patch.setattr(worker_module, "_is_crowded", lambda: False)
        self.log: list[str] = []
        self.times = times
        self.worker: Worker[str] = Worker(self.run, lambda *error: None, spare=self.spare)

    def run(self, request: str) -> Iterator[None]:
        self.log.append(request)
        yield

    def spare(self) -> bool:
        self.log.append("spare")
        return self.log.count("spare") % self.times != 0


def test_spare_time_is_used_until_there_is_no_more_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Spare(monkeypatch)
    one.worker.submit("a")
    until(lambda: len(one.log) == 4)
    assert one.log == ["a", "spare", "spare", "spare"] and not one.worker.busy
    one.worker.submit("b")
    until(lambda: len(one.log) == 8)
    assert one.log[4:] == ["b", "spare", "spare", "spare"]
    one.worker.end()


@pytest.mark.parametrize("why", ["busy", "crowded", "another"])
def test_there_is_none_while_the_machine_is_needed(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    one, held = Spare(monkeypatch), Held()
    looked = threading.Event()
    if why == "busy":
        monkeypatch.setattr(worker_module, "QUIET", -1.0)
    if why == "crowded":
        monkeypatch.setattr(worker_module, "_is_crowded", lambda: looked.set() or True)
    if why == "another":
        held.submit("long")
        held.until_started()
    one.worker.submit("a")
    until(lambda: one.log == ["a"])
    if why == "crowded":
        assert looked.wait(SECONDS)
    one.worker.submit("b")
    until(lambda: one.log == ["a", "b"])
    held.go.release()
    if why == "another":
        until(lambda: "spare" in one.log)
    one.worker.end()


def test_what_fails_in_spare_time_is_reported_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Spare(monkeypatch)

    def fail() -> bool:
        one.log.append("failed")
        raise RuntimeError("no")

    one.worker._spare = fail
    one.worker.submit("a")
    until(lambda: "failed" in one.log)
    one.worker.submit("b")
    until(lambda: one.log.count("failed") == 2)
    assert one.log == ["a", "failed", "b", "failed"]
    assert "RuntimeError: no" in capsys.readouterr().err
    one.worker.end()
