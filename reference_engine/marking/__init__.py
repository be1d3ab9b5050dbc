"""Writing the mark of AI into every image: invisibly in the pixels, and readable in the file's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .invisible import METHOD, capacity, embed
from .metadata import TRAINED_ALGORITHMIC_MEDIA, XMP_KEYWORD, png_text, xmp_packet
from .payload import DEFAULT_PAYLOAD, PAYLOAD_BITS, bits_from_hex, bits_to_hex, is_balanced

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "DEFAULT_PAYLOAD",
    "METHOD",
    "PAYLOAD_BITS",
    "TRAINED_ALGORITHMIC_MEDIA",
    "XMP_KEYWORD",
    "bits_from_hex",
    "bits_to_hex",
    "capacity",
    "is_balanced",
    "mark",
    "png_text",
    "xmp_packet",
]


def mark(image: Image, bits: Sequence[int] = PAYLOAD_BITS) -> Image:
    """A copy of `image` as RGB with the invisible mark; nothing may change its pixels afterwards."""
    return embed(image, bits)
