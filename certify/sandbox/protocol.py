"""The frames between host and guest: the only code that both sides share.

A frame is `u32 header length, u32 payload length` (little endian), a header of strict JSON (one object)
and raw payload bytes. Sizes are checked before anything is allocated; nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import dataclass
from typing import Any, NoReturn

PREFIX = struct.Struct("<II")
MAX_HEADER = 1 << 20
MAX_PAYLOAD = 256 << 20
_MAX_DEPTH = 12
# An integer of 64 bits has no more.
_MAX_DIGITS = 20


class ProtocolError(Exception):
    """The other side broke the protocol."""


@dataclass(frozen=True)
class Frame:
    header: dict[str, Any]
    payload: bytes = b""


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """The bytes of one frame; raises ProtocolError over the limits, ValueError for what JSON lacks."""
    text = json.dumps(header, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise ProtocolError(f"frame too large: header {len(text)}, payload {len(payload)} bytes")
    return PREFIX.pack(len(text), len(payload)) + text + payload


def parse_header(text: bytes) -> dict[str, Any]:
    """One JSON object: no NaN, no duplicate keys, bounded depth and integers, text that can be written."""
    try:
        header = json.loads(
            text.decode("utf-8"),
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_bounded,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"header is not strict JSON: {str(error)[:200]}") from None
    if not isinstance(header, dict):
        raise ProtocolError("header is not an object")
    _check_value(header, 0)
    return header


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name[:40]} is not allowed")


def _finite(digits: str) -> float:
    """`1e999` would be read as infinity."""
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice")
    return table


def _bounded(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_DIGITS else _refuse(digits)


def _check_value(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ProtocolError("header is nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1)


def _check_text(text: str) -> None:
    """Lone surrogates, which JSON can say, can be written into no file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ProtocolError("header holds text that is not Unicode") from None


class FrameParser:
    """Frames out of a stream that arrives in pieces.

    Raises ProtocolError as soon as a prefix announces more than the limits allow.
    """

    def __init__(self, max_header: int = MAX_HEADER, max_payload: int = MAX_PAYLOAD) -> None:
        self._limits = (max_header, max_payload)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if len(self._buffer) < PREFIX.size:
            return None
        header, payload = PREFIX.unpack_from(self._buffer)
        if header > self._limits[0] or payload > self._limits[1]:
            raise ProtocolError(f"frame announces {header} + {payload} bytes, over the limits")
        end = PREFIX.size + header + payload
        if len(self._buffer) < end:
            return None
        text = bytes(self._buffer[PREFIX.size : PREFIX.size + header])
        body = bytes(self._buffer[PREFIX.size + header : end])
        del self._buffer[:end]
        return Frame(parse_header(text), body)


def read_frame(descriptor: int) -> Frame | None:
    """Blocks for one frame; None at the end of the stream. For the guest, which trusts the host."""
    prefix = _read_exactly(descriptor, PREFIX.size)
    if prefix is None:
        return None
    header, payload = PREFIX.unpack(prefix)
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise ProtocolError("frame over the limits")
    text = _read_exactly(descriptor, header)
    body = _read_exactly(descriptor, payload)
    if text is None or body is None:
        raise ProtocolError("stream ended inside a frame")
    return Frame(parse_header(text), body)


def _read_exactly(descriptor: int, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        piece = os.read(descriptor, min(count - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return bytes(data)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
