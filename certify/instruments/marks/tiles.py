"""Where in a picture the word is: a statistic of the whole is fooled by a marked patch of a quarter of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.words import Bits

TILES = 4
"""Tiles a side, where the picture has the blocks for it."""
SMALLEST, SMALLEST_CLASSIC = 4, 8
"""Blocks a side of the smallest tile. In a faithful classic mark some blocks say otherwise, so that 16 tell
too little.
"""
# A tile without the mark says the word in half of its blocks, give or take; one with it in nearly all of them
# (lumaQim), or in two thirds and more (the classic marks in photographs).
DEVIATIONS, MOST_ASKED = 3.0, 0.75
# Of 16 tiles two may be lost: to a corner that is black, or to text.
TILES_NEEDED = 0.85
# With so few blocks that can carry a bit a tile says nothing.
FEWEST = 8


@dataclass(frozen=True)
class TileMap:
    """`shares` (rows, columns): the share of each tile's blocks that say the word, NaN where it has no room;
    `needed`: the share from which on it agrees.
    """

    shares: NDArray[np.float64]
    needed: NDArray[np.float64]

    @property
    def counted(self) -> int:
        return int(np.isfinite(self.shares).sum())

    @property
    def agreeing(self) -> int:
        return int((np.nan_to_num(self.shares) >= self.needed).sum())

    @property
    def agree(self) -> bool:
        """Whether nearly every tile that can carry the mark does."""
        return self.counted > 0 and self.agreeing >= TILES_NEEDED * self.counted


def tile_map(says_word: Bits, free: Bits, smallest: int = SMALLEST) -> TileMap:
    """From what each block says (rows, columns), and which blocks can carry a bit."""
    rows, columns = (np.array_split(np.arange(size), _parts(size, smallest)) for size in says_word.shape)
    shares = np.full((len(rows), len(columns)), np.nan)
    needed = np.full(shares.shape, MOST_ASKED)
    for i, down in enumerate(rows):
        for j, across in enumerate(columns):
            place = np.ix_(down, across)
            usable = free[place]
            if usable.sum() >= FEWEST:
                shares[i, j] = says_word[place][usable].mean()
                needed[i, j] = min(MOST_ASKED, 0.5 + DEVIATIONS * 0.5 / np.sqrt(usable.sum()))
    return TileMap(shares, needed)


def _parts(length: int, smallest: int) -> int:
    return max(1, min(TILES, length // smallest))
