"""The invisible mark on images: `lumaQim` (see `luma`), written on the final 8-bit pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InvalidParameter
from .luma import BLOCK, capacity

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BLOCK", "METHOD", "capacity", "embed", "read"]

METHOD = "lumaQim"


def embed(image: Image, bits: Sequence[int]) -> Image:
    """A copy of `image` as RGB with `bits` written repeatedly, one per block of 8 x 8 pixels.

    Raises InvalidParameter if the image is too small to hold every bit once.
    """
    import numpy as np
    from PIL import Image as pil_image

    from .luma import embed_luma

    if capacity(*image.size) < len(bits):
        raise InvalidParameter(
            f"An image of {image.width} x {image.height} pixels holds {capacity(*image.size)} bits, "
            f"fewer than the {len(bits)} of the mark.",
            (),
            ["Make the image larger (64 x 64 holds 64 bits), or use a shorter watermark_payload."],
        )
    pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    return pil_image.fromarray(embed_luma(pixels, np.array(bits, dtype=np.bool_)))


def read(image: Image, bits: int) -> tuple[int, ...]:
    """The word of `bits` bits in an image as it was marked; without a mark it is meaningless. `certify
    marks` also reads crops, mirror images and other edits.
    """
    import numpy as np

    from .luma import read_luma

    return tuple(int(bit) for bit in read_luma(np.asarray(image.convert("RGB"), dtype=np.uint8), bits))
