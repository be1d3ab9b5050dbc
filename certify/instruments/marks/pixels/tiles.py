"""Where in an image the word is: a marked patch of a quarter of the image fools a global statistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels.payloads import Bits
from certify.instruments.marks.pixels.statistics import binomial_tail

TILES = 4
"""Tiles per side, if the image has enough blocks."""
SMALLEST = 4
"""Blocks per side of the smallest tile."""
# A tile without the mark says the word in about half of its blocks; a marked tile in nearly all blocks in
# which a faithful marker's would.
NEEDED = 0.8
# Two of 16 tiles may be lost, to a black corner or to text.
TILES_NEEDED = 0.85
# A tile with fewer blocks that can carry a bit is not counted.
FEWEST = 8
FAITHFUL, P_UNFAITHFUL = 0.95, 1e-6
"""Of the blocks in which a faithful marker's say the word, at least this share of an honest image's do (96 %
and more in photographs from 256 pixels on). `P_UNFAITHFUL` is the chance of fewer.
"""


@dataclass(frozen=True)
class TileMap:
    """`shares` (rows, columns): the share of each tile's counted blocks that say the word, NaN if they are
    too few; and in the whole image `k` of the `n` that count.
    """

    shares: NDArray[np.float64]
    k: int
    n: int

    @property
    def counted(self) -> int:
        return int(np.isfinite(self.shares).sum())

    @property
    def agreeing(self) -> int:
        return int((np.nan_to_num(self.shares) >= NEEDED).sum())

    @property
    def agree(self) -> bool:
        """Whether nearly every tile that can carry the mark does."""
        return self.counted > 0 and self.agreeing >= max(1, int(TILES_NEEDED * self.counted))

    @property
    def share(self) -> float:
        return self.k / self.n if self.n else 0.0

    @property
    def faithful(self) -> bool:
        """Whether the image is as a marker leaves it. With a mark that was copied from another image, or
        pasted in parts, many of the blocks that the marker would set do not say the word.
        """
        return self.n > 0 and binomial_tail(self.n - self.k, self.n, 1 - FAITHFUL) > P_UNFAITHFUL


def tile_map(says_word: Bits, counts: Bits) -> TileMap:
    """A map from the blocks that say the word (rows, columns), and the blocks that count: those that can
    carry a bit, and that a faithful marker would set.
    """
    rows, columns = (np.array_split(np.arange(size), _parts(size)) for size in says_word.shape)
    shares = np.full((len(rows), len(columns)), np.nan)
    for i, down in enumerate(rows):
        for j, across in enumerate(columns):
            place = np.ix_(down, across)
            usable = counts[place]
            if usable.sum() >= FEWEST:
                shares[i, j] = says_word[place][usable].mean()
    return TileMap(shares, k=int((says_word & counts).sum()), n=int(counts.sum()))


def _parts(length: int) -> int:
    return max(1, min(TILES, length // SMALLEST))
