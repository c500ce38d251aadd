"""Work done ahead of its consumer, in a thread, with bounded memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class Prefetch(Generic[Item]):
    """Runs an iterator in a thread, up to ``depth`` items ahead; errors arrive in order.

    Args:
        produce: Makes the iterator; called in the thread, where it is also closed.
        depth: Items that may wait; one more is being made, and one is the consumer's.
    """

    def __init__(self, produce: Callable[[], Iterator[Item]], *, depth: int = 2) -> None:
        self._produce = produce
        self._depth = depth

    def __iter__(self) -> Iterator[Item]:
        waiting: queue.Queue[Item | _Failed | _End] = queue.Queue(self._depth)
        stop = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(waiting, stop), name="lipcore-prefetch", daemon=True
        )
        thread.start()
        try:
            while True:
                item = waiting.get()
                if isinstance(item, _End):
                    return
                if isinstance(item, _Failed):
                    raise item.error
                yield item
        finally:
            stop.set()
            thread.join()

    def _run(self, waiting: queue.Queue[Item | _Failed | _End], stop: threading.Event) -> None:
        def put(item: Item | _Failed | _End) -> bool:
            while not stop.is_set():
                try:
                    waiting.put(item, timeout=_POLL_S)
                    return True
                except queue.Full:
                    continue
            return False

        try:
            for item in self._produce():
                if not put(item):
                    return
        except BaseException as error:  # handed to the consumer, whatever it is
            put(_Failed(error))
        else:
            put(_End())
