"""Alignment of two word sequences: anchored at runs that are unique in both, then word by word between."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

RUN = 4
MAX_CELLS = 400_000  # of a stretch that is compared word by word; a larger stretch has nothing in common


def aligned(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of positions with equal words, increasing in both.

    Words of the stretches between anchors are paired by difflib's longest common blocks.
    """
    pairs: list[tuple[int, int]] = []
    at_left = at_right = 0
    for begin_left, begin_right in [*_anchors(left, right), (len(left), len(right))]:
        if begin_left < at_left or begin_right < at_right:
            continue
        pairs += _between(left, right, (at_left, begin_left), (at_right, begin_right))
        at_left, at_right = begin_left, begin_right
        while at_left < len(left) and at_right < len(right) and left[at_left] == right[at_right]:
            pairs.append((at_left, at_right))
            at_left, at_right = at_left + 1, at_right + 1
    return pairs


def _anchors(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """The starts of four-word runs that are unique on both sides, as far as their order agrees."""
    places = [_runs_once(side) for side in (left, right)]
    shared = sorted((places[0][run], places[1][run]) for run in places[0].keys() & places[1].keys())
    return _increasing(shared)


def _runs_once(words: Sequence[str]) -> dict[tuple[str, ...], int]:
    runs = [tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]
    counts = Counter(runs)
    return {run: at for at, run in enumerate(runs) if counts[run] == 1}


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of `pairs` (sorted by the first) that increases in the second (patience sorting)."""
    tops: list[int] = []
    top_index: list[int] = []
    before: list[int] = []
    for index, (_, second) in enumerate(pairs):
        pile = bisect_left(tops, second)
        before.append(top_index[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(second)
            top_index.append(index)
        else:
            tops[pile], top_index[pile] = second, index
    chain: list[tuple[int, int]] = []
    index = top_index[-1] if top_index else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _between(
    left: Sequence[str], right: Sequence[str], span: tuple[int, int], other: tuple[int, int]
) -> list[tuple[int, int]]:
    cells = (span[1] - span[0]) * (other[1] - other[0])
    if not 0 < cells <= MAX_CELLS:
        return []
    matcher = SequenceMatcher(None, left[slice(*span)], right[slice(*other)], autojunk=False)
    return [
        (span[0] + block.a + step, other[0] + block.b + step)
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    ]
