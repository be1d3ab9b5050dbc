"""A bounded PNG reader.

The judge must not run an image library on a candidate's bytes, so this reader does it: it allocates no more
than the checked header announces, and its only exception is `PngError`.
Format: W3C Portable Network Graphics (Third Edition), chapters 5, 9 and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 4096 * 4096
MAX_SIDE = 8192
MAX_TEXT_BYTES = 1 << 20
MAX_TEXT_CHUNKS = 64

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_PACKED = (1, 2, 4)  # bit depths below a byte, legal for greyscale and palette alone

U8 = NDArray[np.uint8]


class PngError(Exception):
    """These bytes are not a PNG that the harness reads; the message is the reason."""


@dataclass(frozen=True)
class Png:
    """A decoded image: `pixels` is uint8 (height, width, 3) in RGB order, with any alpha left out. `besides`
    says why viewers show something else than these pixels; empty if they show the same.
    """

    width: int
    height: int
    pixels: U8
    texts: dict[str, str]
    besides: str = ""


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int

    @property
    def row_bytes(self) -> int:
        return (self.width * self.depth * _CHANNELS[self.colour] + 7) // 8

    @property
    def pixel_bytes(self) -> int:
        return max(1, self.depth * _CHANNELS[self.colour] // 8)


def read_png(data: bytes, max_pixels: int = MAX_PIXELS) -> Png:
    """The image and its texts (tEXt, zTXt, iTXt). If two have the same key, both values count, on separate
    lines, because readers differ in which they take.

    Reads greyscale and palette of 1 to 8 bits, and RGB, RGBA and grey with alpha of 8 bits, not interlaced.
    Raises `PngError` for everything else, for broken checksums, and beyond `max_pixels`, `MAX_SIDE`, or the
    text limits.
    """
    if len(data) > 5 * max_pixels + (4 << 20):
        raise PngError("the file is larger than any image of the allowed size")
    header: _Header | None = None
    palette: U8 | None = None
    body: list[bytes] = []
    text_chunks: list[tuple[bytes, bytes]] = []
    kinds: set[bytes] = set()
    for kind, payload in _chunks(data):
        kinds.add(kind)
        if header is None:
            header = _header(kind, payload, max_pixels)
        elif kind == b"PLTE":
            palette = _palette(payload)
        elif kind == b"IDAT":
            body.append(payload)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            text_chunks.append((kind, payload))
        elif kind != b"IEND" and not kind[0] & 0x20:
            raise PngError(f"unknown critical chunk {kind.decode('ascii')}")
    if header is None:
        raise PngError("there is no header")
    rows = _unfilter(_inflate(b"".join(body), header), header)
    pixels, texts = _to_rgb(rows, header, palette), _texts(text_chunks)
    return Png(header.width, header.height, pixels, texts, _besides(rows, header, kinds))


def _besides(rows: U8, header: _Header, kinds: set[bytes]) -> str:
    """By chapters 11.3.1 (tRNS) and 11.3.6 (acTL), and by alpha."""
    if b"acTL" in kinds:
        return "it is animated, and other images follow"
    has_alpha = header.colour in (_GREY_ALPHA, _RGBA)
    channels = _CHANNELS[header.colour]
    if b"tRNS" in kinds or (has_alpha and rows[:, channels - 1 :: channels].min() < 255):
        return "parts of it are transparent"
    return ""


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk up to and with IEND; what follows IEND is no part of the image."""
    if data[:8] != _SIGNATURE:
        raise PngError("the PNG signature is missing")
    at = 8
    while True:
        if at + 12 > len(data):
            raise PngError("the file ends before IEND")
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise PngError("a chunk is longer than the file")
        if not (kind.isascii() and kind.isalpha()):
            raise PngError("a chunk has no legal name")
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise PngError(f"the checksum of chunk {kind.decode('ascii')} is wrong")
        yield kind, data[at + 8 : end - 4]
        if kind == b"IEND":
            return
        at = end


def _header(kind: bytes, payload: bytes, max_pixels: int) -> _Header:
    if kind != b"IHDR" or len(payload) != 13:
        raise PngError("the first chunk is not a header")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", payload)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= max_pixels):
        raise PngError(f"a size of {width}x{height} is not allowed")
    if colour not in _CHANNELS:
        raise PngError(f"there is no colour type {colour}")
    if depth != 8 and not (depth in _PACKED and colour in (_GREY, _PALETTE)):
        raise PngError(f"{depth} bits with colour type {colour} are not supported")
    if compression or filtering:
        raise PngError("unknown compression or filter method")
    if interlace:
        raise PngError("interlaced images are not supported")
    return _Header(width, height, depth, colour)


def _palette(payload: bytes) -> U8:
    if not payload or len(payload) % 3 or len(payload) > 768:
        raise PngError("the palette has a wrong length")
    return np.frombuffer(payload, np.uint8).reshape(-1, 3)


def _inflate(body: bytes, header: _Header) -> bytes:
    size = header.height * (1 + header.row_bytes)
    raw, complete = _decompress(body, size)
    if len(raw) != size:
        raise PngError("the pixel data is not as long as the header says")
    if not complete:
        raise PngError("the pixel data is cut off")
    return raw


def _decompress(body: bytes, limit: int) -> tuple[bytes, bool]:
    """At most `limit` + 1 bytes, so that the caller sees an excess at no cost; and whether the stream is
    complete.
    """
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(body, limit + 1)
    except zlib.error:
        raise PngError("the compressed data is damaged") from None
    return raw, stream.eof


def _unfilter(raw: bytes, header: _Header) -> U8:
    """Undo the row filters along anti-diagonals: a pixel needs its left, upper and upper-left neighbours
    only, so all pixels with the same row + column can be done at once.
    """
    height, bpp, row_bytes = header.height, header.pixel_bytes, header.row_bytes
    columns = row_bytes // bpp
    lines = np.frombuffer(raw, np.uint8).reshape(height, 1 + row_bytes)
    kinds = lines[:, 0]
    if kinds.max() > 4:
        raise PngError(f"there is no row filter {kinds.max()}")
    stride = columns + 1
    coded = lines[:, 1:].reshape(height * columns, bpp)
    out = np.zeros(
        ((height + 1) * stride, bpp), np.uint8
    )  # with an empty row above and an empty column at the left
    for diagonal in range(height + columns - 1):
        first = max(0, diagonal - columns + 1)
        count = min(height - 1, diagonal) - first + 1
        start = first * stride + diagonal - first  # of the upper-left neighbours
        step = max(1, stride - 1)
        span = (count - 1) * step + 1
        corner = out[start : start + span : step]
        above = out[start + 1 : start + 1 + span : step]
        left = out[start + stride : start + stride + span : step]
        here = first * columns + diagonal - first
        code_step = max(1, columns - 1)
        code = coded[here : here + (count - 1) * code_step + 1 : code_step]
        target = out[start + stride + 1 : start + stride + 1 + span : step]
        target[:] = code + _predict(kinds[first : first + count, None], left, above, corner)
    return out.reshape(height + 1, stride, bpp)[1:, 1:].reshape(height, row_bytes)


def _predict(kind: U8, left: U8, above: U8, corner: U8) -> U8:
    a, b, c = left.astype(np.int16), above.astype(np.int16), corner.astype(np.int16)
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    chosen: U8 = np.choose(kind, (np.zeros_like(a), a, b, (a + b) >> 1, paeth)).astype(np.uint8)
    return chosen


def _to_rgb(rows: U8, header: _Header, palette: U8 | None) -> U8:
    height, width = header.height, header.width
    if header.depth < 8:
        rows = _unpack(rows, header)
    channels = rows.reshape(height, width, _CHANNELS[header.colour])
    if header.colour in (_RGB, _RGBA):
        return np.ascontiguousarray(channels[..., :3])
    values = channels[..., 0]
    if header.colour == _PALETTE:
        if palette is None or values.max() >= len(palette):
            raise PngError("a pixel points outside the palette")
        return palette[values]
    grey = values * np.uint8(255 // (2**header.depth - 1))
    return np.repeat(grey[..., None], 3, axis=2)


def _unpack(rows: U8, header: _Header) -> U8:
    bits = np.unpackbits(rows, axis=1)[:, : header.width * header.depth]
    weights = (1 << np.arange(header.depth - 1, -1, -1)).astype(np.uint8)
    packed = bits.reshape(header.height, header.width, header.depth)
    unpacked: U8 = (packed * weights).sum(axis=2, dtype=np.uint8)
    return unpacked


def _texts(chunks: list[tuple[bytes, bytes]]) -> dict[str, str]:
    if len(chunks) > MAX_TEXT_CHUNKS:
        raise PngError(f"there are more than {MAX_TEXT_CHUNKS} text chunks")
    texts: dict[str, str] = {}
    room = MAX_TEXT_BYTES
    for kind, payload in chunks:
        key, _, rest = payload.partition(b"\0")
        if not 0 < len(key) < 80:
            raise PngError("a text key must have 1 to 79 bytes")
        value, encoding = _text_value(kind, rest, room)
        room -= len(value)
        if room < 0:
            raise PngError(f"the texts are longer than {MAX_TEXT_BYTES} bytes")
        try:
            name, text = key.decode("latin-1"), value.decode(encoding)
        except UnicodeDecodeError:
            raise PngError("a text is not UTF-8") from None
        texts[name] = text if texts.get(name, text) == text else f"{texts[name]}\n{text}"
    return texts


def _text_value(kind: bytes, rest: bytes, room: int) -> tuple[bytes, str]:
    if kind == b"tEXt":
        return rest, "latin-1"
    if kind == b"zTXt":
        if rest[:1] != b"\0":
            raise PngError("a text has an unknown compression")
        return _inflate_text(rest[1:], room), "latin-1"
    compressed, method, tail = rest[:1], rest[1:2], rest[2:]
    parts = tail.split(b"\0", 2)  # language, translated key, text
    if compressed not in (b"\0", b"\1") or method != b"\0" or len(parts) < 3:
        raise PngError("an international text is malformed")
    return (_inflate_text(parts[2], room) if compressed == b"\1" else parts[2]), "utf-8"


def _inflate_text(body: bytes, room: int) -> bytes:
    raw, complete = _decompress(body, room)
    if len(raw) <= room and not complete:
        raise PngError("a compressed text is cut off")
    return raw
