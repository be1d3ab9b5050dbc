"""Checks whether a soak can detect a leak, and how much of the growth comes from the harness.

The same loop runs on a stand-in plugin with a planted leak of four times the smallest leak that the soak
claims to detect, or with no leak. Fewer calls are enough, because the same growth in as many samples gives
the same verdict."""

from __future__ import annotations

from dataclasses import replace

from certify.instruments.leaks.judge import LeakVerdict, Sample, judge_memory
from certify.instruments.leaks.resources import sample_tree
from certify.measure.randomness import Draws
from certify.measure.soak.sampler import WARM_UP
from certify.measure.soak.segment import Segment
from certify.measure.soak.workload import KINDS, Workload
from certify.sandbox.host.plugin import RemotePlugin

TIMES = 4
MAX_CALLS, MAX_SAMPLES = 192, 64


def plant(plugin: RemotePlugin, draws: Draws, done: Segment) -> LeakVerdict | None:
    """The verdict on a planted leak; None where the soak claims no smallest leak."""
    r_min = done.memory.r_min
    if r_min is None:
        return None
    calls = min(done.calls, MAX_CALLS)
    leak = round(TIMES * r_min * done.calls / calls)
    return judge_memory(_measure(plugin, draws, leak, calls, done.calls), look=done.look)


def compare(plugin: RemotePlugin, draws: Draws, done: Segment) -> float:
    """The growth in bytes per call of a stand-in without a leak in a soak of this length, at least 0."""
    calls = min(done.calls, MAX_CALLS)
    return max(0.0, judge_memory(_measure(plugin, draws, 0, calls, done.calls)).rate)


def _measure(plugin: RemotePlugin, draws: Draws, leak: int, calls: int, stands_for: int) -> list[Sample]:
    stand_in = plugin.stand_in(leak)
    samples: list[Sample] = []
    try:
        with stand_in.soaking() as worker:
            workload = Workload(draws)
            for _ in range(WARM_UP):
                worker.call(workload.of(KINDS[0]).requests[0])
            worker.freeze()
            every = calls / min(MAX_SAMPLES, calls)
            for call in range(1, calls + 1):
                worker.call(workload.of(KINDS[0]).requests[0])
                if call >= (len(samples) + 1) * every:
                    worker.quiesce()
                    sample = sample_tree(worker.pid, call, 0.0, worker.folder)
                    samples.append(replace(sample, call=round(call * stands_for / calls)))
    finally:
        stand_in.close()
    return samples
