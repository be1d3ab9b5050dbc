"""Reads invisible marks: all positions in which an honest mark may be in an image, with a corrected p-value.

A reading runs in stages, cheap stages first. Each stage has an equal share of the allowed error: its p-value
is corrected for its hypotheses and for the number of stages, so the smallest is a p-value again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from certify.instruments.marks.pixels import classic, luma, search
from certify.instruments.marks.pixels.payloads import Bits, PayloadError, payload_bits
from certify.instruments.marks.pixels.remark import left_by_a_faithful_marker
from certify.instruments.marks.pixels.resample import resample, turn
from certify.instruments.marks.pixels.search import Match, Place
from certify.instruments.marks.pixels.statistics import P_THRESHOLD, combined
from certify.instruments.marks.pixels.tiles import FAITHFUL, TileMap, tile_map
from reference_engine.marking.luma import capacity

Pixels = NDArray[np.uint8]
METHODS = (luma.METHOD, *classic.METHODS)
# With a shorter word, a small image by a faithful marker may have too few agreeing bits as proof.
SHORT = 64
# Corrected: at most 1 % of unmarked images is this near to a word.
DOUBT = 1e-2
# Or at most 10 %, if 90 % of the blocks that the marker can set say the word: of honest images of 64 x 64
# with SDXL's word, 1 in 150 is no nearer.
MOST_DOUBT, SAYS_IT = 0.1, 0.9
# Common widths of images: if the original of a crop is unknown, the classic marks need a guess.
USUAL_WIDTHS = (512, 768, 1024)
TURNS = tuple(step / 2 for step in range(-12, 13) if step)
# A resized image keeps its shape up to a pixel of rounding.
ASPECT_TOLERANCE = 0.02

State = Literal["present", "absent", "cannot-carry"]


@dataclass(frozen=True)
class MarkReading:
    """The reading of a mark in an image. `present` if p_value <= 1e-6; the p-value is corrected for
    all `hypotheses`. `k` of the `n` counted bits agree: all `bits` of the word, or the clearest.
    `tiles` says where in the image the word is, at the best place. `doubtful`: the word is short and likely
    here, but not proven by this image alone.
    """

    state: State
    method: str
    k: int
    n: int
    bits: int
    p_value: float
    hypotheses: int
    polarity: Literal["normal", "inverted"]
    place: Place
    tiles: TileMap
    doubtful: bool = False

    @property
    def whole(self) -> bool:
        """Whether the mark covers the image as its marker writes it: not only a pasted part, and not copied
        from another image. lumaQim writes the word into every block of any image.
        """
        faithful = self.tiles.share >= FAITHFUL if self.method == luma.METHOD else self.tiles.faithful
        return self.state == "present" and self.tiles.agree and faithful


def together(readings: Sequence[MarkReading]) -> list[MarkReading]:
    """The readings of a word in many images: doubtful readings become `present` if together they prove it."""
    proven = combined(reading.p_value for reading in readings if reading.doubtful) <= P_THRESHOLD
    return [
        replace(reading, state="present", doubtful=False) if proven and reading.doubtful else reading
        for reading in readings
    ]


def read_mark(
    pixels: Pixels,
    payload: str | Sequence[int] | Bits,
    method: str,
    size: tuple[int, int] | None = None,
    crops: bool = False,
    turns: bool = False,
    tried: int = 1,
) -> MarkReading:
    """Whether RGB `pixels` (height, width, 3) carry `payload` by `method` (lumaQim, dwtDctSvd or dwtDct).

    `size` (width, height) is the original size, if known. `crops` searches for crops by the grid of blocks,
    `turns` for small rotations, which takes seconds. `tried` is the number of marks searched for in this
    image. `cannot-carry`: the image lacks the mark, and has fewer blocks than the payload has bits or would
    clip it in at least half of its blocks. Raises `PayloadError` for a payload that `payload_bits` refuses or
    an unknown method.
    """
    if method not in METHODS:
        raise PayloadError(f'no decoder for method "{method}"; there are {", ".join(METHODS)}')
    word = payload_bits(payload)
    best: Match | None = None
    p_value = 1.0
    stages = _stages(pixels, word, method, size, crops, turns)
    for stage in stages:
        match = stage()
        corrected = min(1.0, match.p_value * match.hypotheses * len(stages) * tried)
        if best is None or corrected < p_value:
            best, p_value = match, corrected
        if p_value <= P_THRESHOLD:
            break
    assert best is not None
    view = turn(pixels, -best.place.turned) if best.place.turned else pixels
    view = _view(view, best.place.mirrored, size if best.place.resized else None)
    down, right = best.place.offset
    likely = p_value <= MOST_DOUBT
    tiles, path, inverted = _tiles_of(view[down:, right:], word, method, best, likely)
    state: State = "present" if p_value <= P_THRESHOLD else "absent"
    if state == "absent" and not _can_carry(pixels, word.size, method):
        state = "cannot-carry"
    near = DOUBT if tiles.share < SAYS_IT else MOST_DOUBT
    return MarkReading(
        doubtful=state == "absent" and word.size < SHORT and p_value <= near,
        state=state,
        method=method,
        k=best.k,
        n=best.n,
        bits=int(word.size),
        p_value=p_value,
        hypotheses=best.hypotheses * len(stages) * tried,
        polarity="inverted" if inverted else "normal",
        place=replace(best.place, path=path),
        tiles=tiles,
    )


def _tiles_of(
    view: Pixels, word: Bits, method: str, match: Match, likely: bool
) -> tuple[TileMap, classic.Path, bool]:
    """Where the word is in a view, by which path, and whether inverted. The paths of a classic mark agree
    in warm images and differ in their cold parts, so the first match may not be the path that is right
    everywhere. Marking again takes longer than reading, so it is done only for a `likely` word.
    """
    if method == luma.METHOD or not likely:
        said, wanted, free = search.block_bits(view, word, method, match.place)
        return tile_map(said ^ match.inverted == wanted, free), match.place.path, match.inverted
    return max(
        (_tiles_by_path(view, word, method, replace(match.place, path=path)) for path in search.PATHS),
        key=lambda result: result[0].share,
    )


def _tiles_by_path(view: Pixels, word: Bits, method: str, place: Place) -> tuple[TileMap, classic.Path, bool]:
    said, wanted, free = search.block_bits(view, word, method, place)
    inverted = bool(free.any() and (said == wanted)[free].mean() < 0.5)
    left = left_by_a_faithful_marker(view, wanted ^ inverted, _classic(method), place.path)
    return tile_map(said ^ inverted == wanted, free & (left ^ inverted == wanted)), place.path, inverted


def _stages(
    pixels: Pixels, word: Bits, method: str, size: tuple[int, int] | None, crops: bool, turns: bool
) -> list[Callable[[], Match]]:
    """The stages of the search, cheapest first."""
    widths = (size[0],) if size else (pixels.shape[1], *USUAL_WIDTHS)
    steps = [width // 4 * 4 // search.BLOCK for width in widths]
    aligned: list[Callable[[Pixels], Match]]
    if method == luma.METHOD:
        aligned = [lambda view: search.aligned_luma(view, word, (1.0,))]
        aligned.append(lambda view: search.aligned_luma(view, word, luma.GAINS))
    else:
        aligned = [lambda view: search.aligned_classic(view, word, _classic(method))]

    def grid(view: Pixels) -> Match:
        if method == luma.METHOD:
            return search.grid_luma(view, word)
        return search.grid_classic(view, word, _classic(method), steps)

    stages: list[Callable[[], Match]] = [partial(_over_views, pixels, size, way) for way in aligned]
    if crops:
        stages.append(partial(_over_views, pixels, None, grid))
    if turns:
        stages.append(partial(_over_turns, pixels, aligned[0]))
    return stages


def _classic(method: str) -> classic.Method:
    return "dwtDct" if method == "dwtDct" else "dwtDctSvd"


def _over_views(pixels: Pixels, size: tuple[int, int] | None, way: Callable[[Pixels], Match]) -> Match:
    """The image and its mirror image, also resampled to the original size if it was resized."""
    sizes = [None, size] if size and _was_resized(pixels, size) else [None]
    matches = []
    for other, mirrored in product(sizes, (False, True)):
        match = way(_view(pixels, mirrored, other))
        place = replace(match.place, mirrored=mirrored, resized=other is not None)
        matches.append(replace(match, place=place))
    return search.best_of(matches)


def _over_turns(pixels: Pixels, way: Callable[[Pixels], Match]) -> Match:
    """The image rotated back about its centre by up to 6 degrees."""
    matches = []
    for degrees in TURNS:
        match = way(turn(pixels, -degrees))
        matches.append(replace(match, place=replace(match.place, turned=degrees)))
    return search.best_of(matches)


def _was_resized(pixels: Pixels, size: tuple[int, int]) -> bool:
    height, width = pixels.shape[:2]
    same = (width, height) == size
    shape = (width * size[1]) / (height * size[0]) if height and size[0] else 0.0
    return not same and abs(shape - 1) <= ASPECT_TOLERANCE


def _view(pixels: Pixels, mirrored: bool, size: tuple[int, int] | None) -> Pixels:
    view = resample(pixels, *size) if size else pixels
    return np.ascontiguousarray(view[:, ::-1]) if mirrored else view


def _can_carry(pixels: Pixels, bits: int, method: str) -> bool:
    if method == luma.METHOD:
        return capacity(pixels.shape[1], pixels.shape[0]) >= bits
    free = classic.room(pixels)
    return free.size >= bits and bool(free.mean() > 0.5)
