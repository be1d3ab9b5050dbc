"""What hostile plugins are after, made for one run and looked at afterwards, from outside."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class Decoys:
    """Listeners on loopback, a file to be read, one to be written, a process to be ended, memory of ours."""

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self.secret = self.folder / ".ssh" / "id_ed25519"
        self.secret.parent.mkdir()
        self.secret.write_text(self.token, "utf-8")
        self.outside = self.folder / "open" / "outside"
        self.outside.parent.mkdir()
        self.outside.parent.chmod(0o777)
        self.memory = ctypes.create_string_buffer(self.token.encode(), 64)
        # The kernel keeps 15 characters of a process's name.
        self.daemon = f"ink-{self.token[:10]}"
        self.tcp = _open(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = _open(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.unix = _open(socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "service.sock"))
        self.abstract = _open(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.token}")
        self.stranger = subprocess.Popen(["sleep", "600"])

    def write(self, folder: Path, more: Mapping[str, object]) -> None:
        """Tells the plugin in `folder` where they are."""
        table = {
            "token": self.token,
            "secret": str(self.secret),
            "outside": str(self.outside),
            "judge": os.getpid(),
            "address": ctypes.addressof(self.memory),
            "daemon": self.daemon,
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "unix": str(self.folder / "service.sock"),
            "abstract": self.token,
            "stranger": self.stranger.pid,
            **more,
        }
        (folder / "decoys.json").write_text(json.dumps(table), "utf-8")

    def effects(self, record: str) -> list[str]:
        """What was done to them, and what came back: `record` is all that the run wrote down."""
        seen = {
            "a connection arrived": _connected(self.tcp),
            "a datagram arrived": _received(self.udp),
            "a service was reached by its path": _connected(self.unix),
            "a service was reached by its name": _connected(self.abstract),
            "a file was written outside": os.path.lexists(self.outside),
            "a stranger was ended": self.stranger.poll() is not None,
            "a process stayed behind": bool(self._daemons()),
        }
        told = record.partition(f"told {self.token} ")[2]
        secret_or_act = told.split("\\n")[0].split("  (while")[0]
        came = "a secret came back" if self.token in secret_or_act else f"it got {secret_or_act}"
        return [what for what, happened in seen.items() if happened] + ([came] if told else [])

    def _daemons(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["name", "status"])
            if process.info["name"] == self.daemon and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def close(self) -> None:
        for process in self._daemons():
            process.kill()
        self.stranger.kill()
        self.stranger.wait()
        for listener in (self.tcp, self.udp, self.unix, self.abstract):
            listener.close()


@contextmanager
def decoys() -> Iterator[Decoys]:
    # Where anybody may go, so that walls alone keep a plugin from them.
    folder = Path(tempfile.mkdtemp(prefix="decoys-"))
    folder.chmod(0o755)
    made = Decoys(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def _open(family: int, kind: socket.SocketKind, address: str | tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.bind(address)
    listener.setblocking(False)
    if kind == socket.SOCK_STREAM:
        listener.listen(4)
    return listener


def _connected(listener: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        listener.accept()[0].close()
        return True
    return False


def _received(listener: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        listener.recv(100)
        return True
    return False
