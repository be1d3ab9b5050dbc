"""Reading the invisible AI mark out of pixels, in numpy alone, and saying how sure one can be.

The decoders give the bits that invisible-watermark 0.2 gives for its methods dwtDctSvd and dwtDct. Each looks
at the U plane (blue against luma), takes the Haar low-pass band of it, and reads one bit from each 4x4 block
of that band, which is 8x8 pixels, from which side of a quantisation step a value falls on. Block i holds bit
i modulo the payload's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

SCALE = 36
P_THRESHOLD = 1e-6
# Bits of an unmarked picture lean to one value (65 to 72 % of them decode to a nearly constant word), so
# a lopsided payload would match pictures that carry nothing; and one of few bits cannot reach the threshold.
MIN_BITS, MAX_BITS = 32, 256
ONES_SHARE = (1 / 3, 2 / 3)
BLOCK_PIXELS = 8
_HEX = re.compile(r"[0-9a-fA-F]+")
# The quantiser moves U by up to 27/8, which moves blue by 2.03 times that: 7 levels.
BLUE_MARGIN = 7


class PayloadError(ValueError):
    """The payload, or the method, cannot serve as a mark that is told from chance."""


@dataclass(frozen=True)
class Agreement:
    """`k` of `n` bits agree in the better polarity; `p_value` is the chance of that, times the `hypotheses`
    tried.
    """

    k: int
    n: int
    p_value: float
    hypotheses: int
    inverted: bool


@dataclass(frozen=True)
class MarkReading:
    """What one picture says about one mark. `present` when p_value <= 1e-6."""

    state: Literal["present", "absent", "cannot-carry"]
    k: int
    n: int
    p_value: float
    polarity: Literal["normal", "inverted"]


def payload_bits(payload: str | Sequence[int] | Bits) -> Bits:
    """A payload from hex text (most significant bit first) or from bits.

    Raises `PayloadError` unless it has 32 to 256 bits of which a third to two thirds are ones.
    """
    if isinstance(payload, str):
        if not _HEX.fullmatch(payload):
            raise PayloadError("the payload is not hexadecimal")
        digits = "".join(f"{int(digit, 16):04b}" for digit in payload[: MAX_BITS // 4 + 1])
        bits = np.array([bit == "1" for bit in digits])
    else:
        bits = np.asarray(payload).astype(np.bool_).ravel()
    if not MIN_BITS <= bits.size <= MAX_BITS:
        raise PayloadError(f"a payload needs {MIN_BITS} to {MAX_BITS} bits, this one has {bits.size}")
    if not ONES_SHARE[0] <= bits.mean() <= ONES_SHARE[1]:
        raise PayloadError("the payload is lopsided: a third to two thirds of its bits must be ones")
    return bits


def decode_dwt_dct_svd(pixels: Pixels, bits: int = 64, scale: float = SCALE) -> Bits:
    """The bits that method dwtDctSvd reads from RGB `pixels` (height, width, 3); a bit without a block is
    False.
    """
    blocks = _blocks(pixels)
    # The method looks at the largest singular value of the block's DCT, which is orthonormal and changes
    # none.
    largest = np.linalg.svd(blocks, compute_uv=False)[:, 0] if len(blocks) else np.zeros(0)
    return _vote(largest % scale > scale * 0.5, bits)


def decode_dwt_dct(pixels: Pixels, bits: int = 64, scale: float = SCALE) -> Bits:
    """The bits that method dwtDct reads: it quantises the largest value of each block but the first (and does
    no DCT).
    """
    magnitudes = np.abs(_blocks(pixels).reshape(-1, 16)[:, 1:])
    return _vote(magnitudes.max(axis=1) % scale > scale * 0.5, bits)


DECODERS: dict[str, Callable[[Pixels, int], Bits]] = {
    "dwtDctSvd": decode_dwt_dct_svd,
    "dwtDct": decode_dwt_dct,
}


def agreement(bits: Bits, payload: Bits) -> Agreement:
    """How well decoded bits fit a payload, in either polarity.

    A marker that hands floats to the library inverts its bits where the picture is warm, so both polarities
    are tried; the p-value is the binomial tail P(K >= k) for fair coins times 2 (Bonferroni).
    """
    n = int(payload.size)
    same = int((np.asarray(bits, np.bool_) == payload).sum())
    k = max(same, n - same)
    tail = sum(comb(n, i) for i in range(k, n + 1)) / 2**n
    return Agreement(k, n, min(1.0, 2 * tail), 2, inverted=same < n - same)


def is_marked(pixels: Pixels, payload: str | Sequence[int] | Bits, method: str) -> MarkReading:
    """Whether RGB `pixels` (height, width, 3) carry `payload` by `method` (dwtDctSvd or dwtDct).

    `cannot-carry` is said of a picture without the mark that has fewer 8x8 blocks than the payload has bits,
    or in at least half of whose blocks most pixels are within 7 levels of no or full blue, where the mark is
    clipped away. Raises `PayloadError` for a payload that `payload_bits` refuses or an unknown method.
    """
    if method not in DECODERS:
        raise PayloadError(f'no decoder for method "{method}"; there are {", ".join(DECODERS)}')
    word = payload_bits(payload)
    found = agreement(DECODERS[method](pixels, word.size), word)
    if found.p_value <= P_THRESHOLD:
        state: Literal["present", "absent", "cannot-carry"] = "present"
    else:
        state = "absent" if _has_room(pixels, word.size) else "cannot-carry"
    return MarkReading(state, found.k, found.n, found.p_value, "inverted" if found.inverted else "normal")


def unmarked_bound(pictures: int, confidence: float = 0.95) -> float:
    """Upper bound on the share of unmarked pictures after `pictures` of them were all found marked.

    From (1 - share)^N = 1 - confidence; 59 pictures bound it to 5 %, 299 to 1 %.
    """
    return 1.0 if pictures < 1 else float(1 - (1 - confidence) ** (1 / pictures))


def _u_plane(pixels: Pixels) -> NDArray[np.float64]:
    """OpenCV's U of 8-bit BGR: 14-bit fixed point, rounded, with an offset of 128."""
    red, green, blue = (pixels[..., i].astype(np.int32) for i in range(3))
    luma = (red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14
    plane: NDArray[np.float64] = np.clip(((blue - luma) * 8061 + (128 << 14) + 8192) >> 14, 0, 255).astype(
        float
    )
    return plane


def _blocks(pixels: Pixels) -> NDArray[np.float64]:
    """The 4x4 blocks of the Haar low-pass band, row by row: (blocks, 4, 4)."""
    height, width = pixels.shape[0] // 4 * 4, pixels.shape[1] // 4 * 4
    plane = _u_plane(pixels[:height, :width])
    half = float(
        np.sqrt(0.5)
    )  # in two steps and this order, as the library does: rounding decides about values on an edge
    columns = half * plane[1::2] + half * plane[0::2]
    band = half * columns[:, 1::2] + half * columns[:, 0::2]
    rows, across = band.shape[0] // 4, band.shape[1] // 4
    tiles = band[: rows * 4, : across * 4].reshape(rows, 4, across, 4)
    blocks: NDArray[np.float64] = tiles.swapaxes(1, 2).reshape(-1, 4, 4)
    return blocks


def _vote(block_bits: Bits, bits: int) -> Bits:
    """Each bit by the majority of its blocks; half is enough, as in the library (mean * 255 > 127)."""
    place = np.arange(block_bits.size) % bits
    votes = np.bincount(place, minlength=bits)
    ones = np.bincount(place, weights=block_bits, minlength=bits)
    decided: Bits = ones / np.maximum(votes, 1) * 255 > 127
    return decided


def _has_room(pixels: Pixels, bits: int) -> bool:
    rows, across = pixels.shape[0] // BLOCK_PIXELS, pixels.shape[1] // BLOCK_PIXELS
    if rows * across < bits:
        return False
    blue = pixels[: rows * BLOCK_PIXELS, : across * BLOCK_PIXELS, 2]
    clipped = (blue <= BLUE_MARGIN) | (blue >= 255 - BLUE_MARGIN)
    share = clipped.reshape(rows, BLOCK_PIXELS, across, BLOCK_PIXELS).mean(axis=(1, 3))
    return bool((share > 0.5).mean() < 0.5)
