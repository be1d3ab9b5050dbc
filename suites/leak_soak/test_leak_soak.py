"""One soak serves the three requirements; each judges its own resources."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from certify.checks import Broken, NotEvidenced, requirement
from certify.context import RunContext
from certify.draw import Draw
from certify.evidence import EvidenceBox
from certify.host.faults import CandidateFault
from certify.host.remote import RemotePlugin
from certify.instruments.leaks import LeakVerdict, Sample
from certify.soak import WARM_UP, Soak, soak

DAY = 86_400.0
KIB, MIB = 1 << 10, 1 << 20


class Once:
    """The soak of this run, or the fault that ended it; made at the first asking."""

    def __init__(self) -> None:
        self.measured: Soak | None = None
        self.fault: CandidateFault | None = None

    def get(self, run: RunContext, plugin: RemotePlugin, note: Callable[[str], None]) -> Soak:
        if self.fault is not None:
            raise self.fault
        if self.measured is None:
            try:
                self.measured = soak(plugin, Draw(run.seed, "leak.memory"), run.profile, note)
            except CandidateFault as fault:
                self.fault = fault
                raise
        return self.measured


@pytest.fixture(scope="module")
def once() -> Once:
    return Once()


@pytest.fixture
def soaked(once: Once, run: RunContext, plugin: RemotePlugin, note: Callable[[str], None]) -> Soak:
    return once.get(run, plugin, note)


@requirement("leak.memory")
def test_memory_does_not_grow_with_calls(
    soaked: Soak, evidence: EvidenceBox, claim: Callable[[str], None]
) -> None:
    verdict = soaked.memory
    start = soaked.samples[0].rss_anon if soaked.samples else 0
    curve = [(float(row.call), (row.rss_anon - start) / MIB) for row in soaked.samples]
    evidence.curve("memory", "calls", "MiB above the start", curve, _summary(verdict))
    if soaked.collector_off:
        evidence.value("garbage collector", "switched off by the plugin")
    if verdict.r_min is not None:
        claim(
            f"soak: {soaked.seconds:.0f} s, {soaked.calls} calls after {WARM_UP} of warm-up, "
            f"images of 64 x 64; smallest leak it could see: {verdict.r_min / KIB:.1f} KiB a call"
        )
    _judge([verdict])


@requirement("leak.handles")
def test_files_threads_and_processes_do_not_pile_up(soaked: Soak, evidence: EvidenceBox) -> None:
    for verdict in soaked.counts:
        growth = f"{verdict.verdict}, {verdict.rate:.3g} a call"
        evidence.value(verdict.resource, growth)
        if verdict.verdict != "CLEAN":
            evidence.curve(
                verdict.resource, "calls", verdict.resource, _counted(soaked.samples, verdict.resource)
            )
    _judge(soaked.counts)


@requirement("leak.full-day")
def test_a_day_without_a_leak(soaked: Soak) -> None:
    if soaked.seconds < DAY:
        raise NotEvidenced(f"This run soaked for {soaked.seconds:.0f} s; a claim of 24 hours takes 24 hours.")
    _judge([soaked.memory, *soaked.counts])


def _judge(verdicts: list[LeakVerdict]) -> None:
    leaking = [verdict for verdict in verdicts if verdict.verdict == "LEAK"]
    if leaking:
        raise Broken("; ".join(f"{verdict.resource}: {verdict.reason}" for verdict in leaking))
    undecided = [verdict for verdict in verdicts if verdict.verdict == "UNDECIDED"]
    if undecided:
        told = "; ".join(f"{verdict.resource}: {verdict.reason}" for verdict in undecided)
        raise NotEvidenced(f"Undecided after this many calls: {told}. A longer profile decides.")


def _summary(verdict: LeakVerdict) -> str:
    return f"{verdict.verdict}: {verdict.rate / KIB:.2f} KiB a call in the second half. {verdict.reason}"


def _counted(samples: list[Sample], resource: str) -> list[tuple[float, float]]:
    return [(float(row.call), float(getattr(row, resource))) for row in samples]
