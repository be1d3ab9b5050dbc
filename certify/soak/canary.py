"""Whether a soak could have seen a leak, and whether what it saw is the harness's own.

The same loop is run on a plugin of the harness: with a planted leak of four times the smallest that the soak
claims to see, or with none. Fewer calls do, since the same growth in as many samples is the same finding.
"""

from __future__ import annotations

from dataclasses import replace

from certify.draw import Draw
from certify.host.plugin import RemotePlugin
from certify.instruments.leaks import LeakVerdict, Sample, judge_memory
from certify.instruments.resources import sample_tree
from certify.soak.measure import WARM_UP
from certify.soak.segment import Segment
from certify.soak.workload import KINDS, Workload

TIMES = 4
MOST_CALLS, MOST_SAMPLES = 192, 64


def plant(plugin: RemotePlugin, draw: Draw, done: Segment) -> LeakVerdict | None:
    """The judgement on a planted leak; None where the soak has no smallest leak to prove."""
    r_min = done.memory.r_min
    if r_min is None:
        return None
    calls = min(done.calls, MOST_CALLS)
    leak = round(TIMES * r_min * done.calls / calls)
    return judge_memory(_measure(plugin, draw, leak, calls, done.calls), look=done.look)


def compare(plugin: RemotePlugin, draw: Draw, done: Segment) -> float:
    """Bytes a call that a plugin which keeps nothing grows by in a soak as long as this one, at least 0."""
    calls = min(done.calls, MOST_CALLS)
    return max(0.0, judge_memory(_measure(plugin, draw, 0, calls, done.calls)).rate)


def _measure(plugin: RemotePlugin, draw: Draw, leak: int, calls: int, stands_for: int) -> list[Sample]:
    stand_in = plugin.stand_in(leak)
    samples: list[Sample] = []
    try:
        with stand_in.soaking() as worker:
            workload = Workload(draw)
            for _ in range(WARM_UP):
                worker.call(workload.of(KINDS[0]).requests[0])
            worker.freeze()
            every = calls / min(MOST_SAMPLES, calls)
            for call in range(1, calls + 1):
                worker.call(workload.of(KINDS[0]).requests[0])
                if call >= (len(samples) + 1) * every:
                    worker.quiesce()
                    sample = sample_tree(worker.pid, call, 0.0, worker.folder)
                    samples.append(replace(sample, call=round(call * stands_for / calls)))
    finally:
        stand_in.close()
    return samples
