"""Where in a picture the word is: a statistic of the whole is fooled by a marked patch of a quarter of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels.payloads import Bits
from certify.instruments.marks.pixels.statistics import binomial_tail

TILES = 4
"""Tiles a side, where the picture has the blocks for it."""
SMALLEST = 4
"""Blocks a side of the smallest tile."""
# A tile without the mark says the word in half of its blocks, give or take; one with it in nearly all of
# those in which a faithful marker's would.
NEEDED = 0.8
# Of 16 tiles two may be lost: to a corner that is black, or to text.
TILES_NEEDED = 0.85
# With so few blocks that can carry a bit a tile says nothing.
FEWEST = 8
FAITHFUL, P_UNFAITHFUL = 0.95, 1e-6
"""Where a faithful marker's blocks say the word, at least so many of an honest picture's do (96 % and more in
photographs from 256 pixels on). Fewer by chance alone are so rare.
"""


@dataclass(frozen=True)
class TileMap:
    """`shares` (rows, columns): the share of each tile's counted blocks that say the word, NaN where they are
    too few; and of the whole picture `k` of the `n` that count.
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
        """Whether the whole is as a marker leaves it. A mark that was copied from another picture, or pasted
        in shreds, is not: of the blocks that the marker would have made say the word, many do not.
        """
        return self.n > 0 and binomial_tail(self.n - self.k, self.n, 1 - FAITHFUL) > P_UNFAITHFUL


def tile_map(says_word: Bits, counts: Bits) -> TileMap:
    """From what each block says (rows, columns), and which of them count: those that can carry a bit, and
    that a faithful marker would make say it.
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
