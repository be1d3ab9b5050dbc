"""SegmentSampler one segment: calls without end, measured from outside in the quiet between two calls.

What counts is the number of calls, since a leak that each call feeds shows after calls and not after hours;
only hours show what a clock feeds. So a run claims exactly what it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from certify.instruments.leaks.gpu import gpu_bytes
from certify.instruments.leaks.holdings import grown as grown_names
from certify.instruments.leaks.holdings import names_held
from certify.instruments.leaks.judge import MIN_SAMPLES, Sample, passed_cap
from certify.instruments.leaks.resources import process_start, sample_tree
from certify.measure.soak.attribution import Attribution
from certify.measure.soak.journal import SoakJournal
from certify.measure.soak.segment import Segment
from certify.measure.soak.status_line import told
from certify.measure.soak.workload import GIVEN_UP_AFTER, KINDS, Kind, Work, Workload
from certify.sandbox.host.faults import CandidateFault, PluginError, WorkerEnded
from certify.sandbox.host.soaked_worker import SoakedWorker

WARM_UP = 12
CHECKPOINTS = 160
# A checkpoint's share of the time, as long as that leaves FEWEST of them.
OVERHEAD, FEWEST = 0.01, 96
# Judged from here on at each doubling of the calls; a leak ends the run, nothing else does.
FIRST_LOOK = 3_000
# The images of the first calls are kept, and one in so many later, so that their marks are looked at too.
KEPT_FIRST, KEPT_EVERY, KEPT_MAX = 48, 100, 300
# Works of one kind in a row, when it is asked which kind a growth follows.
FOLLOWED = 12
# And of each of these kinds, when it is asked which lines of Python hold what is left.
TRACED = 10
TRACED_KINDS: tuple[Kind, ...] = ("unique", "refused")
TELL_EVERY = 5.0
# Where a machine is too busy to take enough samples in time, it gets so many times the time.
PATIENCE = 4
# Readings of a living process that fail by chance are tried again.
TRIES = 3


@dataclass(frozen=True)
class SoakTarget:
    """A segment lasts for these seconds or calls, whichever ends first."""

    seconds: float
    calls: int


def seconds_slept() -> float:
    """Seconds in which the machine was suspended since its start: Linux's boot clock went on, no other."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC) if boot is not None else 0.0


class SegmentSampler:
    """Fills `segment`, checkpoint by checkpoint, and writes each down. Faults of the candidate are raised."""

    def __init__(
        self,
        segment: Segment,
        worker: SoakedWorker,
        workload: Workload,
        aim: SoakTarget,
        journal: SoakJournal,
        note: Callable[[str], None],
        clock: Callable[[], float],
        slept: Callable[[], float],
    ) -> None:
        self.segment = segment
        self._worker, self._workload, self._works = worker, workload, iter(workload)
        self._aim, self._journal = aim, journal
        self._note, self._clock, self._slept = note, clock, slept
        self._latencies: list[float] = []
        self._dearest = 0.0
        self._told, self._so_far = 0.0, ""
        # A process number may come again; with the moment of its start it does not.
        self._identity = process_start(worker.pid)

    def run(self) -> None:
        """What is undecided at the end gets as much again, once; a leak that is sure ends it before."""
        segment = self.segment
        self._warm_up()
        self._journal.begin(segment, pid=self._worker.pid, started=self._identity)
        before = self._slept()
        for stretch in (1, 2):
            self._go_on(stretch)
            if not segment.undecided or segment.leaks:
                break
        segment.suspended = self._slept() - before
        segment.whole = True
        if segment.leaks:
            # It is found; a fault from here on costs no more than what it is made of.
            with suppress(CandidateFault):
                self._follow()

    def _warm_up(self) -> None:
        for _ in range(WARM_UP):
            self._do(next(self._works), keep=False)
        self._worker.freeze()
        self.segment.errors = 0
        self._started = self._clock()

    def _go_on(self, stretch: int) -> None:
        """Until the end of this stretch, a sure leak at a look, or a cap."""
        segment, aim = self.segment, self._aim
        last_call, last_time = segment.calls, self._clock()
        next_look = FIRST_LOOK
        while segment.calls < stretch * aim.calls and self._has_time(stretch):
            work = next(self._works)
            keep = segment.engine == "real" and _is_kept(segment.calls + 1)
            before = self._clock()
            self._do(work, keep)
            now = self._clock()
            segment.calls += len(work.requests)
            segment.seconds = now - self._started
            if work.kind == "unique":
                self._latencies.append(now - before)
            if not self._is_due(segment.calls - last_call, now - last_time):
                continue
            last_call, last_time = segment.calls, now
            self._checkpoint()
            self._tell(stretch)
            segment.capped = passed_cap(segment.samples[0], segment.samples[-1])
            if segment.capped is not None:
                return
            if segment.calls >= next_look:
                if segment.leaks:
                    return
                next_look *= 2
                segment.look += 1

    def _has_time(self, stretch: int) -> bool:
        """A busy machine gets more of it, until there are enough samples to judge by."""
        seconds, until = self.segment.seconds, stretch * self._aim.seconds
        return seconds < until or (
            len(self.segment.samples) < MIN_SAMPLES and seconds < self._aim.seconds * PATIENCE
        )

    def _tell(self, stretch: int) -> None:
        """How far it is, and every few seconds what it looks like."""
        segment = self.segment
        if segment.seconds - self._told >= TELL_EVERY:
            self._told, self._so_far = segment.seconds, told(segment)
        left = stretch * self._aim.seconds - segment.seconds
        self._note(f"{self._so_far}{segment.calls:,} calls, {max(0.0, left):,.0f} s left")

    def _is_due(self, calls: int, seconds: float) -> bool:
        aim = self._aim
        if calls >= aim.calls / CHECKPOINTS and seconds >= self._dearest / OVERHEAD:
            return True
        fewest = min(aim.seconds / FEWEST, 10.0)
        return calls >= aim.calls / FEWEST or seconds >= min(
            fewest, max(aim.seconds / CHECKPOINTS, self._dearest / OVERHEAD)
        )

    def _checkpoint(self) -> None:
        segment = self.segment
        started = self._clock()
        segment.samples.append(self._sample())
        took = self._clock() - started
        segment.measuring += took
        self._dearest = max(self._dearest, took) if len(segment.samples) < 3 else self._dearest
        self._journal.sample(segment.samples[-1])

    def _sample(self) -> Sample:
        segment, worker = self.segment, self._worker
        inside = worker.quiesce()
        segment.collector_off = not inside.collector or segment.collector_off
        latency = median(self._latencies) if self._latencies else 0.0
        self._latencies.clear()
        sample = self._read()
        on_gpu = gpu_bytes(worker.pid)
        segment.gpu_seen = segment.gpu_seen or on_gpu is not None
        return replace(
            sample,
            latency=latency,
            errors=segment.errors,
            gpu=on_gpu or 0,
            **inside.model_dump(include={"blocks", "heap", "tasks", "cuda"}),
        )

    def _read(self) -> Sample:
        """Seen from outside, and surely of the worker that this segment began with."""
        worker, segment = self._worker, self.segment
        for attempt in range(1, TRIES + 1):
            try:
                sample = sample_tree(worker.pid, segment.calls, segment.seconds, worker.folder)
                break
            except OSError:
                if attempt == TRIES:
                    raise
        if process_start(worker.pid) != self._identity:
            raise WorkerEnded("another process stands where the worker was")
        return sample

    def _do(self, work: Work, keep: bool) -> None:
        if work.kind == "together":
            self.segment.errors += self._worker.together(list(work.requests))
        elif work.kind == "cancelled":
            self._worker.cancelled(work.requests[0], GIVEN_UP_AFTER)
        elif work.kind in ("refused", "sizes"):
            # A size that is refused is for sdk.sizes to judge.
            try:
                self._worker.call(work.requests[0])
            except PluginError:
                self.segment.errors += 1
        else:
            self._worker.call(work.requests[0], keep=keep)

    def _follow(self) -> None:
        """Which kinds of calls make grow what leaks: some of each kind alone, measured before and after."""
        worker, segment = self._worker, self.segment
        names = names_held(worker.pid, worker.folder)
        leaking = [verdict.resource for verdict in segment.verdicts if verdict.verdict == "LEAK"]
        segment.follows = {resource: {} for resource in leaking}
        for kind in KINDS:
            before = self._sample()
            count = 0
            for _ in range(FOLLOWED):
                work = self._workload.of(kind)
                self._do(work, keep=False)
                count += len(work.requests)
            after = self._sample()
            for resource in leaking:
                grown = getattr(after, resource) - getattr(before, resource)
                segment.follows[resource][kind] = grown / count
        now = names_held(worker.pid, worker.folder)
        named = {resource: grown_names(names[resource], now[resource]) for resource in names}
        segment.attribution = Attribution({name: found for name, found in named.items() if name in leaking})
        if "memory" in leaking:
            segment.attribution = replace(segment.attribution, **self._trace())

    def _trace(self) -> dict[str, Any]:
        """Where what some more calls left behind was allocated, and what calls of their kinds grow by, which
        was measured before: tracing takes memory of its own.
        """
        self._worker.trace()
        for _ in range(TRACED):
            for kind in TRACED_KINDS:
                self._do(self._workload.of(kind), keep=False)
        follows = self.segment.follows["memory"]
        return {
            "sites": self._worker.trace(),
            "calls": TRACED * len(TRACED_KINDS),
            "grown": round(TRACED * sum(max(0.0, follows[kind]) for kind in TRACED_KINDS)),
        }


def _is_kept(call: int) -> bool:
    return call <= KEPT_FIRST or (call % KEPT_EVERY == 0 and call // KEPT_EVERY <= KEPT_MAX)
