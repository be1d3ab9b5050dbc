"""CUDA streams: several images at a time on one GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from queue import SimpleQueue
from typing import Any


@contextmanager
def lane(device: str, streams: int) -> Iterator[None]:
    """A context in which torch queues this thread's CUDA work on one of `streams` streams. It waits while all
    streams are in use, and at the end for the work. It does nothing on the CPU or with a single stream.
    """
    if device != "cuda" or streams < 2:
        yield
        return
    import torch

    free = _lanes(streams)
    stream = free.get()
    try:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            yield
    finally:
        stream.synchronize()
        free.put(stream)


@lru_cache(maxsize=8)
def _lanes(streams: int) -> SimpleQueue[Any]:
    import torch

    free: SimpleQueue[Any] = SimpleQueue()
    for _ in range(streams):
        free.put(torch.cuda.Stream())  # type: ignore[no-untyped-call]
    return free
