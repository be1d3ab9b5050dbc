"""Reads the marks of invisible-watermark 0.2 in numpy: its methods dwtDct and dwtDctSvd.

Both take the Haar low-pass band of the U plane (blue against luma). Each 4x4 block of the band, which is 8x8
pixels, holds a bit: the half of a quantisation step in which a value is.
Block i holds bit i modulo the payload's length. On unchanged images the bits equal the
library's own.

There are two paths. The library is made for 8-bit pixels, whose U has its middle at 128. diffusers passes
floats, whose U has its middle at 0.5: read as 8-bit pixels, such bits are inverted where the image is warm.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels.payloads import Bits

Pixels = NDArray[np.uint8]
Plane = NDArray[np.floating]
Path = Literal["uint8", "float"]
Method = Literal["dwtDct", "dwtDctSvd"]

METHODS: tuple[Method, ...] = ("dwtDctSvd", "dwtDct")
SCALE = 36
BLOCK = 8
"""The side in pixels of the block that holds a bit."""
# The quantiser moves U by up to 27/8, which moves blue by 2.03 times that: 7 levels.
BLUE_MARGIN = 7
MIDDLE: dict[Path, float] = {"uint8": 0.0, "float": 255.0}
"""How far the low-pass band of a path is below that of 8-bit pixels: twice 128 - 0.5."""
_HALF = float(np.sqrt(0.5))


def decode(pixels: Pixels, method: Method, bits: int, path: Path = "uint8") -> Bits:
    """The word that `method` reads from RGB `pixels` (height, width, 3); a bit without a block is False."""
    return vote(block_bits(u_plane(pixels, path), method).ravel(), bits)


def u_plane(pixels: Pixels, path: Path = "uint8") -> Plane:
    """OpenCV's U of 8-bit BGR (14-bit fixed point, rounded, offset 128), moved to 0.5 for floats."""
    red, green, blue = (pixels[..., i].astype(np.int32) for i in range(3))
    luma = (red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14
    plane: Plane = np.clip(((blue - luma) * 8061 + (128 << 14) + 8192) >> 14, 0, 255).astype(float)
    plane -= MIDDLE[path] / 2
    return plane


def band_of(plane: Plane) -> Plane:
    """The Haar low-pass band, in two steps and in this order, like the library: rounding matters for values
    on an edge.
    """
    height, width = plane.shape[0] // 4 * 4, plane.shape[1] // 4 * 4
    plane = plane[:height, :width]
    columns = _HALF * plane[1::2] + _HALF * plane[0::2]
    band: Plane = _HALF * columns[:, 1::2] + _HALF * columns[:, 0::2]
    return band


def block_bits(plane: Plane, method: Method) -> Bits:
    """A bit for each block, (rows, columns)."""
    bits: Bits = block_values(band_of(plane), method) % SCALE > SCALE * 0.5
    return bits


def block_values(band: Plane, method: Method, exact: bool = True) -> Plane:
    """The quantised value of each 4x4 block of the low-pass band, (rows, columns). Without `exact`, dwtDctSvd
    takes the largest singular value by iteration, which is faster and differs in the last digits.
    """
    rows, columns = band.shape[0] // 4, band.shape[1] // 4
    blocks = band[: rows * 4, : columns * 4].reshape(rows, 4, columns, 4).swapaxes(1, 2)
    if method == "dwtDct":
        # The method quantises the largest value of each block but the first, and does no DCT.
        values: Plane = np.abs(blocks.reshape(rows, columns, 16)[..., 1:]).max(axis=2, initial=0.0)
        return values
    if not blocks.size:
        return np.zeros((rows, columns))
    # The largest singular value of the block's DCT, which is orthonormal and changes none.
    if not exact:
        return _largest(blocks)
    largest: Plane = np.linalg.svd(blocks, compute_uv=False)[..., 0]
    return largest


def clearness(values: Plane) -> Plane:
    """The bit of a quantised value and its clarity: 1 in the middle of the half step of bit 1, -1 in that of
    bit 0, 0 on the edge.
    """
    said: Plane = -np.sin(values * (2 * np.pi / SCALE))
    return said


def _largest(blocks: Plane) -> Plane:
    """The largest singular values of (..., 4, 4), by power iteration on B^T B; it dominates the others."""
    square = np.einsum("...ij,...ik->...jk", blocks, blocks)
    for _ in range(3):
        square = square @ square
        square /= np.maximum(np.abs(square).max(axis=(-1, -2), keepdims=True), 1e-30)
    direction = square.sum(axis=-1)
    length = np.linalg.norm(direction, axis=-1)
    largest: Plane = np.linalg.norm(np.einsum("...ij,...j->...i", blocks, direction), axis=-1)
    largest /= np.maximum(length, 1e-30)
    return largest


def vote(bits_in_order: Bits, bits: int) -> Bits:
    """Each bit by the majority of its blocks; half is enough, as in the library (mean * 255 > 127)."""
    place = np.arange(bits_in_order.size) % bits
    votes = np.bincount(place, minlength=bits)
    ones = np.bincount(place, weights=bits_in_order, minlength=bits)
    decided: Bits = ones / np.maximum(votes, 1) * 255 > 127
    return decided


def room(pixels: Pixels) -> Bits:
    """The blocks that can carry a bit, (rows, columns). In the others most pixels are within 7 levels of no
    or full blue, where the mark is clipped.
    """
    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    blue = pixels[: rows * BLOCK, : columns * BLOCK, 2]
    clipped = (blue <= BLUE_MARGIN) | (blue >= 255 - BLUE_MARGIN)
    free: Bits = clipped.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)) <= 0.5
    return free
