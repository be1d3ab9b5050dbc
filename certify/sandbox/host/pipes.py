"""The host's ends of a worker's pipes: a session writes requests and reads output. Systems differ in how."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Mapping
from typing import Protocol

OUTPUTS = ("answers", "stdout", "stderr", "events")
Piece = tuple[str, bytes]
_PIECE = 1 << 20
# Bytes that are buffered of one pipe until a session takes them.
MAX_BUFFERED = 1 << 20
# Seconds between checks for the end of the process after all pipes have ended.
_PAUSE = 0.02


class Pipes(Protocol):
    """Sends requests to a worker and receives the pipes that OUTPUTS names."""

    def send(self, data: bytes) -> None:
        """Queues `data`, which `wait` writes. If the worker is gone, it is dropped without an error."""

    def wait(self, seconds: float) -> list[Piece]:
        """The data that arrived, by pipe name; waits at most `seconds`, and may return early with nothing."""

    def now(self, name: str) -> bytes:
        """The data in one pipe now; empty where there is none or the pipe has ended."""

    def close(self) -> None: ...


class SelectedPipes:
    """For systems that can wait for several pipes at once; the file descriptor `also` ends a wait early."""

    def __init__(self, requests: int, outputs: Mapping[str, int], also: int | None = None) -> None:
        self._requests = requests
        self._outputs = dict(outputs)
        self._pending = memoryview(b"")
        self._selector = selectors.DefaultSelector()
        self._open = set(self._outputs.values())
        self._names = {number: name for name, number in self._outputs.items()}
        for number in (requests, *self._open):
            os.set_blocking(number, False)
        for number in (*self._open, *([] if also is None else [also])):
            self._selector.register(number, selectors.EVENT_READ)

    def send(self, data: bytes) -> None:
        if not self._pending:
            self._selector.register(self._requests, selectors.EVENT_WRITE)
        self._pending = memoryview(bytes(self._pending) + data)

    def wait(self, seconds: float) -> list[Piece]:
        pieces = []
        for key, _ in self._selector.select(seconds if self._open else min(seconds, _PAUSE)):
            if key.fd == self._requests:
                self._write()
            elif key.fd in self._open:
                data = self.now(self._names[key.fd])
                if data:
                    pieces.append((self._names[key.fd], data))
        return pieces

    def _write(self) -> None:
        try:
            self._pending = self._pending[os.write(self._requests, self._pending[:65536]) :]
        except BlockingIOError:
            return
        except OSError:
            # The worker is gone; its exit code says more.
            self._pending = memoryview(b"")
        if not self._pending:
            self._selector.unregister(self._requests)

    def now(self, name: str) -> bytes:
        number = self._outputs[name]
        if number not in self._open:
            return b""
        try:
            data = os.read(number, _PIECE)
        except BlockingIOError:
            return b""
        if not data:
            self._open.discard(number)
            self._selector.unregister(number)
        return data

    def close(self) -> None:
        self._selector.close()
        for number in (self._requests, *self._outputs.values()):
            os.close(number)


class ThreadedPipes:
    """For systems that cannot: one thread reads each pipe, and one thread writes. Each thread owns its file
    descriptor, because a descriptor must not be closed during a blocking read."""

    def __init__(self, requests: int, outputs: Mapping[str, int]) -> None:
        self._changed = threading.Condition()
        self._held = {name: bytearray() for name in outputs}
        self._open = set(outputs)
        self._pending = bytearray()
        self._closed = False
        for name, number in outputs.items():
            threading.Thread(target=self._read_on, args=(name, number), daemon=True).start()
        threading.Thread(target=self._write_on, args=(requests,), daemon=True).start()

    def send(self, data: bytes) -> None:
        with self._changed:
            self._pending += data
            self._changed.notify_all()

    def wait(self, seconds: float) -> list[Piece]:
        with self._changed:
            seconds = seconds if self._open else min(seconds, _PAUSE)
            self._changed.wait_for(lambda: any(self._held.values()), seconds)
            return [(name, self._take(name)) for name, held in self._held.items() if held]

    def now(self, name: str) -> bytes:
        with self._changed:
            return self._take(name)

    def wait_for_the_end(self, seconds: float) -> None:
        """Waits until every pipe has ended or its buffer is full; `now` then gives the last output."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (left := deadline - time.monotonic()) > 0 and self._open:
                if all(len(self._held[name]) >= MAX_BUFFERED for name in self._open):
                    return
                self._changed.wait(left)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, name: str) -> bytes:
        data = bytes(self._held[name])
        self._held[name].clear()
        self._changed.notify_all()
        return data

    def _read_on(self, name: str, number: int) -> None:
        try:
            while data := os.read(number, _PIECE):
                with self._changed:
                    self._held[name] += data
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed or len(self._held[name]) < MAX_BUFFERED)
                    if self._closed:
                        return
        except OSError:
            # Windows raises an error where the other end is closed.
            return
        finally:
            os.close(number)
            with self._changed:
                self._open.discard(name)
                self._changed.notify_all()

    def _write_on(self, number: int) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._pending)
                    if self._closed:
                        return
                    data = bytes(self._pending[:65536])
                while data:
                    data = data[os.write(number, data) :]
                with self._changed:
                    del self._pending[:65536]
        except OSError:
            # The worker is gone; its exit code says more.
            return
        finally:
            os.close(number)
