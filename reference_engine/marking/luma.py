"""The SDK's invisible mark, `lumaQim`: a word in the luma that survives common edits of images.

Each block of 8 x 8 pixels holds one bit by quantisation index modulation (Chen and Wornell 2001): the
block's sample is moved to the nearer point of the lattice that stands for the bit. The sample is the
block's projection on four low DCT patterns, which JPEG keeps, plus a tenth of its mean term, which
embedding does not change. A mark is therefore bound to its image: its residual, added to another image, is
not readable.

The bit of the block in row r and column c is bit (8 r + c) modulo the word's length. A crop then shifts the
word cyclically. A reader finds it among 64 positions of the grid times the word's length, without the
original size. Each bit is repeated over the whole image: the repetition is the error-correcting code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 8
ROW_STEP = 8
"""How far the word moves from one row of blocks to the next."""
STEP = 44.0
"""The distance of two lattice points of one bit, in units of an orthonormal DCT coefficient."""
MEAN_SHARE = 0.1
PATTERNS = ((1, 1), (0, 2), (2, 0), (1, 2))
ROUNDS = 8
"""Clipping and rounding disturb the mark, so it is written again until it holds."""
LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, as in JPEG."""


def kernel() -> NDArray[np.float64]:
    """The pattern that embedding adds, (8, 8), with unit energy and no mean."""
    import numpy as np

    place = np.arange(BLOCK)
    basis = np.cos((2 * place[None] + 1) * place[:, None] * np.pi / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    total: NDArray[np.float64] = sum(np.outer(basis[u], basis[v]) for u, v in PATTERNS) / np.sqrt(
        len(PATTERNS)
    )
    return total


def luma_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(height, width) of RGB (height, width, 3), 0 to 255."""
    import numpy as np

    plane: NDArray[np.float64] = pixels.astype(np.float64) @ np.array(LUMA)
    return plane


def blocks_of(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, columns, 8, 8); incomplete blocks at the right and the bottom are left out."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    cut = plane[: rows * BLOCK, : columns * BLOCK]
    return cut.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)


def samples(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sample of each block, (rows, columns): its projection plus the share of its mean term."""
    import numpy as np

    probe = kernel() + MEAN_SHARE / BLOCK
    values: NDArray[np.float64] = np.einsum("rcij,ij->rc", blocks_of(plane), probe, optimize=True)
    return values


def places(rows: int, columns: int, bits: int) -> NDArray[np.int64]:
    """Which bit of the word each block holds, (rows, columns)."""
    import numpy as np

    held: NDArray[np.int64] = (ROW_STEP * np.arange(rows)[:, None] + np.arange(columns)[None]) % bits
    return held


def capacity(width: int, height: int) -> int:
    """The longest word, in bits, that an image of this size holds completely."""
    rows, columns = height // BLOCK, width // BLOCK
    if not rows or columns < ROW_STEP:
        return columns if rows else 0
    return ROW_STEP * (rows - 1) + columns


def read_luma(pixels: NDArray[np.uint8], bits: int) -> NDArray[np.bool_]:
    """The word of `bits` bits in the pixels: each bit by the sum of its blocks' phases."""
    import numpy as np

    grid = samples(luma_of(pixels))
    said = -np.sin(grid * (2 * np.pi / STEP)).ravel()
    word: NDArray[np.bool_] = np.bincount(places(len(grid), grid.shape[1], bits).ravel(), said, bits) > 0
    return word


def embed_luma(pixels: NDArray[np.uint8], word: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """RGB pixels (height, width, 3) with `word` in their luma. Colour differences do not change."""
    import numpy as np

    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    wanted = np.where(word[places(rows, columns, word.size)], 0.75, 0.25) * STEP
    current = samples(luma_of(pixels))
    aim = current + (wanted - current + STEP / 2) % STEP - STEP / 2
    exact, out = pixels.astype(np.float64), pixels
    for _ in range(ROUNDS):
        missing = aim - samples(luma_of(out))
        if np.abs(missing).max(initial=0.0) < STEP / 16:
            break
        change = (missing[..., None, None] * kernel()).swapaxes(1, 2).reshape(rows * BLOCK, columns * BLOCK)
        exact[: rows * BLOCK, : columns * BLOCK] += change[..., None]
        exact = exact.clip(0, 255)
        out = np.rint(exact).astype(np.uint8)
    return out
