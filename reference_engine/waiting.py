"""Waiting for a worker thread in an event loop: with cancellation, a timeout and progress."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from numbers import Real
from typing import TypeVar

from .errors import InvalidParameter, SDKError, TimedOut
from .progress import Progress

Result = TypeVar("Result")

Work = Callable[[Callable[[], bool], Progress | None], Result]
"""Work for a thread. It calls its first argument before each step to see whether to stop, and its second
argument after each step to report progress.
"""


async def in_thread(
    executor: Executor, work: Work[Result], *, timeout: float | None = None, progress: Progress | None = None
) -> Result:
    """Runs `work` in `executor` without blocking the event loop, and returns or raises what it does.

    `progress` is called in the event loop's thread, and never after this has returned. `timeout` is in
    seconds and includes the wait for a free thread; after it TimedOut is raised. A task that is cancelled or
    timed out ends at once for the caller. The thread stops before its next step, and work that has not begun
    never begins.
    """
    check_timeout(timeout)
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def show(done: int, total: int) -> None:
        if progress is not None and not stop.is_set():
            progress(done, total)

    def report(done: int, total: int) -> None:
        with suppress(RuntimeError):  # the loop was closed, so nobody waits for the report
            loop.call_soon_threadsafe(show, done, total)

    waiter = asyncio.wrap_future(started(executor, work, stop.is_set, report if progress else None))
    try:
        await asyncio.wait({waiter}, timeout=timeout)
        if not waiter.done():
            raise TimedOut(
                f"The image was not ready after {timeout:g} seconds.",
                ["Give it more time, fewer steps or a smaller size."],
            )
        return waiter.result()
    finally:
        stop.set()
        waiter.cancel()


def started(executor: Executor, work: Callable[..., Result], *arguments: object) -> Future[Result]:
    """`executor.submit`, but raises SDKError (ERR_CLOSED) if the executor takes no more work."""
    try:
        return executor.submit(work, *arguments)
    except RuntimeError:
        raise SDKError(
            "This plugin or pool is closed; it makes no more images.",
            ["Create another."],
            code="ERR_CLOSED",
        ) from None


def check_timeout(timeout: object) -> None:
    """Raises InvalidParameter unless `timeout` is None or a number of seconds above 0."""
    number = isinstance(timeout, Real) and not isinstance(timeout, bool) and math.isfinite(timeout)
    if timeout is not None and not (number and timeout > 0):  # type: ignore[operator]
        raise InvalidParameter(f"timeout must be a number of seconds above 0, or None, not {timeout!r}.", ())
