"""What weights a worker opens: looked at from outside while its call waits, for a file that it made may be
gone a moment later.
"""

from __future__ import annotations

import hashlib
import os
from typing import IO

from certify.instruments.weights.first_bytes import glance

NOT_HASHED = "-"
# A call waits, and with it whoever else the supervisor listens to.
MAX_HASHED = 64 << 20
_MAX_KEPT = 256


class Glance:
    """Tells `WHAT SHA256` of an open file, WHAT being `LoRA` or `weights`; empty for a file that holds none.

    SHA256 is `-` for what is no LoRA, and for a file of more than 64 MiB. A file that has not changed is
    looked at once; of a LoRA only the first copy is told, whatever new names a plugin gives it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], str] = {}
        self._hashed: dict[str, tuple[int, ...]] = {}

    def __call__(self, stream: IO[bytes]) -> str:
        """Raises OSError."""
        status = os.fstat(stream.fileno())
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if key not in self._kept:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = _told(stream, status.st_size)
        told = self._kept[key]
        _, _, digest = told.partition(" ")
        first = self._hashed.setdefault(digest, key) if digest not in ("", NOT_HASHED) else key
        return told if first == key else ""


def _told(stream: IO[bytes], size: int) -> str:
    what = glance(stream, size)
    if what != "LoRA" or size > MAX_HASHED:
        return f"{what} {NOT_HASHED}" if what else ""
    return f"{what} {_digest(stream, size)}"


def _digest(stream: IO[bytes], size: int) -> str:
    digest, left = hashlib.sha256(), size
    stream.seek(0)
    # A file that grows meanwhile is read no further.
    while left > 0 and (block := stream.read(min(left, 1 << 20))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
