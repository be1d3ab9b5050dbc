"""Reads a user's image files: PNG by our own reader, JPEG and WebP in a subprocess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certify.decoders import Missing, NotReadable, read_apart
from certify.errors import UserError
from certify.instruments.files.png import PngError, read_png
from certify.instruments.marks.files.credentials import judge_credentials
from certify.instruments.marks.files.xmp import XMP_KEY
from certify.instruments.marks.layers import Layer

MAX_BYTES = 64 << 20  # of a file
_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
# Files that are sent to the reader of credentials at once.
_BATCH = 64


@dataclass(frozen=True)
class ImageFile:
    """`pixels` is RGB (height, width, 3); `texts` has the XMP packet under PNG's key whatever the format."""

    name: str
    mime: str
    data: bytes
    pixels: NDArray[np.uint8]
    texts: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def open_image(path: Path) -> ImageFile:
    """Raises UserError for a file that is not a readable PNG, JPEG or WebP."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES >> 20} MiB.")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    mime = mime_of(data)
    if not mime:
        raise UserError(f"{path} is not a PNG, JPEG or WebP.", "Other formats are not supported.")
    pixels, texts = _decode(path, data, mime)
    late = packet_after_end(data) if mime == "image/png" else ""
    if late and XMP_KEY not in texts:
        return ImageFile(str(path), mime, data, pixels, {**texts, XMP_KEY: late}, (_LATE,))
    return ImageFile(str(path), mime, data, pixels, texts)


_LATE = "the XMP packet is behind the end of the PNG, where most readers do not look"


def mime_of(data: bytes) -> str:
    """The MIME type by the first bytes; empty for other formats."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for start, mime in _KINDS if data.startswith(start)), "")


def packet_after_end(data: bytes) -> str:
    """An XMP packet that was appended behind a PNG's IEND; empty without one."""
    tail = data[data.rfind(b"IEND") + 8 :]
    start, end = tail.find(b"<x:xmpmeta"), tail.find(b"</x:xmpmeta>")
    return tail[start : end + 12].decode("utf-8", "replace") if 0 <= start < end else ""


def _decode(path: Path, data: bytes, mime: str) -> tuple[NDArray[np.uint8], dict[str, str]]:
    if mime == "image/png":
        try:
            png = read_png(data)
            return png.pixels, png.texts
        except PngError as error:
            if "not supported" not in str(error):
                raise UserError(f"{path}: {error}.") from None
    try:
        head, body = read_apart("images", {}, data)
        width, height = int(head["width"]), int(head["height"])
        pixels = np.frombuffer(body, np.uint8).reshape(height, width, 3)
        return pixels, {str(key): str(value) for key, value in dict(head["texts"]).items()}
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} cannot be decoded: {error}") from None


def read_credentials(files: Sequence[bytes], mime: str, anchors: str = "") -> list[Layer]:
    """The content credentials of files of one format; `anchors` are the trusted certificates (PEM).

    Without c2pa-python each file that has a manifest is `not-checkable-here`.
    """
    layers: list[Layer] = []
    for first in range(0, len(files), _BATCH):
        batch = files[first : first + _BATCH]
        layers += (
            _read_batch(batch, mime, anchors) if any(map(has_manifest, batch)) else [_ABSENT] * len(batch)
        )
    return layers


_ABSENT = judge_credentials({"found": False}, False)


def has_manifest(data: bytes) -> bool:
    """Whether a file may hold a C2PA manifest: in PNG a chunk caBX, elsewhere JUMBF boxes."""
    return b"caBX" in data or b"jumb" in data


def _read_batch(files: Sequence[bytes], mime: str, anchors: str) -> list[Layer]:
    request = {"mime": mime, "anchors": anchors, "lengths": [len(data) for data in files]}
    try:
        head, _ = read_apart("credentials", request, b"".join(files))
        reports = [dict(report) for report in head["reports"]]
        if len(reports) != len(files):
            raise NotReadable("it returned another number of reports than files")
    except Missing:
        reason = "c2pa-python is not installed: pip install sd-certify[c2pa]"
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        reason = f"the reader of content credentials failed: {error}"[:200]
    else:
        return [judge_credentials(report, bool(anchors)) for report in reports]
    unread = Layer("credentials", "not-checkable-here", "", reason)
    return [unread if has_manifest(data) else _ABSENT for data in files]
