"""Soaks one engine: runs segments until one of them is as long as the profile requires."""

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
    """Soaks the plugin with requests drawn from the seed `root`; returns all segments of the `journal`.

    A complete segment in the journal is not measured again. If the harness or the machine interrupted a
    segment, a new one starts with the full time, because the profile requires time without a break. If the
    plugin ended a segment, which is a separate finding, another one uses the remaining time; after the
    number of segments in the profile the fault is raised. With `instant` the engine's networks are left out.
    """
    target = _target(profile, instant)
    left = target.seconds
    lost = 0
    while not any(segment.whole for segment in journal.segments):
        segment = Segment(engine="instant" if instant else "real", aim=left, began=time.time())
        draws = Draws(root, "leak.memory", f"{segment.engine} {len(journal.segments)}")
        try:
            with plugin.soaking(instant) as worker:
                rest = SoakTarget(left, target.calls)
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


def _target(profile: Profile, instant: bool) -> SoakTarget:
    if instant:
        return SoakTarget(profile.instant_seconds, profile.instant_calls)
    return SoakTarget(profile.soak_seconds, profile.soak_calls)
