"""How much a mark changes an image, if the unmarked image is available."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_WINDOW = 8
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(image: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite for equal images."""
    error = float(((image.astype(np.float64) - other) ** 2).mean())
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def ssim(image: Pixels, other: Pixels) -> float:
    """Structural similarity of the lumas (Wang et al. 2004), over every window of 8 x 8 pixels."""
    x, y = (pixels.astype(np.float64) @ (0.299, 0.587, 0.114) for pixels in (image, other))
    mean_x, mean_y = _means(x), _means(y)
    vary_x, vary_y = _means(x * x) - mean_x**2, _means(y * y) - mean_y**2
    covary = _means(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covary + _C2)
    return float((likeness / ((mean_x**2 + mean_y**2 + _C1) * (vary_x + vary_y + _C2))).mean())


def _means(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each window, by sums of sums."""
    total = np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    n = _WINDOW
    summed: NDArray[np.float64] = total[n:, n:] - total[:-n, n:] - total[n:, :-n] + total[:-n, :-n]
    summed /= n * n
    return summed
