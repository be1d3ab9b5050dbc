"""Loading and unloading: opens the plugin repeatedly in one worker, calls it once, and closes it."""

from __future__ import annotations

import time
from collections.abc import Callable

from certify.instruments.leaks.resources import sample_tree
from certify.measure.randomness import Draws
from certify.measure.soak.sampler import WARM_UP
from certify.measure.soak.segment import Segment
from certify.measure.soak.workload import Workload
from certify.sandbox.host.plugin import RemotePlugin

# The first loads fill caches that later loads use.
WARM_LOADS = 4


def soak_loads(plugin: RemotePlugin, draws: Draws, loads: int, note: Callable[[str], None]) -> Segment:
    """Makes `loads` loads with a sample after each. Raises faults of the candidate."""
    segment = Segment(engine="loads", began=time.time())
    workload = Workload(draws)
    with plugin.soaking() as worker:
        for _ in range(WARM_UP):
            worker.call(workload.of("unique").requests[0])
        for _ in range(WARM_LOADS):
            worker.reload(workload.of("unique").requests[0])
        worker.freeze()
        started = time.monotonic()
        for load in range(1, loads + 1):
            before = time.monotonic()
            worker.reload(workload.of("unique").requests[0])
            latency = time.monotonic() - before
            worker.quiesce()
            segment.calls, segment.seconds = load, time.monotonic() - started
            # Without the worker's own counts: libraries that load weights leak a few objects per load
            # (safetensors 0.8: two per tensor), which is not a fault of the plugin.
            segment.samples.append(sample_tree(worker.pid, load, segment.seconds, worker.folder, latency))
            note(f"{load} of {loads} loads")
    segment.whole = True
    return segment
