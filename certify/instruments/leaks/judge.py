"""Is a resource leaking? A rule over samples taken between calls.

A trend test alone is not enough: allocators creep and caches fill for thousands of calls, and the test
detects that. The rule requires persistence instead. The floors of the samples must rise in two disjoint
phases, the second quarter and the last two quarters of the calls, at a rate that does not fade. The first
quarter is warm-up and never counts. Any other rise, or a rise at the very end, is UNDECIDED.

Samples may be judged repeatedly during a run, at looks that double its calls. The number of the look tightens
the test, so that all looks together have the error rate of a single test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from .trend import Floats, Phase, held, phase, spread

MIN_SAMPLES = 48
# Of the first look, and for each phase; over all looks sum(1/k^2) * 0.01 < 0.017, and both phases must agree.
ALPHA = 0.01
# A leak keeps its rate; a saturating cache halves it each doubling. The last half of a phase is noisier.
FADE, TAIL_FADE = 0.6, 0.5
# 90 % power needs about rate * calls = 18 sigma (simulated: Gaussian noise, this rule).
POWER_SIGMAS = 18
# A rate at the very limit is a LEAK every second time; from 1.25 times the limit on nearly always (simulated:
# `benchmarks/leaks/simulation.py`), so that is what a run is said to see.
SURE = 1.25
# A day with a call every five seconds: the unit of rates when the pace of a run is not that of a user.
CALLS_A_DAY = 17_280
# 1 MiB a day.
MEMORY_BUDGET = 64.0
# The growth of an allocator in the second half of a run that can't be distinguished from a leak.
MEMORY_SLACK = 256 << 10
# A leak has this many times the rate of the harness's own plugin, which keeps nothing.
OVER_REFERENCE = 3.0
COUNT_RISE = 4
# Resources held at the very end may still be released: the last calls only confirm.
HELD_UNTIL = 0.85
FILE_BYTES_RISE = 1 << 20
# torch takes memory of a GPU in blocks of 2 and 20 MiB, and a context grows as its kernels are loaded.
GPU_RISE = 64 << 20
# The host sets what a worker may hold at most (`certify.sandbox.host.host`); this share of it ends a run.
CAPS = {
    "memory": int(0.8 * (12 << 30)),
    "fds": int(0.8 * 1024),
    "threads": int(0.8 * 512),
    "children": int(0.8 * 64),
    "file_bytes": int(0.8 * (4 << 30)),
    "shm_bytes": int(0.8 * (4 << 30)),
}

Resource = Literal[
    "fds", "threads", "children", "zombies", "files", "file_bytes", "shm_bytes", "mappings", "gpu"
]
COUNTED: tuple[Resource, ...] = get_args(Resource)
BYTES = ("memory", "file_bytes", "shm_bytes", "heap", "cuda", "gpu")
# Mappings are reported only if they could exhaust the kernel's limit of 65,530 within days.
LEAST = {"file_bytes": FILE_BYTES_RISE, "shm_bytes": FILE_BYTES_RISE, "mappings": 64, "gpu": GPU_RISE}
Verdict = Literal["LEAK", "UNDECIDED", "CLEAN"]


@dataclass(frozen=True)
class Sample:
    """One reading after `call` calls and `seconds`, summed over the candidate's process tree.

    Bytes of anonymous memory, of shared memory that is mapped, and swapped out; counts of descriptors,
    threads, descendants (zombies among them) and mapped regions; `files` and folders with their `file_bytes`
    below the candidate's own folder, and the bytes below its /dev/shm. `latency` is the median of the calls
    since the last sample, in seconds, `errors` how many calls so far were refused. `blocks` and `heap` are
    what the process reports of itself: Python's allocated blocks, and bytes in use in the C library's heap;
    `tasks` are asyncio's and `cuda` bytes given out by torch's allocator. `gpu` are the tree's bytes on GPUs
    as the driver reports them, 0 without a driver.
    """

    call: int
    seconds: float
    rss_anon: int = 0
    shmem: int = 0
    swap: int = 0
    fds: int = 0
    threads: int = 0
    children: int = 0
    zombies: int = 0
    mappings: int = 0
    files: int = 0
    file_bytes: int = 0
    shm_bytes: int = 0
    latency: float = 0.0
    errors: int = 0
    blocks: int = 0
    heap: int = 0
    tasks: int = 0
    cuda: int = 0
    gpu: int = 0

    @property
    def memory(self) -> int:
        return self.rss_anon + self.shmem + self.swap

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def columns(cls) -> list[str]:
        return [column.name for column in fields(cls)]


@dataclass(frozen=True)
class LeakVerdict:
    """The verdict on a resource.

    `rate` is the growth a call in the second half and `r_min` the smallest steady growth a call that this run
    would have called a LEAK in 90 % of cases (both in bytes, or in counts). `floors` are the (call,
    floor) pairs judged, first phase, then second. CLEAN only means: nothing above `r_min`, and nothing
    that began in the last seventh of the calls. With too few samples there are no floors, and `r_min` is
    None.
    """

    resource: str
    verdict: Verdict
    rate: float
    r_min: float | None
    reason: str
    floors: tuple[tuple[int, float], ...]


def judge_memory(
    samples: Sequence[Sample],
    budget: float = MEMORY_BUDGET,
    slack: int = MEMORY_SLACK,
    reference: float = 0.0,
    look: int = 1,
) -> LeakVerdict:
    """Whether memory (anonymous, shared, swapped out) leaks.

    Up to `budget` bytes a call, or `slack` bytes in the whole second half, or three times the `reference`
    (bytes a call of a run that keeps nothing) are an allocator's creep. `look` is the number of the judgement
    of a run, from 1. Raises `ValueError` when calls are not in ascending order.
    """
    calls, values = _series(samples, "memory")
    phases = _phases(calls, values, 1.0)
    if phases is None:
        return _too_few("memory", samples)
    first, second = phases
    span = calls[-1] - calls[0]
    limit = max(
        1.0,
        POWER_SIGMAS * spread(calls, values) / span,
        2 * slack / span,
        budget,
        OVER_REFERENCE * reference,
    )
    alpha = ALPHA / look**2
    steady = second.trend_p < alpha and second.rate > limit
    late = _rises_late(calls, values, limit * span)
    return _verdict("memory", first, second, steady, first.trend_p < alpha, late, SURE * limit)


def judge_counts(samples: Sequence[Sample], resource: Resource, look: int = 1) -> LeakVerdict:
    """Whether open files, threads, processes, mappings, files, their bytes, or bytes on a GPU leak.

    Counts are exact, and leaked resources are never released: a sample counts as the minimum of itself and
    all later samples. That must rise in both phases, by 4 in all (1 MiB for bytes, 64 MiB on a GPU, 64 for
    mappings). Exact counts need no test against chance, so looks need no correction. Raises `ValueError` as
    above.
    """
    calls, values = _series(samples, resource)
    phases = _phases(calls, held(values), HELD_UNTIL) if len(values) else None
    if phases is None:
        return _too_few(resource, samples)
    first, second = phases
    least = LEAST.get(resource, COUNT_RISE)
    r_min = float(least / ((HELD_UNTIL - 0.25) * (calls[-1] - calls[0])))
    steady = second.rise > 0 and first.rise + second.rise >= least and second.tail_rate > 0
    late = _rises_late(calls, values, 8.0 * least)
    return _verdict(resource, first, second, steady, first.rise > 0, late, r_min)


def judge_inside(
    samples: Sequence[Sample],
    limits: Mapping[str, float],
    look: int = 1,
    slack: Mapping[str, float] | None = None,
) -> list[LeakVerdict]:
    """Whether what the process counts of itself rises by more than `limits` a call (by `blocks`, `heap`), and
    by more than `slack` in the whole second half, which words seen for the first time and the like explain.

    Exact to the byte, where memory seen from outside stands still as long as a leak fills holes between what
    lives; but a claim, which can show a leak and never its absence.
    """
    verdicts = []
    for name, limit in limits.items():
        calls, values = _series(samples, name)
        phases = _phases(calls, values, 1.0)
        if phases is None:
            verdicts.append(_too_few(name, samples))
            continue
        first, second = phases
        span = calls[-1] - calls[0]
        warm = 2 * (slack or {}).get(name, 0.0) / span
        limit = max(limit, warm, POWER_SIGMAS * spread(calls, values) / span)
        alpha = ALPHA / look**2
        steady = second.trend_p < alpha and second.rate > limit
        verdicts.append(_verdict(name, first, second, steady, first.trend_p < alpha, False, SURE * limit))
    return verdicts


def judge_all(
    samples: Sequence[Sample],
    budget: float = MEMORY_BUDGET,
    slack: int = MEMORY_SLACK,
    reference: float = 0.0,
    look: int = 1,
) -> list[LeakVerdict]:
    """Memory, then every count; see `judge_memory` and `judge_counts`."""
    memory = judge_memory(samples, budget, slack, reference, look)
    return [memory, *(judge_counts(samples, resource, look) for resource in COUNTED)]


def worst(verdicts: Sequence[LeakVerdict]) -> Verdict:
    """LEAK takes precedence over UNDECIDED, UNDECIDED over CLEAN."""
    outcomes = {verdict.verdict for verdict in verdicts}
    return (
        "LEAK" if "LEAK" in outcomes else "UNDECIDED" if "UNDECIDED" in outcomes or not outcomes else "CLEAN"
    )


def passed_cap(first: Sample, last: Sample) -> LeakVerdict | None:
    """A LEAK if `last` holds four fifths of a worker's limit, and twice as much as `first`."""
    for resource, cap in CAPS.items():
        before, now = int(getattr(first, resource)), int(getattr(last, resource))
        if now >= cap and now >= 2 * before:
            rate = (now - before) / max(1, last.call - first.call)
            reason = (
                f"{amount(now, resource)} after {last.call} calls, {amount(before, resource)} at the start: "
                f"a worker may hold {amount(cap / 0.8, resource)}"
            )
            return LeakVerdict(resource, "LEAK", rate, None, reason, ())
    return None


def amount(value: float, resource: str) -> str:
    """`1.5 KiB`, `0.3 fds`."""
    if resource not in BYTES:
        return f"{value:.3g} {resource}"
    for unit, size in (("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)):
        if abs(value) < 1024 * size:
            return f"{value / size:.0f} B" if size == 1 else f"{value / size:,.1f} {unit}"
    return f"{value / (1 << 30):,.1f} GiB"


def per_day(rate: float, resource: str, calls_a_day: float = CALLS_A_DAY) -> str:
    """A rate per call as the amount in 24 hours."""
    return amount(rate * calls_a_day, resource)


def _rises_late(calls: Floats, values: Floats, total: float) -> bool:
    """Whether the last quarter rises more than the half before it, or the very end is above the
    whole second half. Both may be the start of a leak that would grow by `total` in a run of this length.
    """
    span = calls[-1] - calls[0]
    before, last = phase(calls, values, 0.25, 0.75), phase(calls, values, 0.75, 1.0)
    if before is not None and last is not None and last.trend_p < ALPHA:
        half = len(last.floors) // 2
        risen = last.floors[half:].mean() - last.floors[:half].mean()
        if risen - max(0.0, before.rate) * span / 8 >= total / 16:
            return True
    progress = (calls - calls[0]) / span
    end = max(3, int((progress > 0.96).sum()))
    earlier = values[:-end][progress[:-end] > 0.5]
    return bool(earlier.size and values[-end:].min() - earlier.max() >= total / 32)


def _verdict(
    resource: str, first: Phase, second: Phase, steady: bool, began: bool, late: bool, r_min: float
) -> LeakVerdict:
    rate = second.rate
    lasting = rate >= FADE * first.rate and second.tail_rate >= TAIL_FADE * rate
    growth = f"{amount(rate, resource)} a call in the second half"
    verdict: Verdict = "UNDECIDED"
    if steady and began and lasting:
        verdict, reason = "LEAK", f"grows in both phases without fading: {growth}"
    elif steady and began:
        before = f"{amount(first.rate, resource)} before"
        reason = f"grows, but fades: {growth}, {before}; a cache does that too"
    elif steady:
        reason = f"grows in the second half alone: {growth}; more calls would decide"
    elif began and SURE * rate > r_min:
        reason = f"rose at first, and then not steadily: {growth}; more calls would decide"
    elif late:
        reason = "grows at the end alone; more calls would decide"
    else:
        verdict, reason = "CLEAN", f"no lasting growth of {amount(r_min, resource)} a call or more"
    floors = [
        (int(c), float(f)) for part in (first, second) for c, f in zip(part.calls, part.floors, strict=True)
    ]
    return LeakVerdict(resource, verdict, rate, r_min, reason, tuple(floors))


def _too_few(resource: str, samples: Sequence[Sample]) -> LeakVerdict:
    reason = f"{len(samples)} samples are too few to decide; {MIN_SAMPLES} are needed, spread over the calls"
    return LeakVerdict(resource, "UNDECIDED", 0.0, None, reason, ())


def _series(samples: Sequence[Sample], name: str) -> tuple[Floats, Floats]:
    calls = np.array([sample.call for sample in samples], np.float64)
    if np.any(np.diff(calls) < 0):
        raise ValueError("samples must come in the order of their calls")
    return calls, np.array([getattr(sample, name) for sample in samples], np.float64)


def _phases(calls: Floats, values: Floats, until: float) -> tuple[Phase, Phase] | None:
    if len(calls) < MIN_SAMPLES or calls[-1] <= calls[0]:
        return None
    first, second = phase(calls, values, 0.25, 0.5), phase(calls, values, 0.5, until)
    return None if first is None or second is None else (first, second)
