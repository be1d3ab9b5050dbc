"""The SDK's own mark, `lumaQim`, read in numpy. `reference_engine.marking.luma` specifies the format.

A block's sample becomes a phase of the quantiser: bit 1 and bit 0 are half a turn apart. A brightness offset
shifts all phases equally, and is estimated from them; a brightness scale is searched for.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels.payloads import Bits
from reference_engine.marking.luma import BLOCK, LUMA, MEAN_SHARE, STEP, kernel, places

METHOD = "lumaQim"
Plane = NDArray[np.float32]
Phasors = NDArray[np.complex64]

GAINS = tuple(float(gain) for gain in np.round(np.geomspace(0.7, 1.4, 36), 4))
"""Brightness scales of an edited image, in steps of 2 %."""


def luma_of(pixels: NDArray[np.uint8]) -> Plane:
    plane: Plane = pixels.astype(np.float32) @ np.array(LUMA, np.float32)
    return plane


def samples_everywhere(plane: Plane) -> Plane:
    """The sample of the block that begins at each pixel, (height - 7, width - 7)."""
    if min(plane.shape) < BLOCK:
        return np.zeros((0, 0), np.float32)
    total: Plane | None = None
    for down, across in _filters():
        part = _slide(_slide(plane, down, 0), across, 1)
        total = part if total is None else total + part
    assert total is not None
    return total


@cache
def _filters() -> tuple[tuple[Plane, Plane], ...]:
    """The probe as a sum of products of a column and a row."""
    left, weights, right = np.linalg.svd(kernel() + MEAN_SHARE / BLOCK)
    kept = int((weights > 1e-9).sum())
    return tuple(
        ((left[:, i] * weights[i]).astype(np.float32), right[i].astype(np.float32)) for i in range(kept)
    )


def _slide(plane: Plane, taps: Plane, axis: int) -> Plane:
    length = plane.shape[axis] - BLOCK + 1
    parts = (plane[i : i + length] if axis == 0 else plane[:, i : i + length] for i in range(BLOCK))
    total: Plane = sum(tap * part for tap, part in zip(taps, parts, strict=True))
    return total


def phasors(samples: Plane, gain: float = 1.0) -> Phasors:
    """Each sample as a point on the unit circle: bit 1 and bit 0 are opposite."""
    turn = samples * np.float32(2 * np.pi / (STEP * gain))
    out = np.empty(samples.shape, np.complex64)
    out.real, out.imag = np.cos(turn), np.sin(turn)
    return out


def sum_words(grid: Phasors, bits: int) -> NDArray[np.complex128]:
    """The blocks' phasors (rows, columns) summed for each bit of the word."""
    where = places(grid.shape[0], grid.shape[1], bits).ravel()
    sums: NDArray[np.complex128] = np.bincount(where, grid.real.ravel(), bits) + 1j * np.bincount(
        where, grid.imag.ravel(), bits
    )
    return sums


def apart(sums: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """The sums (..., bits) without their mean. A word has about as many ones as zeros, so it adds little to
    the mean; blocks without a mark all say the same, as in a dark image after WebP.
    """
    own: NDArray[np.complex128] = sums - sums.mean(axis=-1, keepdims=True)
    return own


def axis_of(sums: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The phase of the sums (..., bits), up to half a turn; that half is the polarity."""
    axis: NDArray[np.float64] = np.angle(-(sums**2).sum(axis=-1)) / 2
    return axis


def votes(sums: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The vote of the blocks for each bit, (..., bits): above 0 for bit 1, in either polarity."""
    sums = apart(sums)
    bit_votes: NDArray[np.float64] = -(sums * np.exp(-1j * axis_of(sums))[..., None]).imag
    return bit_votes


def block_bits(points: Phasors, bits: int) -> Bits:
    """The bit of each block, (rows, columns), in either polarity."""
    axis = axis_of(apart(sum_words(points, bits)))
    said: Bits = (points * np.exp(-1j * axis)).imag < 0
    return said


def room(pixels: NDArray[np.uint8]) -> Bits:
    """The blocks that can carry a bit, (rows, columns): all of them, because the mark is written below
    clipping.
    """
    return np.ones((pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK), np.bool_)
