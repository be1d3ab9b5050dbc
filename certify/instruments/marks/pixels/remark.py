"""The bits that a faithful marker leaves: an image is marked again, and read again.

The classic marks do not hold everywhere: where colours change fast or the mark is clipped, some blocks say
another bit however well they were marked. These blocks depend on the image, and marking it again shows them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels import classic
from certify.instruments.marks.pixels.payloads import Bits

# A step of U in blue and green, in OpenCV's conversion from YUV to BGR; red does not depend on U.
BLUE, GREEN = 2.032, -0.395


def left_by_a_faithful_marker(
    pixels: NDArray[np.uint8], wanted: Bits, method: classic.Method, path: classic.Path = "uint8"
) -> Bits:
    """The bit of each block (rows, columns) after `method` wrote `wanted` there, by `path`."""
    return classic.block_bits(classic.u_plane(_marked_again(pixels, wanted, method, path), path), method)


def _marked_again(
    pixels: NDArray[np.uint8], wanted: Bits, method: classic.Method, path: classic.Path = "uint8"
) -> NDArray[np.uint8]:
    """RGB `pixels` with the bits of `wanted` (rows, columns) in their blocks, as invisible-watermark writes
    them, except for its rounding of planes that the mark does not change.
    """
    band = classic.band_of(classic.u_plane(pixels, path))
    change = _quantised(band, wanted, method) - band
    # The Haar low-pass value of 2 x 2 pixels is twice their mean.
    step = np.kron(change / 2, np.ones((2, 2)))
    out = pixels.astype(float)
    height, width = step.shape
    out[:height, :width, 2] += BLUE * step
    out[:height, :width, 1] += GREEN * step
    marked: NDArray[np.uint8] = np.rint(out).clip(0, 255).astype(np.uint8)
    return marked


def _quantised(band: classic.Plane, wanted: Bits, method: classic.Method) -> classic.Plane:
    rows, columns = wanted.shape
    blocks = band[: rows * 4, : columns * 4].reshape(rows, 4, columns, 4).swapaxes(1, 2).reshape(-1, 16)
    bits = wanted.ravel()
    blocks = _largest_value(blocks, bits) if method == "dwtDct" else _largest_singular(blocks, bits)
    out = band.copy()
    out[: rows * 4, : columns * 4] = (
        blocks.reshape(rows, columns, 4, 4).swapaxes(1, 2).reshape(rows * 4, columns * 4)
    )
    return out


def _step_of(values: classic.Plane, bits: Bits) -> classic.Plane:
    quantised: classic.Plane = (values // classic.SCALE + 0.25 + 0.5 * bits) * classic.SCALE
    return quantised


def _largest_value(blocks: classic.Plane, bits: Bits) -> classic.Plane:
    """dwtDct: the largest value of each block but the first, whose sign stays."""
    blocks = blocks.copy()
    which = np.abs(blocks[:, 1:]).argmax(axis=1) + 1
    at = np.arange(len(blocks)), which
    blocks[at] = np.where(blocks[at] < 0, -1, 1) * _step_of(np.abs(blocks[at]), bits)
    return blocks


def _largest_singular(blocks: classic.Plane, bits: Bits) -> classic.Plane:
    """dwtDctSvd: the largest singular value; the block's DCT is orthonormal and changes none."""
    left, values, right = np.linalg.svd(blocks.reshape(-1, 4, 4))
    values[:, 0] = _step_of(values[:, 0], bits)
    marked: classic.Plane = ((left * values[:, None, :]) @ right).reshape(-1, 16)
    return marked
