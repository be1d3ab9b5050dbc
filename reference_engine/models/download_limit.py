"""Limits the bandwidth: a token bucket that fills with time and is charged after each read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_CHUNK_SECONDS = 0.02
"""The size of a read, in seconds of the rate: traffic is even, and a cancel takes effect soon."""

_CATCH_UP_SECONDS = 0.25
"""The length of an unplanned pause that may be caught up."""


class TokenBucket:
    """`rate` bytes per second for all users together, in any number of threads."""

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
        """Call before the first byte of a body: earlier time gives no credit."""
        with self._lock:
            self._fill()
            self._tokens = min(self._tokens, 0.0)

    def spend(self, count: int) -> None:
        """Call after reading `count` bytes: returns at the time when they were due."""
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
