"""Connections that may not be held open for nothing.

uvicorn counts connections, and waits for a request's head as long as it takes: a few idle
senders could keep everybody else out. Here a connection is closed that has not brought a whole
head in time, and one address has no more than its share.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from lipcore.rate.guard import address_of


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with an end to its patience."""

    head_s: ClassVar[float] = 20
    """Longest time for the head of a request, and for silence after a response."""
    most_of_one: ClassVar[int] = 400
    """Connections of one address at once; a room of raters behind one router is one."""
    held: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: Any) -> None:
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self._address = address_of({"type": "http", "client": self.client})
        self.held[self._address] += 1
        self._waits_since: object = None
        self._watch: asyncio.TimerHandle | None = None
        if self.held[self._address] > self.most_of_one:
            transport.abort()
        else:
            self._watch = self.loop.call_later(self.head_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.cancel()
        self.held[self._address] -= 1
        if not self.held[self._address]:
            del self.held[self._address]

    def _look(self) -> None:
        """Close what waits for the same request as at the last look."""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._waits_since is self.cycle:
            self.transport.close()
            return
        self._waits_since = self.cycle if is_idle else self  # which is no request
        self._watch = self.loop.call_later(self.head_s, self._look)
