"""Pictures brought back to the size they were made in, in numpy alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SHARPNESS = -0.5
_REACH = 2.0


def resample(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """RGB (height, width, 3) at another size: Keys' cubic convolution, widened where it shrinks."""
    down, across = _weights(pixels.shape[0], height), _weights(pixels.shape[1], width)
    plane = np.einsum("yh,hwc->ywc", down, pixels.astype(np.float32), optimize=True)
    out = np.einsum("xw,ywc->yxc", across, plane, optimize=True)
    made: NDArray[np.uint8] = np.clip(np.rint(out), 0, 255).astype(np.uint8)
    return made


@lru_cache(maxsize=16)
def _weights(old: int, new: int) -> NDArray[np.float32]:
    """(new, old): the weight of each old sample in a new sample."""
    scale = old / new
    wide = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    away = np.abs(np.arange(old)[None] - centres[:, None]) / wide
    near = (_SHARPNESS + 2) * away**3 - (_SHARPNESS + 3) * away**2 + 1
    far = _SHARPNESS * (away**3 - 5 * away**2 + 8 * away - 4)
    weights = np.where(away <= 1, near, np.where(away < _REACH, far, 0.0))
    made: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return made


def turn(pixels: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """RGB (height, width, 3) rotated anticlockwise about its centre, at the same size, by bilinear
    interpolation; pixels from outside are black.
    """
    height, width = pixels.shape[:2]
    angle = np.deg2rad(degrees)
    down, across = np.mgrid[:height, :width].astype(np.float32)
    down -= (height - 1) / 2
    across -= (width - 1) / 2
    y = np.cos(angle) * down + np.sin(angle) * across + (height - 1) / 2
    x = np.cos(angle) * across - np.sin(angle) * down + (width - 1) / 2
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    y, x = (y - top)[..., None], (x - left)[..., None]
    framed = np.pad(pixels, ((1, 2), (1, 2), (0, 0))).astype(np.float32)
    rows, columns = (np.clip(top + 1, 0, height + 1), np.clip(left + 1, 0, width + 1))
    above = framed[rows, columns] * (1 - x) + framed[rows, columns + 1] * x
    below = framed[rows + 1, columns] * (1 - x) + framed[rows + 1, columns + 1] * x
    made: NDArray[np.uint8] = np.clip(np.rint(above * (1 - y) + below * y), 0, 255).astype(np.uint8)
    return made
