"""Batches as tasks of a Dask cluster: the same numbers, on many machines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..engine.model import Model
from .images import Item
from .plan import Plan, measured

TRIES = 4
"""So often a batch is handed out whose worker was lost."""


def spread(
    client: Any, model: Model, plan: Plan, batches: Iterable[tuple[int, Sequence[Item] | Any]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The results of batches in order; the network travels once to each worker.

    Only as many batches are under way as the workers need, so that neither images nor results pile
    up. A batch whose worker is lost is handed to another one. What is a dict already is passed on.

    Args:
        client: A ``dask.distributed.Client``.
        model: The network.
        plan: What is measured.
        batches: The number of each batch, with its items, or with what is known of it.

    Raises:
        TypeError: If the client is none.
        RuntimeError: If the workers of a batch are lost again and again.
        Exception: Whatever a batch raises.
    """
    work = _Work(checked(client), model, plan)
    waiting: deque[tuple[int, Any]] = deque()
    try:
        for number, items in batches:
            task = items if isinstance(items, dict) else _Task(work, items)
            waiting.append((number, task))
            if len(waiting) >= work.width:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())
    finally:
        client.cancel([task.future for _, task in waiting if isinstance(task, _Task)])


def checked(client: Any) -> Any:
    """The client itself.

    Raises:
        ImportError: If Dask is not installed.
        TypeError: If it is something else.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ImportError(
            "client is for Dask, which is not installed here; run: pip install "
            '"pullback_widgets[evaluate]"'
        ) from error
    if not isinstance(client, Client) or client.asynchronous:
        raise TypeError(
            f"client is {type(client).__name__}; expected a dask.distributed.Client that waits, "
            "such as dask.distributed.Client(address)."
        )
    return client


class _Work:
    """What all tasks share, on the workers."""

    def __init__(self, client: Any, model: Model, plan: Plan) -> None:
        self.client = client
        self._what = model, plan
        self.scatter()

    def scatter(self) -> None:
        """Send network and plan to all workers, again where those that had them are lost."""
        self.model, self.plan = self.client.scatter(list(self._what), broadcast=True, hash=False)

    @property
    def width(self) -> int:
        """How many batches are under way."""
        return 2 * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))


class _Task:
    """A batch under way."""

    def __init__(self, work: _Work, items: Sequence[Item]) -> None:
        self._work, self._items = work, items
        self.submit()

    def submit(self) -> None:
        self.future = self._work.client.submit(
            measured, self._work.model, self._work.plan, self._items, pure=False
        )

    def result(self) -> dict[str, Any]:
        """Wait for it."""
        import distributed
        from distributed.comm import CommClosedError

        lost: tuple[type[BaseException], ...] = (
            distributed.CancelledError,
            distributed.KilledWorker,
            distributed.TimeoutError,
            CommClosedError,
        )
        for attempt in range(TRIES):
            try:
                found: dict[str, Any] = self.future.result()
                return found
            except lost as error:
                if attempt == TRIES - 1:
                    raise RuntimeError(
                        f"A batch was lost with its worker {TRIES} times ({error}); see whether "
                        "the workers have memory enough, or choose a smaller batch_size."
                    ) from error
                self._work.scatter()
                self.submit()
        raise AssertionError  # the last attempt returns or raises


def _result(number: int, task: Any) -> tuple[int, dict[str, Any]]:
    return number, task.result() if isinstance(task, _Task) else task
