"""What can be seen from inside without the kernel's help: Python's audit events.

A plugin with native code can go round it; so it only ever adds a finding, and never clears a plugin.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

MAX_EVENTS = 100
_NETWORK = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.chmod",
}
_DEVICES = ("/dev/null", "/dev/tty", "/dev/shm", "/dev/urandom", "/proc/self")


class Watch:
    """Collects events; `allowed` are folders in which the plugin may write."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(os.path.realpath(folder) for folder in allowed) + _DEVICES
        self._events: list[dict[str, str]] = []
        sys.addaudithook(self._see)

    def take(self) -> list[dict[str, str]]:
        events, self._events = self._events, []
        return events

    def _see(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in _NETWORK:
            self._note("network", f"{name.partition('.')[2]} {_address(name, arguments)}")
        elif (name == "open" and _writes(arguments)) or name in _CHANGES:
            self._note_path(arguments[0])

    def _note_path(self, path: Any) -> None:
        if isinstance(path, (str, bytes)):
            real = os.path.realpath(os.fsdecode(path))
            if not real.startswith(self._allowed):
                self._note("write", real)

    def _note(self, kind: str, detail: str) -> None:
        event = {"kind": kind, "detail": detail.encode("utf-8", "backslashreplace").decode()[:300]}
        if len(self._events) < MAX_EVENTS and event not in self._events:
            self._events.append(event)


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITES)


def _address(name: str, arguments: tuple[Any, ...]) -> str:
    if name == "socket.getaddrinfo":
        return f"{arguments[0]}:{arguments[1]}"
    address = arguments[1] if len(arguments) > 1 else ""
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{address[0]}:{address[1]}"
    return str(address)
