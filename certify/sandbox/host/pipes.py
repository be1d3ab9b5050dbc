"""Our ends of a worker's pipes. A session writes requests and takes what came; how, is the system's."""

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
# What is held of one pipe for a session that does not take it.
MAX_BUFFERED = 1 << 20
# Where nothing can come any more, only the end of the process is waited for.
_PAUSE = 0.02


class Pipes(Protocol):
    """Requests to a worker, and from it what OUTPUTS names."""

    def send(self, data: bytes) -> None:
        """Queues `data`, which is written while `wait` waits. A worker that is gone takes it silently."""

    def wait(self, seconds: float) -> list[Piece]:
        """What came, by the name of its pipe; waits so long at most, and may return early with nothing."""

    def now(self, name: str) -> bytes:
        """What one pipe holds now; empty where it holds nothing or has ended."""

    def close(self) -> None: ...


class SelectedPipes:
    """For systems that can wait for several pipes at once. `also` is a descriptor that ends a wait early."""

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
            # The worker is gone; its exit tells more.
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
    """For systems that cannot: a thread reads each pipe, and one writes. Each owns its descriptor, since a
    descriptor must not be closed under a read that waits."""

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
        """Until every pipe has ended, or no more fits: then `now` has what a worker that is gone wrote."""
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
            # Windows says so where the other end was broken off.
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
            # The worker is gone; its exit tells more.
            return
        finally:
            os.close(number)
