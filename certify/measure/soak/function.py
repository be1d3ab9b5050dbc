"""Soaks a Python function in a forked process, measured from outside by the same rule as a plugin.

def test_thumbnails_do_not_leak(soak):
    soak(lambda: thumbnail(IMAGE))
"""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from certify.instruments.leaks.judge import LeakVerdict, Sample, judge_all, judge_inside, passed_cap, worst
from certify.instruments.leaks.resources import sample_tree
from certify.sandbox.heap import heap_counter

WARM_UP = 100
CALLS = 3_000
SAMPLES_A_LOOK = 120
# Bytes. A process without an engine grows far less by itself.
BUDGET, SLACK = 32.0, 32 << 10
# The growth per call of what the process counts itself; the user's own function is trusted.
INSIDE = {"blocks": 0.5, "heap": BUDGET}


class Leaks(AssertionError):
    """The function leaks; the message says what and how fast."""


class Undecided(AssertionError):
    """Something grew, but it may be a leak or a cache."""


@dataclass(frozen=True)
class FunctionSoak:
    """The verdicts after `calls` calls (and 100 warm-up calls)."""

    calls: int
    verdicts: list[LeakVerdict]

    @property
    def verdict(self) -> str:
        return worst(self.verdicts)


def soak_function(call: Callable[[], object], calls: int = CALLS) -> FunctionSoak:
    """Calls the function in a subprocess with a separate TMPDIR, and judges the growth.

    It judges after half of the `calls`, where a leak ends the soak, and at the end. An undecided result gets
    as many calls again. Calls that raise exceptions count too, because error paths can leak. Linux only
    (`runs_here`). Raises ChildProcessError where the process exits unexpectedly.
    """
    every = max(1, calls // SAMPLES_A_LOOK)
    samples: list[Sample] = []
    with _child(call) as child:
        child.do(WARM_UP)
        for look, until in enumerate((calls // 2, calls, 2 * calls), 1):
            while (done := samples[-1].call if samples else 0) < until:
                child.do(every)
                samples.append(child.sample(done + every))
                capped = passed_cap(samples[0], samples[-1])
                if capped is not None:
                    return FunctionSoak(samples[-1].call, [capped])
            verdicts = _judged(samples, look, calls)
            if worst(verdicts) == "LEAK" or (until >= calls and worst(verdicts) == "CLEAN"):
                break
    return FunctionSoak(samples[-1].call, verdicts)


def runs_here() -> bool:
    return hasattr(os, "fork") and Path("/proc/self/status").exists()


def _judged(samples: list[Sample], look: int, calls: int) -> list[LeakVerdict]:
    inside = judge_inside(samples, INSIDE, look)
    verdicts = judge_all(samples, BUDGET, SLACK, look=look)
    if verdicts[0].verdict == "LEAK":
        verdicts = judge_all(samples, BUDGET, SLACK, _reference(calls), look)
    return [*verdicts, *inside]


def _reference(calls: int) -> float:
    """The growth in bytes per call of an empty function."""
    every = max(1, calls // SAMPLES_A_LOOK)
    samples = []
    with _child(lambda: None) as child:
        child.do(WARM_UP)
        for number in range(1, SAMPLES_A_LOOK + 1):
            child.do(every)
            samples.append(child.sample(number * every))
    return max(0.0, judge_all(samples, BUDGET, SLACK)[0].rate)


class _Child:
    def __init__(self, pid: int, orders: int, answers: int, folder: Path) -> None:
        self.pid, self.folder = pid, folder
        self.blocks = self.heap = 0
        self._orders, self._answers = orders, answers

    def sample(self, call: int) -> Sample:
        outside = sample_tree(self.pid, call, 0.0, self.folder)
        return replace(outside, blocks=self.blocks, heap=self.heap)

    def do(self, count: int) -> None:
        """Makes `count` calls, then collects garbage and trims the heap."""
        try:
            os.write(self._orders, count.to_bytes(4, "little"))
            counts = os.read(self._answers, 16)
            if counts:
                self.blocks, self.heap = (int.from_bytes(counts[at : at + 8], "little") for at in (0, 8))
                return
        except BrokenPipeError:
            pass
        raise ChildProcessError("the soaked process exited unexpectedly")


@contextmanager
def _child(call: Callable[[], object]) -> Iterator[_Child]:
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    orders, ordering = os.pipe()
    answering, answers = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ordering)
        os.close(answering)
        _serve(call, orders, answers, folder)
    os.close(orders)
    os.close(answers)
    try:
        yield _Child(pid, ordering, answering, folder)
    finally:
        # It has its own process group, so that its children are killed too.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ordering)
        os.close(answering)
        shutil.rmtree(folder, ignore_errors=True)


def _serve(call: Callable[[], object], orders: int, answers: int, folder: Path) -> None:
    """Never returns."""
    os.setsid()
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    gc.collect()
    gc.freeze()
    libc, heap = ctypes.CDLL(None), heap_counter()
    try:
        while order := os.read(orders, 4):
            for _ in range(int.from_bytes(order, "little")):
                with suppress(Exception):
                    call()
            if gc.isenabled():
                gc.collect()
            with suppress(AttributeError):
                libc.malloc_trim(0)
            counts = (sys.getallocatedblocks(), heap())
            os.write(answers, b"".join(count.to_bytes(8, "little") for count in counts))
    finally:
        os._exit(0)


def check(call: Callable[[], object], calls: int = CALLS) -> FunctionSoak:
    """Soaks the function; raises Leaks or Undecided unless it is clean."""
    soak = soak_function(call, calls)
    bad = [verdict for verdict in soak.verdicts if verdict.verdict == soak.verdict]
    reasons = "; ".join(f"{verdict.resource}: {verdict.reason}" for verdict in bad)
    if soak.verdict == "LEAK":
        raise Leaks(f"after {soak.calls} calls, {reasons}")
    if soak.verdict == "UNDECIDED":
        raise Undecided(f"after {soak.calls} calls, {reasons}")
    return soak
