"""Measures one segment: makes calls continuously, and samples the worker from outside between two calls.

The number of calls matters, because a leak per call shows after many calls, not after hours. Only long runs
show growth that is driven by a clock. So a run claims exactly the calls and the time that it had."""

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
from certify.measure.soak.status_line import status_line
from certify.measure.soak.workload import GIVEN_UP_AFTER, KINDS, Kind, Work, Workload
from certify.sandbox.host.faults import CandidateFault, PluginError, WorkerEnded
from certify.sandbox.host.soaked_worker import SoakedWorker

WARM_UP = 12
CHECKPOINTS = 160
# The share of the time for checkpoints, as long as there are at least FEWEST checkpoints.
OVERHEAD, FEWEST = 0.01, 96
# Calls before the first verdict; it is repeated at each doubling of the calls. Only a leak ends the run.
FIRST_LOOK = 3_000
# The images of the first calls are kept, and later some at intervals, so that their marks are checked too.
KEPT_FIRST, KEPT_EVERY, KEPT_MAX = 48, 100, 300
# Calls of one kind in a row, to measure which kind of call causes a growth.
FOLLOWED = 12
# Calls of each of these kinds, to trace which lines of Python hold memory.
TRACED = 10
TRACED_KINDS: tuple[Kind, ...] = ("unique", "refused")
TELL_EVERY = 5.0  # seconds
# The factor by which the time is extended where a busy machine took too few samples.
PATIENCE = 4
# Attempts to read /proc of a living process, because a read can fail by chance.
TRIES = 3


@dataclass(frozen=True)
class SoakTarget:
    """The length of a segment in seconds and calls; it ends at the first of both."""

    seconds: float
    calls: int


def seconds_slept() -> float:
    """Seconds for which the machine was suspended since its start, by Linux's boot clock; 0 elsewhere."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC) if boot is not None else 0.0


class SegmentSampler:
    """Fills `segment` with samples and writes each to the journal. Raises faults of the candidate."""

    def __init__(
        self,
        segment: Segment,
        worker: SoakedWorker,
        workload: Workload,
        target: SoakTarget,
        journal: SoakJournal,
        note: Callable[[str], None],
        clock: Callable[[], float],
        slept: Callable[[], float],
    ) -> None:
        self.segment = segment
        self._worker, self._workload, self._works = worker, workload, iter(workload)
        self._target, self._journal = target, journal
        self._note, self._clock, self._slept = note, clock, slept
        self._latencies: list[float] = []
        self._longest_checkpoint = 0.0
        self._status_at, self._status = 0.0, ""
        # A pid can be reused; pid and start time together identify the process.
        self._identity = process_start(worker.pid)

    def run(self) -> None:
        """An undecided result is extended once by the same length; a certain leak ends the run early."""
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
            # The leak is certain; a fault from here on loses only its attribution.
            with suppress(CandidateFault):
                self._follow()

    def _warm_up(self) -> None:
        for _ in range(WARM_UP):
            self._do(next(self._works), keep=False)
        self._worker.freeze()
        self.segment.errors = 0
        self._started = self._clock()

    def _go_on(self, stretch: int) -> None:
        """Runs until the end of this stretch, a certain leak, or a cap."""
        segment, target = self.segment, self._target
        last_call, last_time = segment.calls, self._clock()
        next_look = FIRST_LOOK
        while segment.calls < stretch * target.calls and self._has_time(stretch):
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
        """Whether there is time left; a busy machine gets more, until there are enough samples."""
        seconds, until = self.segment.seconds, stretch * self._target.seconds
        return seconds < until or (
            len(self.segment.samples) < MIN_SAMPLES and seconds < self._target.seconds * PATIENCE
        )

    def _tell(self, stretch: int) -> None:
        """Reports the progress, and every few seconds the status."""
        segment = self.segment
        if segment.seconds - self._status_at >= TELL_EVERY:
            self._status_at, self._status = segment.seconds, status_line(segment)
        left = stretch * self._target.seconds - segment.seconds
        self._note(f"{self._status}{segment.calls:,} calls, {max(0.0, left):,.0f} s left")

    def _is_due(self, calls: int, seconds: float) -> bool:
        target = self._target
        if calls >= target.calls / CHECKPOINTS and seconds >= self._longest_checkpoint / OVERHEAD:
            return True
        fewest = min(target.seconds / FEWEST, 10.0)
        return calls >= target.calls / FEWEST or seconds >= min(
            fewest, max(target.seconds / CHECKPOINTS, self._longest_checkpoint / OVERHEAD)
        )

    def _checkpoint(self) -> None:
        segment = self.segment
        started = self._clock()
        segment.samples.append(self._sample())
        took = self._clock() - started
        segment.measuring += took
        self._longest_checkpoint = (
            max(self._longest_checkpoint, took) if len(segment.samples) < 3 else self._longest_checkpoint
        )
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
        """A sample from outside, of the same process with which the segment began."""
        worker, segment = self._worker, self.segment
        for attempt in range(1, TRIES + 1):
            try:
                sample = sample_tree(worker.pid, segment.calls, segment.seconds, worker.folder)
                break
            except OSError:
                if attempt == TRIES:
                    raise
        if process_start(worker.pid) != self._identity:
            raise WorkerEnded("another process has the worker's pid")
        return sample

    def _do(self, work: Work, keep: bool) -> None:
        if work.kind == "together":
            self.segment.errors += self._worker.together(list(work.requests))
        elif work.kind == "cancelled":
            self._worker.cancelled(work.requests[0], GIVEN_UP_AFTER)
        elif work.kind in ("refused", "sizes"):
            # sdk.sizes judges refused sizes.
            try:
                self._worker.call(work.requests[0])
            except PluginError:
                self.segment.errors += 1
        else:
            self._worker.call(work.requests[0], keep=keep)

    def _follow(self) -> None:
        """Measures which kinds of calls cause the leak: some calls of each kind, sampled before and after."""
        worker, segment = self._worker, self.segment
        held = names_held(worker.pid, worker.folder)
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
        named = {resource: grown_names(held[resource], now[resource]) for resource in held}
        segment.attribution = Attribution({name: names for name, names in named.items() if name in leaking})
        if "memory" in leaking:
            segment.attribution = replace(segment.attribution, **self._trace())

    def _trace(self) -> dict[str, Any]:
        """Where the memory of some more calls was allocated. Their growth is taken from the measurement
        before, because tracing uses memory itself."""
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
