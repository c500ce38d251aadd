"""Frames through bounded queues: order kept, memory bounded, errors not lost."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_END = object()


def ordered_map(
    work: Callable[[In], Out], items: Iterable[In], *, workers: int, depth: int = 2
) -> Iterator[Out]:
    """Apply ``work`` in threads and yield the results in order.

    At most ``workers + depth`` items are held at once. When the consumer stops, or an item
    fails, what has not begun is dropped.
    """
    pending: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="lipcore") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= workers + depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


class BackgroundSink(Generic[In]):
    """Hands items to ``work`` in one thread of its own, in order, a few ahead.

    An error of ``work`` is raised again from the next ``put`` or at the end of the ``with``.
    """

    def __init__(self, work: Callable[[In], None], *, depth: int = 2) -> None:
        self._work = work
        self._queue: queue.Queue[Any] = queue.Queue(depth)  # items, then _END
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lipcore-sink", daemon=True)

    def _run(self) -> None:
        while (item := self._queue.get()) is not _END:
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as error:  # carried to the thread that feeds
                    self._error = error

    def put(self, item: In) -> None:
        """Queue an item; waits while the queue is full."""
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(_END)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error
