"""Decodes the encodings that hide payloads, layer by layer and within bounds; nothing is run."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable
from typing import Any

MAX_BYTES = 1 << 20  # of one decoded layer
MAX_LAYERS = 8

Decoder = Callable[[bytes], bytes]


def _inflated(data: bytes, maker: Callable[[], Any]) -> bytes:
    if maker is lzma.LZMADecompressor:  # the data sets the size of the dictionary
        return lzma.LZMADecompressor(memlimit=64 << 20).decompress(data, MAX_BYTES)
    return bytes(maker().decompress(data, MAX_BYTES))


def _base64(data: bytes) -> bytes:
    """Standard or URL-safe, with or without its padding."""
    plain = bytes(data.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n").rstrip(b"="))
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


# What a call of this name does to its first argument.
DECODERS: dict[str, Decoder] = {
    "base64.b64decode": _base64,
    "base64.urlsafe_b64decode": _base64,
    "base64.standard_b64decode": _base64,
    "base64.decodebytes": _base64,
    "base64.b32decode": base64.b32decode,
    "base64.b16decode": lambda data: base64.b16decode(data, casefold=True),
    "base64.b85decode": base64.b85decode,
    "base64.a85decode": base64.a85decode,
    "binascii.a2b_base64": _base64,
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.unhexlify,
    "bytes.fromhex": lambda data: bytes.fromhex(data.decode()),
    "bytearray.fromhex": lambda data: bytes.fromhex(data.decode()),
    "zlib.decompress": lambda data: _inflated(data, zlib.decompressobj),
    "gzip.decompress": lambda data: _inflated(data, lambda: zlib.decompressobj(31)),
    "bz2.decompress": lambda data: _inflated(data, bz2.BZ2Decompressor),
    "lzma.decompress": lambda data: _inflated(data, lzma.LZMADecompressor),
}
CODECS: dict[str, Decoder] = {
    **dict.fromkeys(("base64", "base-64"), _base64),
    **dict.fromkeys(("hex", "hex-codec"), binascii.unhexlify),
    **dict.fromkeys(("zlib", "zip", "zlib-codec"), DECODERS["zlib.decompress"]),
    **dict.fromkeys(("bz2", "bz2-codec"), DECODERS["bz2.decompress"]),
    **dict.fromkeys(("rot13", "rot-13"), lambda data: codecs.encode(data.decode(), "rot13").encode()),
}


def decode(decoder: Decoder, data: bytes | str) -> bytes | None:
    """Removes one layer; None if the data is not in this encoding, or is too large."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > 4 * MAX_BYTES:
        return None
    try:
        return decoder(raw)[:MAX_BYTES]
    except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, OverflowError, MemoryError):
        return None


def peel(data: bytes | str) -> bytes | None:
    """The content under encodings that can be recognised (base64, hex, zlib, gzip, bz2, xz)."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    for _ in range(MAX_LAYERS):
        under = _one_layer(raw)
        if under is None:
            break
        raw = under
    return raw


def _one_layer(raw: bytes) -> bytes | None:
    for mark, name in (
        (b"x\x9c", "zlib.decompress"),
        (b"x\xda", "zlib.decompress"),
        (b"x\x01", "zlib.decompress"),
        (b"\x1f\x8b", "gzip.decompress"),
        (b"BZh", "bz2.decompress"),
        (b"\xfd7zXZ", "lzma.decompress"),
    ):
        if raw.startswith(mark):
            return decode(DECODERS[name], raw)
    compact = raw.translate(None, b" \t\r\n")
    if len(compact) < 40:
        return None
    if not compact.translate(None, b"0123456789abcdefABCDEF"):
        return decode(DECODERS["binascii.unhexlify"], compact)
    if not compact.rstrip(b"=").translate(
        None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
    ):
        return decode(_base64, compact)
    return None
