"""Inspects the weight files that a worker opens. The system call waits meanwhile, because a worker may delete
a file soon after.
"""

from __future__ import annotations

import hashlib
import os
from typing import IO

from certify.instruments.weights.first_bytes import glance

NOT_HASHED = "-"
# Bytes. The system call waits meanwhile, and so do the other workers of the supervisor.
MAX_HASHED = 64 << 20
_MAX_KEPT = 256  # files


class Glance:
    """Gives `WHAT SHA256` for an open file, where WHAT is `LoRA` or `weights`; empty for other files.

    SHA256 is `-` for a file that is not a LoRA or is larger than 64 MiB. An unchanged file is inspected once.
    Only the first copy of a LoRA is reported, whatever names a plugin gives to further copies.
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
            self._kept[key] = _describe(stream, status.st_size)
        description = self._kept[key]
        _, _, digest = description.partition(" ")
        first = self._hashed.setdefault(digest, key) if digest not in ("", NOT_HASHED) else key
        return description if first == key else ""


def _describe(stream: IO[bytes], size: int) -> str:
    what = glance(stream, size)
    if what != "LoRA" or size > MAX_HASHED:
        return f"{what} {NOT_HASHED}" if what else ""
    return f"{what} {_digest(stream, size)}"


def _digest(stream: IO[bytes], size: int) -> str:
    digest, left = hashlib.sha256(), size
    stream.seek(0)
    # If the file grows meanwhile, the new part is not read.
    while left > 0 and (block := stream.read(min(left, 1 << 20))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
