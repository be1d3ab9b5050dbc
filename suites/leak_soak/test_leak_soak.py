"""One soak serves the three requirements; each judges its own resources."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from certify.checks import Broken, NotEvidenced, requirement
from certify.context import Measurement
from certify.evidence import EvidenceBox
from certify.host.faults import CandidateFault
from certify.host.plugin import RemotePlugin
from certify.instruments.leaks import LeakVerdict, Sample, amount, per_day
from certify.progress import safe
from certify.soak.attribution import kind_of_growth
from certify.soak.measure import WARM_UP
from certify.soak.segment import Segment, longest
from certify.soak.strata import BLIND_SPOTS, NO_LOADS, Strata, soak_all

DAY = 86_400.0
MIB = 1 << 20


class Once:
    """The soak of this run, or the fault that ended it; made at the first asking."""

    def __init__(self) -> None:
        self.measured: Strata | None = None
        self.fault: CandidateFault | None = None

    def get(self, measurement: Measurement, plugin: RemotePlugin, note: Callable[[str], None]) -> Strata:
        if self.fault is not None:
            raise self.fault
        if self.measured is None:
            try:
                self.measured = soak_all(
                    plugin,
                    measurement.seed,
                    measurement.profile,
                    note,
                    measurement.out,
                    _declared(measurement),
                )
            except CandidateFault as fault:
                self.fault = fault
                raise
        return self.measured


def _declared(measurement: Measurement) -> int:
    return measurement.candidate.manifest.plugin.cache_entries or 0


@pytest.fixture(scope="module")
def once() -> Once:
    return Once()


@pytest.fixture
def soaked(once: Once, measurement: Measurement, plugin: RemotePlugin, note: Callable[[str], None]) -> Strata:
    return once.get(measurement, plugin, note)


@requirement("leak.memory")
def test_memory_does_not_grow_with_calls(
    soaked: Strata, evidence: EvidenceBox, claim: Callable[[str], None]
) -> None:
    for one in soaked.all:
        _show_memory(one, soaked, evidence)
        if one.memory.r_min is not None:
            claim(_claim(one, soaked.segments(one.engine)))
    _show_segments(soaked, evidence)
    if soaked.without:
        evidence.value("instant engine", soaked.without)
    blind = BLIND_SPOTS if soaked.loads is not None else f"{NO_LOADS}; {BLIND_SPOTS}"
    evidence.text("What this soak cannot see", blind)
    for one in soaked.all:
        if one.memory.verdict != "CLEAN" and soaked.fills_a_cache(one):
            told = f"{one.calls} calls of the {one.engine} engine cannot fill it four times"
            raise NotEvidenced(f"It declares a cache of {soaked.cache_entries} entries, and grew: {told}.")
    judged = [*soaked.all, *(one for one in soaked.earlier if one.leaks)]
    _judge([(one.engine, verdict) for one in judged for verdict in (one.memory, one.mappings, one.gpu)])
    if soaked.short:
        raise NotEvidenced(soaked.short)
    if soaked.real.uses_gpu and not soaked.real.gpu_seen:
        raise NotEvidenced("It works on a GPU, whose driver does not tell what its processes hold.")
    suspicions = [(one.engine, verdict) for one in soaked.all for verdict in one.suspicions]
    if suspicions:
        told = "; ".join(f"{one.resource}: {one.reason} ({engine} engine)" for engine, one in suspicions)
        raise NotEvidenced(f"Memory stands still, but what the worker counts of itself does not: {told}.")
    if soaked.blind:
        told = " and ".join(soaked.blind)
        raise NotEvidenced(f"A leak that was planted beside the plugin's {told} soak was not found.")


@requirement("leak.handles")
def test_files_threads_and_processes_do_not_pile_up(soaked: Strata, evidence: EvidenceBox) -> None:
    for one in soaked.all:
        for verdict in one.handles:
            name = f"{verdict.resource}, {one.engine} engine"
            evidence.value(name, f"{verdict.verdict}, {verdict.rate:.3g} a call")
            if verdict.verdict != "CLEAN":
                evidence.curve(name, "calls", verdict.resource, _counted(one.samples, verdict.resource))
                _show_kinds(one, verdict.resource, evidence)
        rows = ([row[name] for name in Sample.columns()] for row in map(Sample.to_row, one.samples))
        evidence.table(f"all samples, {one.engine} engine", Sample.columns(), rows)
    judged = [*soaked.all, *(one for one in soaked.earlier if one.leaks)]
    _judge([(one.engine, verdict) for one in judged for verdict in one.handles])
    if soaked.short:
        raise NotEvidenced(soaked.short)


@requirement("leak.full-day")
def test_a_day_without_a_leak(soaked: Strata) -> None:
    real = soaked.real
    if real.seconds < DAY:
        told = f"This run soaked for {real.seconds:.0f} s without a break"
        raise NotEvidenced(f"{told}; a claim of 24 hours takes 24 hours.")
    if real.suspended > 1:
        raise NotEvidenced(f"The machine slept for {real.suspended:.0f} s in the midst of the soak.")
    _judge([(real.engine, verdict) for verdict in real.verdicts])


def _show_memory(one: Segment, soaked: Strata, evidence: EvidenceBox) -> None:
    verdict, engine = one.memory, f"{one.engine} engine"
    start = one.samples[0].memory if one.samples else 0
    curve = [(float(row.call), (row.memory - start) / MIB) for row in one.samples]
    unit = "loads" if one.engine == "loads" else "calls"
    evidence.curve(
        f"memory, {engine}",
        unit,
        "MiB above the start",
        curve,
        _summary(verdict),
        _overlays(verdict, one.samples),
    )
    evidence.value(f"time spent on measuring, {engine}", round(100 * one.overhead, 1), "%")
    canary = soaked.canaries.get(one.engine)
    if canary is not None:
        evidence.value(f"planted leak of 4 times the smallest, {engine}", canary.verdict)
    if one.reference:
        evidence.value(f"a plugin that keeps nothing, {engine}", round(one.reference, 1), "bytes a call")
    if one.samples:
        quarter = max(1, len(one.samples) // 4)
        early, late = one.samples[:quarter], one.samples[-quarter:]
        evidence.value(f"calls at first, {engine}", _milliseconds(early), "ms each")
        evidence.value(f"calls at last, {engine}", _milliseconds(late), "ms each")
    _show_kinds(one, "memory", evidence)
    if one.attribution is not None and "memory" in one.follows:
        root = str(soaked.root)
        evidence.value(f"what it is, {engine}", kind_of_growth(one.attribution, one.follows["memory"]))
        lines = one.attribution.lines(root)
        evidence.text(f"lines that hold it, {engine}", "\n".join(lines) or "none of the plugin's own Python")
    if one.collector_off:
        evidence.value(f"garbage collector, {engine}", "switched off by the plugin")


def _overlays(verdict: LeakVerdict, samples: list[Sample]) -> dict[str, list[tuple[float, float]]]:
    """The floors of both phases, and the steepest growth from the second phase on that is no leak."""
    if not verdict.floors or verdict.r_min is None:
        return {}
    half = (samples[0].call + samples[-1].call) / 2
    floors = [(float(call), (floor - samples[0].memory) / MIB) for call, floor in verdict.floors]
    first = [place for place in floors if place[0] <= half]
    second = [place for place in floors if place[0] > half]
    (begin, height), (end, _) = second[0], second[-1]
    budget = [(begin, height), (end, height + verdict.r_min * (end - begin) / MIB)]
    return {"floors, phase one": first, "floors, phase two": second, "budget": budget}


def _show_segments(soaked: Strata, evidence: EvidenceBox) -> None:
    if soaked.earlier:
        lines = [
            f"{one.engine} engine, begun {_moment(one.began)}: {one.seconds:.0f} s, {one.calls} calls, "
            + (safe(one.ended) if one.ended else "whole")
            for engine in soaked.heads
            for one in soaked.segments(engine)
        ]
        evidence.text("segments, which never add up to one", "\n".join(lines))
    for engine, head in soaked.heads.items():
        evidence.value(f"last hash of soak-{engine}.ndjson", head)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _show_kinds(one: Segment, resource: str, evidence: EvidenceBox) -> None:
    if one.attribution is not None and one.attribution.named.get(resource):
        named = [f"{count} more of {safe(name)}" for name, count in one.attribution.named[resource]]
        evidence.text(f"{resource} by name", "\n".join(named))
    for kind, rate in one.follows.get(resource, {}).items():
        evidence.value(f"{resource} by calls of kind {kind}", f"{amount(rate, resource)} a call")


def _milliseconds(samples: list[Sample]) -> float:
    timed = sorted(row.latency for row in samples if row.latency)
    return round(1000 * timed[len(timed) // 2], 1) if timed else 0.0


def _claim(one: Segment, segments: list[Segment]) -> str:
    r_min = one.memory.r_min or 0.0
    sees = f"smallest leak it could see: {amount(r_min, 'memory')}"
    if one.engine == "loads":
        return f"soak, loading: {one.calls} times loaded, called and let go; {sees} a load"
    cut = ""
    if len(segments) > 1:
        hours = sum(segment.seconds for segment in segments) / 3600
        most = longest(segments) / 3600
        cut = f" (of {len(segments)} segments of {hours:.1f} h in all the last; the longest {most:.1f} h)"
    return (
        f"soak, {one.engine} engine: {one.seconds:.0f} s{cut}, {one.calls} calls after {WARM_UP} of warm-up, "
        f"images of 64 x 64; {sees} a call ({per_day(r_min, 'memory')} in 24 h of a call every 5 s)"
    )


def _judge(verdicts: list[tuple[str, LeakVerdict]]) -> None:
    leaking = [(engine, one) for engine, one in verdicts if one.verdict == "LEAK"]
    if leaking:
        raise Broken("; ".join(f"{one.resource}: {one.reason} ({engine} engine)" for engine, one in leaking))
    undecided = [(engine, one) for engine, one in verdicts if one.verdict == "UNDECIDED"]
    if undecided:
        told = "; ".join(f"{one.resource}: {one.reason} ({engine} engine)" for engine, one in undecided)
        raise NotEvidenced(f"Undecided after this many calls: {told}. A longer profile decides.")


def _summary(verdict: LeakVerdict) -> str:
    return f"{verdict.verdict}: {amount(verdict.rate, 'memory')} a call in the second half. {verdict.reason}"


def _counted(samples: list[Sample], resource: str) -> list[tuple[float, float]]:
    return [(float(row.call), float(getattr(row, resource))) for row in samples]
