"""The journal: the only file written during a run, one event per line, appended and never changed.

`results.json` and every other output are computed from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any


class Journal:
    """Appends events to `journal.ndjson`, each on disk before the next step starts.

    Also keeps them in memory: the judge trusts what it wrote, and `altered` says whether the file still
    equals it. An existing journal continues after its last complete line. Raises BusyError where another
    process is writing it, and ValueError for damage, see `read_journal`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.fdopen(open_for_adding(path), "ab", buffering=0)
        _lock(self._file.fileno(), path)
        kept = path.read_bytes()
        kept = kept[: kept.rfind(b"\n") + 1]
        self._file.truncate(len(kept))
        self.events: list[dict[str, Any]] = read_journal(path)
        self._digest = hashlib.sha256(kept)

    def write(self, event: str, **body: Any) -> None:
        """One line `{"event", "time", ...}`; `time` is seconds since the epoch, by the judge's clock."""
        line = json.dumps(
            {"event": event, "time": round(time.time(), 3), **body}, ensure_ascii=False, default=str
        )
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        self.events.append(json.loads(data))
        self._digest.update(data)
        while data:
            # A full disk shows as a short write first, then as an error.
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def altered(self) -> bool:
        """Whether the file differs from what was written here."""
        return hashlib.sha256(self.path.read_bytes()).digest() != self._digest.digest()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BusyError(Exception):
    """Another process is writing this record."""


def _lock(number: int, path: Path) -> None:
    """Locks the file until it is closed or the process ends; does nothing on Windows."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another process is writing {path}") from None


def open_for_adding(path: Path) -> int:
    """Opens a file to append to it; never follows a link, which somebody else may have put there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o644)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All complete lines; an incomplete last line (after a crash) is left out. Raises OSError, and ValueError
    for damage anywhere else."""
    lines = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        elif number < len(lines):
            raise ValueError(f"{path}:{number}: this line is not a JSON event")
    return events
