"""Trends in the floors of a noisy series: does it rise, how fast, and does the rise last?

A floor is the minimum of a block of neighbouring samples: temporary use does not change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

BLOCKS = 12
# Six floors with a single inversion still reach p < 0.01 (6/720); fewer floors would need none.
MIN_BLOCKS = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Phase:
    """The floors of a stretch of calls, 6 to 12 of them, and the calls at their centres."""

    calls: Floats
    floors: Floats

    @property
    def rate(self) -> float:
        return theil_sen(self.calls, self.floors)

    @property
    def tail_rate(self) -> float:
        half = len(self.floors) // 2
        return theil_sen(self.calls[half:], self.floors[half:])

    @property
    def rise(self) -> float:
        return float(self.floors[-1] - self.floors[0])

    @property
    def trend_p(self) -> float:
        return mann_kendall_p(self.floors)


def phase(calls: Floats, values: Floats, begin: float, end: float) -> Phase | None:
    """The part of the series after `begin` up to `end` (shares of its span); None if it has under six
    samples.
    """
    progress = (calls - calls[0]) / (calls[-1] - calls[0])
    inside = (progress > begin) & (progress <= end)
    if inside.sum() < MIN_BLOCKS:
        return None
    blocks = int(np.clip(inside.sum() // 2, MIN_BLOCKS, BLOCKS))
    floors = np.array([part.min() for part in np.array_split(values[inside], blocks)])
    centres = np.array([part.mean() for part in np.array_split(calls[inside], blocks)])
    return Phase(centres, floors)


def held(values: Floats) -> Floats:
    """Each sample as the minimum of itself and all later samples: released resources do not count."""
    return np.minimum.accumulate(values[::-1])[::-1]


def mann_kendall_p(values: Floats) -> float:
    """One-sided p of Mann-Kendall's test for a rise, exact; ties make it conservative."""
    n = len(values)
    later = np.sign(values[None, :] - values[:, None])[np.triu_indices(n, 1)].sum()
    pairs = n * (n - 1) // 2
    inversions = int((pairs - later) // 2 + (pairs - later) % 2)
    return sum(_inversion_counts(n)[: inversions + 1]) / factorial(n)


def theil_sen(calls: Floats, floors: Floats) -> float:
    """The median of the slopes of all pairs: a single outlier does not change it."""
    early, late = np.triu_indices(len(calls), 1)
    run = calls[late] - calls[early]
    slopes = (floors[late] - floors[early])[run > 0] / run[run > 0]
    return float(np.median(slopes)) if slopes.size else 0.0


def spread(calls: Floats, values: Floats) -> float:
    """Standard deviation of the second half about its own straight line."""
    late = calls - calls[0] > (calls[-1] - calls[0]) / 2
    line = np.polyfit(calls[late] - calls[0], values[late], 1)
    return float(np.std(values[late] - np.polyval(line, calls[late] - calls[0])))


@cache
def _inversion_counts(n: int) -> tuple[int, ...]:
    """How many of the n! orders have 0, 1, 2, ... inversions (Mahonian numbers)."""
    counts = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(counts) + size - 1)
        for i, count in enumerate(counts):
            for shift in range(size):
                longer[i + shift] += count
        counts = longer
    return tuple(counts)
