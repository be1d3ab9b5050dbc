"""Hashes of large files, kept across processes in a file of the SDK's cache.

A person who can write to that file could make the SDK accept a false model. So it is used only if it and its
folder belong to this user or to root, and nobody else may write there. A file that is wrong in any other way
is ignored. On Windows nothing is kept, because the times of a file there can hide a change.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .cache import cache_folder, locked

Identity = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, and the times of the last change of content and of status in ns."""

WORTH = 2**20
"""In bytes: hashing a smaller file is faster than looking it up."""
SETTLED = 2_000_000_000
"""In ns: the coarsest file systems record times in steps of 2 s (FAT), and a file may change without a trace
within one step.
"""
_MAX_ENTRIES = 4096
_MAX_BYTES = 2**20
_FORMAT = 1
_SHA256 = re.compile("[0-9a-f]{64}")


def stored(identity: Identity) -> str | None:
    """The stored sha256 of a file, if the file is unchanged."""
    return _read(_file()).get(identity) if _kept(identity) else None


def store(identity: Identity, sha256: str, begun: int) -> None:
    """Stores the hash of a file whose reading began at `begun` (ns since the epoch), unless the file had only
    just changed then. Safe across processes. A hash that cannot be written is not stored.
    """
    if not _kept(identity) or begun - max(identity[3:]) < SETTLED:
        return
    file = _file()
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _ours(file.parent.stat()):
            return
        with locked(file.with_name(f"{file.name}.lock"), _deadline()):
            hashes = _read(file)
            hashes.pop(identity, None)
            hashes[identity] = sha256
            _write(file, dict(list(hashes.items())[-_MAX_ENTRIES:]))


def _file() -> Path:
    return cache_folder() / "hashes.json"


def _kept(identity: Identity) -> bool:
    return sys.platform != "win32" and identity[2] >= WORTH


def _deadline() -> _Deadline:
    return _Deadline(time.monotonic() + 2.0)


class _Deadline:
    """Raises TimeoutError after `end`: writing this file never takes that long."""

    def __init__(self, end: float) -> None:
        self._end = end

    def __call__(self) -> None:
        if time.monotonic() > self._end:
            raise TimeoutError


def _read(file: Path) -> dict[Identity, str]:
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                return {}
            if not (_ours(status) and _ours(file.parent.stat())):
                return {}
            return _parsed(json.loads(stream.read(_MAX_BYTES)))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def _ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _parsed(content: Mapping[str, object]) -> dict[Identity, str]:
    """Raises ValueError, TypeError, AttributeError or KeyError if it is not in the format of `_write`."""
    entries = content["hashes"]
    if content["format"] != _FORMAT or not isinstance(entries, dict):
        raise ValueError("another format")
    hashes: dict[Identity, str] = {}
    for key, sha256 in entries.items():
        device, inode, size, changed, status_changed = map(int, key.split(" "))
        if not _SHA256.fullmatch(sha256):
            raise ValueError("no sha256")
        hashes[device, inode, size, changed, status_changed] = sha256
    return hashes


def _write(file: Path, hashes: Mapping[Identity, str]) -> None:
    content = {
        "format": _FORMAT,
        "hashes": {" ".join(map(str, key)): sha256 for key, sha256 in hashes.items()},
    }
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            json.dump(content, stream, indent=0)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
