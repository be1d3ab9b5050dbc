"""The invisible mark: a payload in the pixels, by invisible-watermark's dwtDctSvd.

It is written on the final 8-bit image in OpenCV's channel order: written on floats, a reader of the 8-bit
file would find the bits inverted wherever the chroma is below its middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidParameter, SDKError

if TYPE_CHECKING:
    from PIL.Image import Image

METHOD = "dwtDctSvd"
SCALES = (0, 36, 0)
"""Quantisation step for Y, U, V; the library's own default: U alone, in steps of 36."""
BLOCK = 8
"""Pixels a side of the block that holds one bit: 4 coefficients of a one-level wavelet."""


def embed(image: Image, bits: Sequence[int]) -> Image:
    """A copy of `image` (RGB) with `bits` written over and over, one a block of 8 x 8 pixels, row by row.

    Any size is accepted, also below the 256 x 256 pixels that the library's own front door asks for. Raises
    SDKError where OpenCV cannot be imported, InvalidParameter where the image is too small to hold every bit
    once.
    """
    import numpy as np
    from PIL import Image as pil_image

    if capacity(*image.size) < len(bits):
        raise InvalidParameter(
            f"An image of {image.width} x {image.height} pixels holds {capacity(*image.size)} bits, "
            f"fewer than the {len(bits)} of the mark.",
            (),
            ["Make the image larger (64 x 64 holds 64 bits), or use a shorter watermark_payload."],
        )
    embedder = _embedder(bits)
    bgr = np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8)[:, :, ::-1])
    marked = embedder.encode(bgr)
    return pil_image.fromarray(np.ascontiguousarray(marked[:, :, ::-1]))


def capacity(width: int, height: int) -> int:
    """How many bits an image of this size can hold once."""
    return (width // BLOCK) * (height // BLOCK)


def _embedder(bits: Sequence[int]) -> Any:
    try:
        from imwatermark.dwtDctSvd import EmbedDwtDctSvd
    except ImportError as error:
        raise SDKError(
            f"The invisible mark cannot be written: {error}.",
            [
                "On a machine without a display install opencv-python-headless in place of opencv-python.",
                "Or install the libraries that OpenCV asks for (Debian, Ubuntu: libgl1 and libglib2.0-0).",
                "If invisible-watermark itself is missing: pip install invisible-watermark.",
            ],
            code="ERR_MARK_NOT_WRITTEN",
        ) from error
    return EmbedDwtDctSvd(list(bits), wmLen=len(bits), scales=list(SCALES))
