"""A limit of CPU seconds over several pieces of work."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class OutOfTime(BaseException):
    """The limit was reached; no `except Exception` of the work swallows it."""


class Stopwatch:
    """`limit` is in CPU seconds of this process, counted while it runs; 0 is no limit.

    Where the system has interval timers, work is interrupted at the limit; elsewhere the piece in progress
    comes to its end, and no other begins.
    """

    def __init__(self, limit: float = 0.0) -> None:
        self.limit = limit
        self.used = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raises OutOfTime at the limit."""
        if not self.limit:
            yield
            return
        left = self.limit - self.used
        if left <= 0:
            raise self._out_of_time()
        started = time.process_time()
        try:
            with self._interrupting(left):
                yield
        finally:
            self.used += time.process_time() - started

    @contextmanager
    def _interrupting(self, left: float) -> Iterator[None]:
        # Signals reach the main thread alone.
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(_: int, __: FrameType | None) -> None:
            raise self._out_of_time()

        previous = signal.signal(signal.SIGPROF, interrupt)
        signal.setitimer(signal.ITIMER_PROF, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, previous)

    def _out_of_time(self) -> OutOfTime:
        return OutOfTime(f"Not finished within the limit of {self.limit:.0f} s of CPU time.")
