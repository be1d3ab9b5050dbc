"""Writing a marked image as a file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def write_png(image: Image, text: Mapping[str, str]) -> bytes:
    """A PNG file with `text` as uncompressed UTF-8 iTXt; equal images and texts give equal bytes."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for keyword, value in text.items():
        info.add_itxt(keyword, value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def content_id(image: Image) -> str:
    """The image's identifier: 32 hex digits of the SHA-256 of its size and pixels."""
    size = f"{image.width}x{image.height}:".encode()
    return hashlib.sha256(size + image.tobytes()).hexdigest()[:32]
