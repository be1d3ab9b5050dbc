"""Marks images as made by AI: invisibly in the pixels, and readable in the file's metadata.

from reference_engine.marking import mark, marked_png

marked = mark(image)                                    # PIL in, PIL out: the invisible mark
data = marked_png(image, provider=..., credentials=...) # every layer, in the right order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .credentials import Credentials, sign
from .invisible import METHOD, capacity, embed, read
from .label import DEFAULT_LABEL, draw_label
from .metadata import TRAINED_ALGORITHMIC_MEDIA, XMP_KEYWORD, Provider, png_text, xmp_packet
from .payload import DEFAULT_PAYLOAD, PAYLOAD_BITS, bits_from_hex, bits_to_hex, is_balanced
from .png import content_id, write_png

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "DEFAULT_LABEL",
    "DEFAULT_PAYLOAD",
    "METHOD",
    "PAYLOAD_BITS",
    "TRAINED_ALGORITHMIC_MEDIA",
    "XMP_KEYWORD",
    "Credentials",
    "Provider",
    "bits_from_hex",
    "bits_to_hex",
    "capacity",
    "content_id",
    "is_balanced",
    "mark",
    "marked_png",
    "png_text",
    "read",
    "xmp_packet",
]


def mark(image: Image, bits: Sequence[int] = PAYLOAD_BITS, label: str = "") -> Image:
    """A copy of `image` as RGB with the visible label, if `label` is not empty, and the invisible mark.
    Nothing may change its pixels afterwards.
    """
    return embed(draw_label(image, label) if label else image, bits)


def marked_png(
    image: Image,
    *,
    bits: Sequence[int] = PAYLOAD_BITS,
    label: str = "",
    text: Mapping[str, str] | None = None,
    provider: Provider | None = None,
    created: str = "",
    credentials: Credentials | None = None,
) -> bytes:
    """A PNG with every layer, in the order in which none damages another: label, invisible mark, metadata,
    and the signature over all of it.

    `created` is an ISO 8601 time, for the `provider`'s fields. Raises InvalidParameter if the image is
    too small for the mark, and SDKError if it cannot be signed.
    """
    marked = mark(image, bits, label)
    packet = xmp_packet(provider, content_id(marked), created)
    data = write_png(marked, {**(text or {}), XMP_KEYWORD: packet})
    return sign(data, credentials, provider) if credentials else data
