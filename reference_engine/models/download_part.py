"""A partly downloaded file: `NAME.part` with the bytes, and `NAME.meta` with their source."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from . import hashes

_CHUNK = 2**20


@dataclass(frozen=True)
class Meta:
    """The source of a part. `validator` is a strong ETag, or a Last-Modified that is as strong. `total` is
    the whole file's length in bytes. Both are None if the server did not say.
    """

    source: str
    validator: str | None
    total: int | None


def source_name(url: str) -> str:
    """The hash of a URL, which replaces it in a `.meta`, because a signed URL is a secret."""
    return hashlib.sha256(url.encode("utf-8")).hexdigest()


class Part:
    """The received bytes, their running sha256, and their Meta. Every method may raise OSError.

    `pieces` counts the responses that this process took bytes from. `inherited` says whether an earlier
    process left bytes. Bytes are only appended, and the Meta is on the disk before the first byte. So a
    `.part` and its `.meta` belong together, whenever a process dies.
    """

    def __init__(self, target: Path, alive: Callable[[], None] = lambda: None) -> None:
        """Continues what an earlier process left, and reads it once. `alive` is called between reads and may
        raise.
        """
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.meta: Meta | None = self._read_meta()
        self.size = 0
        self.pieces = 0
        self._digest = hashlib.sha256()
        if self.meta is None:
            self.path.unlink(missing_ok=True)
        self._stream = self.path.open("a+b", buffering=0)
        self._stream.seek(0)
        while chunk := self._stream.read(_CHUNK):
            self._digest.update(chunk)
            self.size += len(chunk)
            alive()
        self.inherited = self.size > 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def complete(self) -> bool:
        return self.meta is not None and self.size == self.meta.total

    def restart(self, meta: Meta) -> None:
        """Discards the bytes. The next ones belong to `meta`."""
        self.discard_bytes()
        fresh = self._meta_path.with_name(f"{self._meta_path.name}.new")
        fresh.write_text(json.dumps(asdict(meta)), "utf-8")
        fresh.replace(self._meta_path)
        self.meta = meta

    def append(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) :]

    def discard_bytes(self) -> None:
        """Discards the bytes and the Meta."""
        self._stream.truncate(0)
        self._meta_path.unlink(missing_ok=True)
        self.meta, self.size, self.pieces, self.inherited = None, 0, 0, False
        self._digest = hashlib.sha256()

    def finish(self) -> None:
        """Moves the complete file to its target, atomically and safe from a power cut."""
        os.fsync(self._stream.fileno())
        self._stream.close()
        self.path.replace(self.target)
        _sync_folder(self.target.parent)
        self._meta_path.unlink(missing_ok=True)
        hashes.remember(self.target, self.sha256)

    def remove(self) -> None:
        """Deletes all files of the part."""
        self._stream.close()
        self.path.unlink(missing_ok=True)
        self._meta_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keeps the bytes for the next try; deletes an empty part."""
        if not self._stream.closed:
            if self.size:
                self._stream.close()
            else:
                self.remove()

    @property
    def _meta_path(self) -> Path:
        return self.target.with_name(f"{self.target.name}.meta")

    def _read_meta(self) -> Meta | None:
        try:
            table = json.loads(self._meta_path.read_text("utf-8"))
            meta = Meta(table["source"], table["validator"], table["total"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        good = isinstance(meta.source, str) and isinstance(meta.validator, (str, type(None)))
        return meta if good and (meta.total is None or type(meta.total) is int) else None


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable, on systems that can open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
