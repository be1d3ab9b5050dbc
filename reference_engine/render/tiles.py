"""Computes large fields in overlapping tiles, blended without visible seams.

Every tile is weighted by a Gaussian whose variance is 0.01 of the squared side. The weight is nearly 0 at the
tile's edge, where the tile has the least context. A plain average leaves seams, however wide the overlaps:
the weights matter, not the overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

VARIANCE = 0.01
OVERLAP = 32
"""Latents that neighbouring tiles of the UNet share: 256 pixels. Two tiles of 1152 pixels then cover 2048.
"""
DECODER_OVERLAP = 16
ALIGNMENT = 8
"""Sides of tiles are multiples of this many latents, because the UNet halves them three times."""

Span = tuple[int, int]
Window = tuple[slice, slice]
"""Rows and columns of a tile."""


def spans(side: int, tile: int, overlap: int) -> tuple[Span, ...]:
    """(start, stop) of the fewest equal tiles that cover `side`. None is longer than `tile` (up to
    alignment), and neighbours share at least `overlap`.
    """
    if side <= tile:
        return ((0, side),)
    count = math.ceil((side - overlap) / (tile - overlap))
    length = math.ceil((side + (count - 1) * overlap) / count / ALIGNMENT) * ALIGNMENT
    starts = [round(number * (side - length) / (count - 1)) for number in range(count)]
    return tuple((start, start + length) for start in starts)


@dataclass(frozen=True)
class Grid:
    """The tiles of a field: every pair of a row span and a column span."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @classmethod
    def over(cls, height: int, width: int, tile: int, overlap: int = OVERLAP) -> Grid:
        """Tiles of at most `tile` a side over a field of height x width; one tile if it fits completely."""
        return cls(spans(height, tile, overlap), spans(width, tile, overlap))

    @property
    def count(self) -> int:
        return len(self.rows) * len(self.columns)

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile; all are equal."""
        (top, bottom), (left, right) = self.rows[0], self.columns[0]
        return bottom - top, right - left


def blended(evaluate: Callable[[Window], Any], grid: Grid, scale: int = 1) -> Any:
    """The whole field, of float32, from `evaluate(window)` for every tile, a tensor (n, channels, height,
    width).

    What `evaluate` returns is `scale` times as large as its window.
    """
    total: Any = None
    for (top, bottom), down in zip(grid.rows, _weights(grid.rows, scale), strict=True):
        for (left, right), across in zip(grid.columns, _weights(grid.columns, scale), strict=True):
            part = evaluate((slice(top, bottom), slice(left, right))).float()
            if total is None:
                whole = grid.rows[-1][1] * scale, grid.columns[-1][1] * scale
                total = part.new_zeros((*part.shape[:2], *whole))
            place = total[..., top * scale : bottom * scale, left * scale : right * scale]
            place += part * down.to(part.device)[:, None] * across.to(part.device)
    return total


@lru_cache(maxsize=64)
def _weights(along: tuple[Span, ...], scale: int) -> tuple[Any, ...]:
    """Each span's weights along one axis, float32; at every place those of all spans add up to 1."""
    import torch

    bells = []
    total = torch.zeros(along[-1][1] * scale, dtype=torch.float64)
    for start, stop in along:
        length = (stop - start) * scale
        offset = (torch.arange(length, dtype=torch.float64) - (length - 1) / 2) / length
        bells.append(torch.exp(-(offset**2) / (2 * VARIANCE)))
        total[start * scale : stop * scale] += bells[-1]
    return tuple(
        (bell / total[start * scale : stop * scale]).float()
        for bell, (start, stop) in zip(bells, along, strict=True)
    )
