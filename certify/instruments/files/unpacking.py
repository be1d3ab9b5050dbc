"""Unpacks compressed data within bounds, whatever sizes it declares."""

from __future__ import annotations

import bz2
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import IO, Any

# Exceptions of the standard library's archive readers on hostile archives.
UNREADABLE = (
    *(ValueError, OSError, EOFError, RuntimeError, NotImplementedError, KeyError, IndexError, OverflowError),
    *(MemoryError, struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)


class UnpackError(ValueError):
    """It can't be unpacked, or not within the bounds; the message says why."""


def unpack(kind: str, data: bytes, limit: int) -> bytes:
    """The content of `data`, which is compressed as `gzip`, `zlib`, `bzip2` or `xz`; at most `limit` bytes.

    Raises UnpackError if it is damaged, has trailing data, or holds more.
    """
    makers: dict[str, Any] = {
        "gzip": lambda: zlib.decompressobj(31),
        "zlib": zlib.decompressobj,
        "bzip2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(memlimit=128 << 20),
    }
    if kind not in makers:
        raise UnpackError(f"there is no reader for {kind}")
    try:
        machine = makers[kind]()
        whole = machine.decompress(data, limit + 1)
        while not machine.eof and len(whole) <= limit:
            rest = getattr(machine, "unconsumed_tail", b"")
            more = machine.decompress(rest, limit + 1 - len(whole))
            if not more:
                raise UnpackError("it is truncated")
            whole += more
    except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
        raise UnpackError(f"it is broken ({error})") from None
    if len(whole) > limit:
        raise UnpackError(f"it unpacks to over {limit >> 20} MiB")
    if machine.unused_data:
        raise UnpackError("more data follows after its end")
    return bytes(whole)


def bounded(stream: IO[bytes], limit: int) -> bytes:
    """All bytes of a stream; raises UnpackError if there are more than `limit`."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise UnpackError(f"it has over {limit >> 20} MiB")
    return data
