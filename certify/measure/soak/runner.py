"""The soak of one engine: segments, one after another, until one of them is as long as the profile asks."""

from __future__ import annotations

import time
from collections.abc import Callable

from certify.measure.randomness import Draws
from certify.measure.soak.journal import SoakJournal
from certify.measure.soak.sampler import SegmentSampler, SoakTarget, seconds_slept
from certify.measure.soak.segment import Segment
from certify.measure.soak.workload import Workload
from certify.plan.profiles import Profile
from certify.sandbox.host.faults import CandidateFault, PluginError
from certify.sandbox.host.plugin import RemotePlugin


def soak(
    plugin: RemotePlugin,
    root: str,
    profile: Profile,
    note: Callable[[str], None],
    journal: SoakJournal,
    instant: bool = False,
    clock: Callable[[], float] = time.monotonic,
    slept: Callable[[], float] = seconds_slept,
) -> list[Segment]:
    """Soaks the plugin, with requests drawn from the seed `root`; gives all segments of the `journal`.

    A segment that the journal has whole is not measured again. One that the harness or the machine cut short
    begins anew for the whole time, since what is asked for is time without a break. After one that the
    plugin ended itself, which is a finding of its own, another uses what is left of the time, as often as
    the profile says; then the fault is raised. With `instant` the engine's networks are left out.
    """
    aim = _aim(profile, instant)
    left = aim.seconds
    lost = 0
    while not any(segment.whole for segment in journal.segments):
        segment = Segment(engine="instant" if instant else "real", aim=left, began=time.time())
        draws = Draws(root, "leak.memory", f"{segment.engine} {len(journal.segments)}")
        try:
            with plugin.soaking(instant) as worker:
                rest = SoakTarget(left, aim.calls)
                SegmentSampler(segment, worker, Workload(draws), rest, journal, note, clock, slept).run()
        except CandidateFault as fault:
            segment.ended = fault.message
            left -= segment.seconds
            lost += 1
            if segment.samples:
                journal.end(segment)
            if isinstance(fault, PluginError) or lost >= profile.segments or left <= 0:
                raise
        else:
            journal.end(segment)
    return journal.segments


def _aim(profile: Profile, instant: bool) -> SoakTarget:
    if instant:
        return SoakTarget(profile.instant_seconds, profile.instant_calls)
    return SoakTarget(profile.soak_seconds, profile.soak_calls)
