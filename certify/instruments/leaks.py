"""Is a resource leaking? A rule over samples taken between calls.

Trend tests alone are worthless here: allocators creep and caches fill for thousands of calls, and a test for
"rises" sees it. The rule asks for persistence instead. The floors of the samples must rise in two disjoint
phases, the second and the last two quarters of the calls, at a rate that does not fade. The first quarter is
warm-up and never counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MIN_SAMPLES = 48
BLOCKS = 12
# Six floors in which one pair falls still reach alpha (p = 6/720); fewer would have to rise without fault.
MIN_BLOCKS = 6
ALPHA = 0.01
# A leak keeps its rate; a saturating cache halves it each doubling. The last half of a phase is noisier.
FADE, TAIL_FADE = 0.6, 0.5
# 90 % power needs about rate * calls = 18 sigma (simulated: Gaussian noise, this rule).
POWER_SIGMAS = 18
# 16 MiB a day at one call every five seconds.
MEMORY_BUDGET = 1024.0
# What an allocator may creep in the second half of a run of any length without being told from a leak.
MEMORY_SLACK = 1 << 20
COUNT_RISE = 4
# Of what is held at the very end nobody knows yet whether it comes back: the rest of the calls only confirms.
HELD_UNTIL = 0.85
FILE_BYTES_RISE = 1 << 20

Resource = Literal["fds", "threads", "children", "files", "file_bytes"]
Verdict = Literal["LEAK", "UNDECIDED", "CLEAN"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One reading after `call` calls and `seconds`, summed over the candidate's process tree.

    `rss_anon` is anonymous and shared memory plus swap, `file_bytes` the size of the `files` below the
    candidate's own folder.
    """

    call: int
    seconds: float
    rss_anon: int
    fds: int
    threads: int
    children: int
    files: int
    file_bytes: int


@dataclass(frozen=True)
class LeakVerdict:
    """The judgement on one resource.

    `rate` is the growth a call in the second half and `r_min` the smallest steady growth a call that this run
    would have called a LEAK (both in bytes, or in counts). `floors` are the (call, floor) pairs judged, phase
    one then phase two. CLEAN only means: nothing above `r_min`. With too few samples there are no floors, and
    `r_min` is None.
    """

    resource: str
    verdict: Verdict
    rate: float
    r_min: float | None
    reason: str
    floors: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class _Phase:
    calls: Floats
    floors: Floats

    @property
    def rate(self) -> float:
        return _theil_sen(self.calls, self.floors)

    @property
    def tail_rate(self) -> float:
        half = len(self.floors) // 2
        return _theil_sen(self.calls[half:], self.floors[half:])

    @property
    def rise(self) -> float:
        return float(self.floors[-1] - self.floors[0])

    @property
    def trend_p(self) -> float:
        return mann_kendall_p(self.floors)


def judge_memory(
    samples: Sequence[Sample], budget: float = MEMORY_BUDGET, slack: int = MEMORY_SLACK
) -> LeakVerdict:
    """Whether anonymous memory leaks.

    Up to `budget` bytes a call, or `slack` bytes in the whole second half, are an allocator's creep. Raises
    `ValueError` when calls are not in ascending order.
    """
    split = _phases(samples, lambda sample: sample.rss_anon)
    if split is None:
        return _too_few("memory", samples)
    first, second, values, calls = split
    span = calls[-1] - calls[0]
    r_min = max(1.0, POWER_SIGMAS * _spread(calls, values) / span, 2 * slack / span)
    limit = max(r_min, budget)
    steady = second.trend_p < ALPHA and second.rate > limit
    return _verdict("memory", first, second, steady, first.trend_p < ALPHA, r_min=limit, unit="bytes")


def judge_counts(samples: Sequence[Sample], resource: Resource) -> LeakVerdict:
    """Whether open files, threads, children, files on disk or their bytes leak.

    These are exact, and what leaked never comes back: a sample counts as the least of itself and all later
    ones. That must rise in both phases, by 4 in all (1 MiB for `file_bytes`). Raises `ValueError` as above.
    """
    split = _phases(samples, lambda sample: int(getattr(sample, resource)), held=True)
    if split is None:
        return _too_few(resource, samples)
    first, second, _, calls = split
    least = FILE_BYTES_RISE if resource == "file_bytes" else COUNT_RISE
    r_min = least / ((HELD_UNTIL - 0.25) * (calls[-1] - calls[0]))
    steady = second.rise > 0 and first.rise + second.rise >= least and second.tail_rate > 0
    unit = "bytes" if resource == "file_bytes" else resource
    return _verdict(resource, first, second, steady, first.rise > 0, r_min=float(r_min), unit=unit)


def mann_kendall_p(values: Floats) -> float:
    """One-sided p of Mann-Kendall's test for a rise, exact; ties make it conservative."""
    n = len(values)
    later = np.sign(values[None, :] - values[:, None])[np.triu_indices(n, 1)].sum()
    pairs = n * (n - 1) // 2
    inversions = int((pairs - later) // 2 + (pairs - later) % 2)
    return sum(_inversion_counts(n)[: inversions + 1]) / factorial(n)


def _verdict(
    resource: str, first: _Phase, second: _Phase, steady: bool, began: bool, *, r_min: float, unit: str
) -> LeakVerdict:
    rate = second.rate
    lasting = rate >= FADE * first.rate and second.tail_rate >= TAIL_FADE * rate
    told = f"{_amount(rate, unit)} a call in the second half"
    verdict: Verdict = "UNDECIDED"
    if steady and began and lasting:
        verdict, reason = "LEAK", f"grows in both phases without fading: {told}"
    elif steady and began:
        reason = f"grows, but fades: {told}, {_amount(first.rate, unit)} before; a cache would do that, too"
    elif steady:
        reason = f"grows in the second half alone: {told}; more calls would tell"
    elif began and rate > r_min:
        reason = f"rose at first, and then not steadily: {told}; more calls would tell"
    else:
        verdict, reason = "CLEAN", f"no lasting growth of {_amount(r_min, unit)} a call or more"
    floors = [
        (int(c), float(f))
        for phase in (first, second)
        for c, f in zip(phase.calls, phase.floors, strict=True)
    ]
    return LeakVerdict(resource, verdict, rate, r_min, reason, tuple(floors))


def _amount(value: float, unit: str) -> str:
    if unit != "bytes":
        return f"{value:.2g} {unit}"
    return f"{value:.0f} B" if abs(value) < 1024 else f"{value / 1024:,.1f} KiB"


def _too_few(resource: str, samples: Sequence[Sample]) -> LeakVerdict:
    reason = f"{len(samples)} samples are too few to tell; it takes {MIN_SAMPLES}, spread over the calls"
    return LeakVerdict(resource, "UNDECIDED", 0.0, None, reason, ())


def _phases(
    samples: Sequence[Sample], value: Callable[[Sample], int], *, held: bool = False
) -> tuple[_Phase, _Phase, Floats, Floats] | None:
    """Phase one, phase two, and the values and calls of all samples; None where there are too few."""
    calls = np.array([sample.call for sample in samples], np.float64)
    values = np.array([value(sample) for sample in samples], np.float64)
    if np.any(np.diff(calls) < 0):
        raise ValueError("samples must come in the order of their calls")
    if len(samples) < MIN_SAMPLES or calls[-1] <= calls[0]:
        return None
    if held:
        values = np.minimum.accumulate(values[::-1])[::-1]
    progress = (calls - calls[0]) / (calls[-1] - calls[0])
    in_first = (progress > 0.25) & (progress <= 0.5)
    in_second = (progress > 0.5) & (progress <= (HELD_UNTIL if held else 1.0))
    if min(in_first.sum(), in_second.sum()) < MIN_BLOCKS:
        return None
    first, second = (_phase(calls[inside], values[inside]) for inside in (in_first, in_second))
    return first, second, values, calls


def _phase(calls: Floats, values: Floats) -> _Phase:
    blocks = int(np.clip(len(values) // 2, MIN_BLOCKS, BLOCKS))
    floors = np.array([part.min() for part in np.array_split(values, blocks)])
    centres = np.array([part.mean() for part in np.array_split(calls, blocks)])
    return _Phase(centres, floors)


def _theil_sen(calls: Floats, floors: Floats) -> float:
    """The median of the slopes of all pairs: one odd block does not move it."""
    early, late = np.triu_indices(len(calls), 1)
    run = calls[late] - calls[early]
    slopes = (floors[late] - floors[early])[run > 0] / run[run > 0]
    return float(np.median(slopes)) if slopes.size else 0.0


def _spread(calls: Floats, values: Floats) -> float:
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
