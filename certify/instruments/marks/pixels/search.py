"""The ways to search for a word in a view of an image; each match has its number of hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels import classic, luma
from certify.instruments.marks.pixels.payloads import Bits
from certify.instruments.marks.pixels.statistics import binomial_tail
from reference_engine.marking.luma import places

Pixels = NDArray[np.uint8]
BLOCK = 8
PATHS: tuple[classic.Path, ...] = ("uint8", "float")
POLARITIES = 2
CLEAREST = (1.0, 5 / 6, 2 / 3)
"""The shares of a word's bits that are counted: all bits, or the clearest."""


@dataclass(frozen=True)
class Place:
    """The position of a mark: the library's path, mirrored or not, resized back or not, the grid's first
    pixel (down, right), the word's first bit, its shift from row to row, the brightness gain of the image,
    and its rotation in degrees.
    """

    path: classic.Path = "uint8"
    mirrored: bool = False
    resized: bool = False
    offset: tuple[int, int] = (0, 0)
    shift: int = 0
    row_step: int = 0
    gain: float = 1.0
    turned: float = 0.0


@dataclass(frozen=True)
class Match:
    """The best of `hypotheses`: `k` of the `n` counted bits agree, `inverted` if all bits were
    inverted; `p_value` is the chance of that for a single hypothesis, `strength` (0 to 1) the clarity of the
    bits.
    """

    k: int
    n: int
    inverted: bool
    place: Place
    hypotheses: int
    strength: float

    @property
    def p_value(self) -> float:
        return binomial_tail(self.k, self.n)


def best_of(matches: Iterable[Match]) -> Match:
    """The likeliest match, the clearer of two equal matches, with the hypotheses of all."""
    rows = list(matches)
    best = min(rows, key=lambda match: (match.p_value, -match.strength))
    return replace(best, hypotheses=sum(match.hypotheses for match in rows))


def aligned_classic(pixels: Pixels, word: Bits, method: classic.Method) -> Match:
    """In place, by both paths."""
    step = pixels.shape[1] // 4 * 4 // BLOCK
    band = classic.band_of(classic.u_plane(pixels))
    votes = [
        _votes(classic.block_values(band - classic.MIDDLE[path], method), step, word.size) for path in PATHS
    ]
    return _compare(np.stack(votes), word, False, lambda row, _: Place(path=PATHS[row], row_step=step))


def grid_classic(pixels: Pixels, word: Bits, method: classic.Method, row_steps: Sequence[int]) -> Match:
    """At every place of the grid and every first bit: for crops. `row_steps`: possible numbers of blocks in a
    row of the whole image.
    """
    steps = sorted({step % word.size: step for step in row_steps}.values())
    votes, tried = [], []
    for down, right in product(range(2), range(2)):
        band = classic.band_of(classic.u_plane(pixels[down:, right:]))
        for y, x in product(range(4), range(4)):
            for path in PATHS:
                grid = classic.block_values(band[y:, x:] - classic.MIDDLE[path], method, exact=False)
                for step in steps:
                    votes.append(_votes(grid, step, word.size))
                    tried.append(Place(path=path, offset=(down + 2 * y, right + 2 * x), row_step=step))
    return _compare(np.stack(votes), word, True, lambda row, shift: replace(tried[row], shift=shift))


def aligned_luma(pixels: Pixels, word: Bits, gains: Sequence[float]) -> Match:
    """In place, with each brightness of `gains`."""
    grid = luma.samples_everywhere(luma.luma_of(pixels))[::BLOCK, ::BLOCK]
    sums = np.stack([luma.sum_words(luma.phasors(grid, gain), word.size) for gain in gains])
    return _compare(luma.votes(sums), word, False, lambda row, _: Place(gain=gains[row]))


def grid_luma(pixels: Pixels, word: Bits) -> Match:
    """At every place of the grid and every first bit: for crops of any original size."""
    points = luma.phasors(luma.samples_everywhere(luma.luma_of(pixels)))
    offsets = list(product(range(BLOCK), range(BLOCK)))
    sums = np.stack([luma.sum_words(points[down::BLOCK, right::BLOCK], word.size) for down, right in offsets])
    return _compare(luma.votes(sums), word, True, lambda row, shift: Place(offset=offsets[row], shift=shift))


def block_bits(view: Pixels, word: Bits, method: str, place: Place) -> tuple[Bits, Bits, Bits]:
    """For each block of a view at a place: its bit, the expected bit, and whether it can carry a bit."""
    if method == luma.METHOD:
        grid = luma.samples_everywhere(luma.luma_of(view))[::BLOCK, ::BLOCK]
        said = luma.block_bits(luma.phasors(grid, place.gain), word.size)
        which = places(said.shape[0], said.shape[1], word.size)
        free = luma.room(view)
    else:
        said = classic.block_bits(classic.u_plane(view, place.path), method)  # type: ignore[arg-type]
        which = place.row_step * np.arange(said.shape[0])[:, None] + np.arange(said.shape[1])[None]
        free = classic.room(view)
    return said, word[(which + place.shift) % word.size], free[: said.shape[0], : said.shape[1]]


def _votes(values: classic.Plane, row_step: int, bits: int) -> NDArray[np.float64]:
    """The vote of the blocks for each bit, -1 (all say 0) to 1; an unclear block has little weight."""
    rows, columns = values.shape
    where = ((row_step * np.arange(rows)[:, None] + np.arange(columns)[None]) % bits).ravel()
    said = np.bincount(where, classic.clearness(values).ravel(), bits)
    votes: NDArray[np.float64] = said / np.maximum(np.bincount(where, minlength=bits), 1)
    return votes


def _compare(
    votes: NDArray[np.float64], word: Bits, cyclic: bool, place: Callable[[int, int], Place]
) -> Match:
    """The likeliest of the votes (m, n) in either polarity, at every shift if `cyclic`, over all bits or only
    the clearest. The image decides which bits are clearest, not the word, so the null hypothesis stays a fair
    coin.
    """
    n = word.size
    shifts = np.arange(n) if cyclic else np.zeros(1, int)
    # A word read from bit s on: its bit j is bit j + s of the whole word.
    wanted = word[(np.arange(n)[None] + shifts[:, None]) % n] * 2.0 - 1
    signs = np.where(votes > 0, 1.0, -1.0)
    clearest = np.argsort(np.argsort(-np.abs(votes), axis=1, kind="stable"), axis=1)
    strength = np.abs(votes).mean(axis=1)
    matches = []
    for share in CLEAREST:
        counted = round(share * n)
        same = (signs * (clearest < counted)) @ wanted.T
        most = np.abs(same).max()
        rows, columns = np.nonzero(np.abs(same) == most)
        best = int(strength[rows].argmax())
        row, column = int(rows[best]), int(columns[best])
        match = Match(
            k=round((counted + float(most)) / 2),
            n=counted,
            inverted=bool(same[row, column] < 0),
            place=place(row, int(shifts[column])),
            hypotheses=POLARITIES * same.size,
            strength=float(strength[row]),
        )
        matches.append(match)
    return best_of(matches)
