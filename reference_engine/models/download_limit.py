"""Keeping to a bandwidth: a token bucket that fills by the clock and is paid after every read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_CHUNK_SECONDS = 0.02
"""A read is at most this much of the rate: the traffic stays even, and a cancel is seen soon."""

_CATCH_UP_SECONDS = 0.25
"""How much of a pause that the machine made, and nobody asked for, may be made good."""


class TokenBucket:
    """`rate` bytes a second for all who share it, in any number of threads."""

    def __init__(
        self,
        rate: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate = rate
        self.chunk = max(1, int(rate * _CHUNK_SECONDS))
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._tokens, self._filled = 0.0, clock()

    def begin(self) -> None:
        """Before the first byte of a body: the time that passed until here gives no credit."""
        with self._lock:
            self._fill()
            self._tokens = min(self._tokens, 0.0)

    def spend(self, count: int) -> None:
        """After `count` bytes were read: returns when they were due."""
        with self._lock:
            self._fill()
            self._tokens -= count
            wait = -self._tokens / self.rate
        if wait > 0:
            self._sleep(wait)

    def _fill(self) -> None:
        now = self._clock()
        grown = self._tokens + (now - self._filled) * self.rate
        self._tokens, self._filled = min(grown, self.rate * _CATCH_UP_SECONDS), now
