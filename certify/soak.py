"""The soak: calls without end, measured from outside in the quiet between two calls.

What counts is the number of calls, since a leak that each call feeds shows after calls and not after hours;
only hours show what a clock feeds. So a run claims exactly what it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from certify.attribution import Attribution
from certify.draw import Draw
from certify.host.claims import Inside
from certify.host.faults import CallRefused
from certify.host.remote import RemotePlugin, SoakedWorker
from certify.instruments.holdings import grown as grown_names
from certify.instruments.holdings import names_held
from certify.instruments.leaks import (
    COUNTED,
    MEMORY_BUDGET,
    MEMORY_SLACK,
    LeakVerdict,
    Sample,
    amount,
    judge_counts,
    judge_inside,
    judge_memory,
    passed_cap,
    worst,
)
from certify.instruments.resources import sample_tree
from certify.profiles import Profile
from certify.workload import GIVEN_UP_AFTER, KINDS, Kind, Work, Workload

HANDLES = tuple(resource for resource in COUNTED if resource != "mappings")
WARM_UP = 12
CHECKPOINTS = 160
# A checkpoint's share of the time, as long as that leaves FEWEST of them.
OVERHEAD, FEWEST = 0.01, 96
# Judged from here on at each doubling of the calls; a leak ends the run, nothing else does.
FIRST_LOOK = 3_000
# The images of the first calls are kept, and one in so many later, so that their marks are looked at too.
KEPT_FIRST, KEPT_EVERY, KEPT_MOST = 48, 100, 300
# Works of one kind in a row, when it is asked which kind a growth follows.
FOLLOWED = 12
# And of each of these kinds, when it is asked which lines of Python hold what is left.
TRACED = 10
TELL_EVERY = 5.0
# More a call, in both phases and without fading, is no warm-up of an engine.
SUSPICIOUS = {"blocks": 0.9, "heap": 512.0}
TRACED_KINDS: tuple[Kind, ...] = ("unique", "refused")


@dataclass
class Soak:
    """What a soak measured; `seconds` by the judge's clock, in one worker from its start to its end.

    `measuring` are the seconds that its checkpoints took, `reference` what a stand-in that keeps nothing grew
    a call, `follows` by resource what each kind of call made it grow; `suspended` are seconds in which the
    machine slept, which are not among the others.
    """

    samples: list[Sample] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0
    collector_off: bool = False
    engine: str = "real"
    measuring: float = 0.0
    look: int = 1
    reference: float = 0.0
    capped: LeakVerdict | None = None
    inside: list[tuple[int, Inside]] = field(default_factory=list)
    follows: dict[str, dict[Kind, float]] = field(default_factory=dict)
    errors: int = 0
    attribution: Attribution | None = None
    suspended: float = 0.0

    @property
    def memory(self) -> LeakVerdict:
        if self.capped is not None and self.capped.resource == "memory":
            return self.capped
        return judge_memory(self.samples, MEMORY_BUDGET, MEMORY_SLACK, self.reference, self.look)

    @property
    def mappings(self) -> LeakVerdict:
        """Mapped regions, which are memory that may not have been touched."""
        return judge_counts(self.samples, "mappings", self.look)

    @property
    def handles(self) -> list[LeakVerdict]:
        judged = [judge_counts(self.samples, resource, self.look) for resource in HANDLES]
        capped = self.capped
        return [capped if capped and verdict.resource == capped.resource else verdict for verdict in judged]

    @property
    def verdicts(self) -> list[LeakVerdict]:
        return [self.memory, self.mappings, *self.handles]

    @property
    def suspicions(self) -> list[LeakVerdict]:
        """What the worker counts of itself and that rises as a leak does; threads and files that pile up
        would explain it.
        """
        if worst(self.handles) == "LEAK":
            return []
        told = judge_inside(self.samples, SUSPICIOUS, self.look)
        return [verdict for verdict in told if verdict.verdict == "LEAK"]

    @property
    def undecided(self) -> bool:
        return bool(self.suspicions) or any(verdict.verdict == "UNDECIDED" for verdict in self.verdicts)

    @property
    def overhead(self) -> float:
        """The share of the time that measuring took."""
        return self.measuring / self.seconds if self.seconds else 0.0


def seconds_slept() -> float:
    """Seconds in which the machine was suspended since its start: Linux's boot clock went on, no other."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC) if boot is not None else 0.0


def soak(
    plugin: RemotePlugin,
    draw: Draw,
    profile: Profile,
    note: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    instant: bool = False,
    slept: Callable[[], float] = seconds_slept,
) -> Soak:
    """Soaks the plugin in a worker of its own for the profile's time or calls, whichever ends first.

    What is undecided then gets as much again, once; a leak that is sure ends it before. With `instant` the
    engine's networks are left out. Faults of the candidate end the soak and are raised.
    """
    with plugin.soaking(instant) as worker:
        workload = Workload(draw)
        seconds = profile.instant_seconds if instant else profile.soak_seconds
        calls = profile.instant_calls if instant else profile.soak_calls
        run = _Run(worker, workload, seconds, calls, note, clock, "instant" if instant else "real")
        run.warm_up()
        before = slept()
        for stretch in (1, 2):
            run.go_on(stretch)
            if not run.done.undecided or run.leaks:
                break
        run.done.suspended = slept() - before
        if run.leaks:
            run.follow()
    return run.done


class _Run:
    def __init__(
        self,
        worker: SoakedWorker,
        workload: Workload,
        seconds: float,
        calls: int,
        note: Callable[[str], None],
        clock: Callable[[], float],
        engine: str,
    ) -> None:
        self.done = Soak(engine=engine)
        self._worker, self._workload, self._works = worker, workload, iter(workload)
        self._seconds, self._calls = seconds, calls
        self._note, self._clock = note, clock
        self._latencies: list[float] = []
        self._dearest = 0.0
        self._told, self._so_far = 0.0, ""

    @property
    def leaks(self) -> bool:
        return worst(self.done.verdicts) == "LEAK"

    def warm_up(self) -> None:
        for _ in range(WARM_UP):
            self._do(next(self._works), keep=False)
        self._worker.freeze()
        self.done.errors = 0
        self._started = self._clock()

    def go_on(self, stretch: int) -> None:
        """Until the end of this stretch, a sure leak at a look, or a cap."""
        done = self.done
        last_call, last_time = done.calls, self._clock()
        next_look = FIRST_LOOK
        while done.seconds < stretch * self._seconds and done.calls < stretch * self._calls:
            work = next(self._works)
            keep = self.done.engine == "real" and _is_kept(done.calls + 1)
            before = self._clock()
            self._do(work, keep)
            now = self._clock()
            done.calls += len(work.requests)
            done.seconds = now - self._started
            if work.kind == "unique":
                self._latencies.append(now - before)
            if not self._is_due(done.calls - last_call, now - last_time):
                continue
            last_call, last_time = done.calls, now
            self._checkpoint()
            self._tell(stretch)
            done.capped = passed_cap(done.samples[0], done.samples[-1])
            if done.capped is not None:
                return
            if done.calls >= next_look:
                if self.leaks:
                    return
                next_look *= 2
                done.look += 1

    def _tell(self, stretch: int) -> None:
        """How far it is, and every few seconds what it looks like."""
        done = self.done
        if done.seconds - self._told >= TELL_EVERY:
            self._told, memory = done.seconds, done.memory
            self._so_far = f", so far {worst(done.verdicts)}, {amount(memory.rate, 'memory')} a call"
            if memory.r_min is not None:
                self._so_far += f", sees {amount(memory.r_min, 'memory')}"
        far = f"{done.calls} calls, {done.seconds:.0f} of {stretch * self._seconds:.0f} s"
        self._note(far + self._so_far)

    def follow(self) -> None:
        """Which kinds of calls make grow what leaks: some of each kind alone, measured before and after."""
        worker, done = self._worker, self.done
        names = names_held(worker.pid, worker.folder)
        leaking = [verdict.resource for verdict in done.verdicts if verdict.verdict == "LEAK"]
        self.done.follows = {resource: {} for resource in leaking}
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
                done.follows[resource][kind] = grown / count
        now = names_held(worker.pid, worker.folder)
        named = {resource: grown_names(names[resource], now[resource]) for resource in names}
        done.attribution = Attribution({name: found for name, found in named.items() if name in leaking})
        if "memory" in leaking:
            done.attribution = replace(done.attribution, **self._trace())

    def _trace(self) -> dict[str, Any]:
        """Where Python allocated what some more calls left behind, and how much memory they took in all."""
        before = self._sample()
        self._worker.trace()
        for _ in range(TRACED):
            for kind in TRACED_KINDS:
                self._do(self._workload.of(kind), keep=False)
        after = self._sample()
        return {
            "sites": self._worker.trace(),
            "calls": TRACED * len(TRACED_KINDS),
            "grown": after.memory - before.memory,
        }

    def _is_due(self, calls: int, seconds: float) -> bool:
        if calls >= self._calls / CHECKPOINTS and seconds >= self._dearest / OVERHEAD:
            return True
        fewest = min(self._seconds / FEWEST, 10.0)
        return calls >= self._calls / FEWEST or seconds >= min(
            fewest, max(self._seconds / CHECKPOINTS, self._dearest / OVERHEAD)
        )

    def _checkpoint(self) -> None:
        started = self._clock()
        self.done.samples.append(self._sample())
        took = self._clock() - started
        self.done.measuring += took
        self._dearest = max(self._dearest, took) if len(self.done.samples) < 3 else self._dearest

    def _sample(self) -> Sample:
        done = self.done
        told = self._worker.quiesce()
        done.collector_off = not told.collector or done.collector_off
        done.inside.append((done.calls, told))
        latency = median(self._latencies) if self._latencies else 0.0
        self._latencies.clear()
        worker = self._worker
        sample = sample_tree(worker.pid, done.calls, done.seconds, worker.folder)
        return replace(sample, latency=latency, errors=done.errors, blocks=told.blocks, heap=told.heap)

    def _do(self, work: Work, keep: bool) -> None:
        if work.kind == "together":
            self.done.errors += self._worker.together(list(work.requests))
        elif work.kind == "cancelled":
            self._worker.cancelled(work.requests[0], GIVEN_UP_AFTER)
        elif work.kind == "refused":
            with suppress(CallRefused):
                self._worker.call(work.requests[0])
            self.done.errors += 1
        else:
            self._worker.call(work.requests[0], keep=keep and work.kind != "sizes")


def _is_kept(call: int) -> bool:
    return call <= KEPT_FIRST or (call % KEPT_EVERY == 0 and call // KEPT_EVERY <= KEPT_MOST)
