"""SHA-256 of files, cached while a file is unchanged, also across processes."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

from .hash_store import Identity, store, stored

_CLOCK_TICK = 100_000_000
"""In ns, more than one tick of the clocks that file systems take their times from (4 to 16 ms): a younger
file could change again without a trace, so its hash is not cached."""

_CHUNK = 2**20

_known: dict[Identity, str] = {}
_lock = threading.Lock()


def identity(file: Path) -> Identity:
    """Identifies the current content of `file`. Renaming its folder does not change it. Raises OSError."""
    status = file.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def file_digest(file: Path, *, force: bool = False) -> str:
    """sha256 of a file in hexadecimal, cached while the file's identity is the same.

    `force` always reads the file. Raises OSError.
    """
    before = identity(file)
    if not force:
        with _lock:
            if before in _known:
                return _known[before]
        if (kept := stored(before)) is not None:
            with _lock:
                _known[before] = kept
            return kept
    begun = time.time_ns()
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    sha256 = digest.hexdigest()
    young = begun - max(before[3], before[4]) < _CLOCK_TICK
    if not young and identity(file) == before:
        with _lock:
            _known[before] = sha256
        store(before, sha256, begun)
    return sha256


def remember(file: Path, sha256: str) -> None:
    """Caches the hash of a file that was computed while it was written. Raises OSError."""
    with _lock:
        _known[identity(file)] = sha256


def fingerprint(folder: Path) -> tuple[tuple[str, Identity], ...]:
    """Every file under `folder` with its identity. It differs once a file is added, changed or removed. Empty
    if there is no such folder.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return tuple((file.relative_to(folder).as_posix(), identity(file)) for file in files)
