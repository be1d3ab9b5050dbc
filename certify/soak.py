"""The soak: calls without end, measured from outside in the quiet between two calls.

What counts is the number of calls, since a leak that each call feeds shows after calls and not after hours;
only hours show what a clock feeds. So a run claims exactly what it did.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from certify.draw import Draw
from certify.host.faults import CallRefused
from certify.host.remote import RemotePlugin, SoakedWorker
from certify.instruments.leaks import LeakVerdict, Resource, Sample, judge_counts, judge_memory
from certify.instruments.resources import sample_tree
from certify.profiles import Profile

WARM_UP = 12
CHECKPOINTS = 160
REPEATED = 8
# Every so many calls one that is refused, for what leaks on the error path alone.
REFUSED_EVERY = 20
# The images of the first calls are kept, and one in so many later, so that their marks are looked at too.
KEPT_FIRST, KEPT_EVERY, KEPT_MOST = 48, 100, 300
COUNTED: tuple[Resource, ...] = ("fds", "threads", "children", "files", "file_bytes")


@dataclass
class Soak:
    """What a soak measured; `seconds` by the judge's clock, in one worker from its start to its end."""

    samples: list[Sample] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0
    collector_off: bool = False

    @property
    def memory(self) -> LeakVerdict:
        return judge_memory(self.samples)

    @property
    def counts(self) -> list[LeakVerdict]:
        return [judge_counts(self.samples, resource) for resource in COUNTED]

    @property
    def undecided(self) -> bool:
        return any(verdict.verdict == "UNDECIDED" for verdict in (self.memory, *self.counts))


def soak(
    plugin: RemotePlugin,
    draw: Draw,
    profile: Profile,
    note: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Soak:
    """Soaks the plugin in a worker of its own for the profile's time or calls, whichever ends first.

    What is undecided then gets as much again, once. Faults of the candidate end the soak and are raised.
    """
    with plugin.soaking() as worker:
        requests = _requests(draw)
        for request in itertools.islice(requests, WARM_UP):
            _call(worker, request, keep=False)
        worker.freeze()
        done = Soak()
        started = clock()
        for stretch in (1, 2):
            _run(worker, requests, done, stretch, profile, note, clock, started)
            if len(done.samples) and not done.undecided:
                break
    return done


def _run(
    worker: SoakedWorker,
    requests: Iterator[dict[str, Any]],
    done: Soak,
    stretch: int,
    profile: Profile,
    note: Callable[[str], None],
    clock: Callable[[], float],
    started: float,
) -> None:
    last_call, last_time = done.calls, clock()
    while done.seconds < stretch * profile.soak_seconds and done.calls < stretch * profile.soak_calls:
        done.calls += 1
        _call(worker, next(requests), keep=_is_kept(done.calls))
        now = clock()
        done.seconds = now - started
        due_by_calls = done.calls - last_call >= profile.soak_calls / CHECKPOINTS
        if due_by_calls or now - last_time >= profile.soak_seconds / CHECKPOINTS:
            last_call, last_time = done.calls, now
            _checkpoint(worker, done)
            note(f"{done.calls} calls, {done.seconds:.0f} of {stretch * profile.soak_seconds:.0f} s")


def _checkpoint(worker: SoakedWorker, done: Soak) -> None:
    done.collector_off = not worker.quiesce() or done.collector_off
    done.samples.append(sample_tree(worker.pid, done.calls, done.seconds, worker.folder))


def _is_kept(call: int) -> bool:
    return call <= KEPT_FIRST or (call % KEPT_EVERY == 0 and call // KEPT_EVERY <= KEPT_MOST)


def _call(worker: SoakedWorker, request: dict[str, Any], keep: bool) -> None:
    expected = request["steps"] < 5
    try:
        worker.call(request, keep=keep and not expected)
    except CallRefused:
        if not expected:
            raise


def _requests(draw: Draw) -> Iterator[dict[str, Any]]:
    """Unique requests, a small set that comes again and again, and some that are refused."""
    repeated = [draw.request() for _ in range(REPEATED)]
    for number in itertools.count(1):
        if number % REFUSED_EVERY == 0:
            yield draw.request(steps=4)
        elif number % 3 == 0:
            yield draw.random.choice(repeated)
        else:
            yield draw.request()
