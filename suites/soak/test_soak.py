"""The soak runs once for the three requirements; each judges its own resources."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from certify.instruments.leaks.judge import LeakVerdict, Sample, amount, per_day
from certify.measure.checks import Broken, NotEvidenced, requirement
from certify.measure.soak.attribution import kind_of_growth
from certify.measure.soak.sampler import WARM_UP
from certify.measure.soak.segment import Segment, longest
from certify.measure.soak.soak_run import SoakRun
from certify.measure.soak.strata import BLIND_SPOTS, NO_LOADS, Strata
from certify.record.evidence import EvidenceBox
from certify.text import safe

DAY = 86_400.0
MIB = 1 << 20


@pytest.fixture
def soaked(soak: SoakRun) -> Strata:
    return soak.result()


@requirement("leak.memory")
def test_memory_does_not_grow_with_calls(
    soaked: Strata, evidence: EvidenceBox, claim: Callable[[str], None]
) -> None:
    for segment in soaked.all:
        _show_memory(segment, soaked, evidence)
        if segment.memory.r_min is not None:
            claim(_claim(segment, soaked.segments(segment.engine)))
    _show_segments(soaked, evidence)
    if soaked.without:
        evidence.value("instant engine", soaked.without)
    blind = BLIND_SPOTS if soaked.loads is not None else f"{NO_LOADS}; {BLIND_SPOTS}"
    evidence.text("What this soak cannot detect", blind)
    for segment in soaked.all:
        if segment.memory.verdict != "CLEAN" and soaked.fills_a_cache(segment):
            raise NotEvidenced(
                f"Memory grew, and the plugin declares a cache of {soaked.cache_entries} entries: "
                f"{segment.calls} calls of the {segment.engine} engine cannot fill it four times."
            )
    judged = [*soaked.all, *(segment for segment in soaked.earlier if segment.leaks)]
    _judge(
        [
            (segment.engine, verdict)
            for segment in judged
            for verdict in (segment.memory, segment.mappings, segment.gpu)
        ]
    )
    if soaked.short:
        raise NotEvidenced(soaked.short)
    if soaked.real.uses_gpu and not soaked.real.gpu_seen:
        raise NotEvidenced(
            "The plugin uses a GPU whose driver does not report the memory of single processes."
        )
    suspicions = [(segment.engine, verdict) for segment in soaked.all for verdict in segment.suspicions]
    if suspicions:
        raise NotEvidenced(f"Memory does not grow, but the worker's own counters do: {_listed(suspicions)}.")
    if soaked.blind:
        strata = " and ".join(soaked.blind)
        raise NotEvidenced(f"The soak did not detect the canary (a planted leak) of: {strata}.")


@requirement("leak.handles")
def test_files_threads_and_processes_do_not_accumulate(soaked: Strata, evidence: EvidenceBox) -> None:
    for segment in soaked.all:
        for verdict in segment.handles:
            name = f"{verdict.resource}, {segment.engine} engine"
            evidence.value(name, f"{verdict.verdict}, {verdict.rate:.3g} per call")
            if verdict.verdict != "CLEAN":
                evidence.curve(name, "calls", verdict.resource, _counted(segment.samples, verdict.resource))
                _show_kinds(segment, verdict.resource, evidence)
        rows = ([row[name] for name in Sample.columns()] for row in map(Sample.to_row, segment.samples))
        evidence.table(f"all samples, {segment.engine} engine", Sample.columns(), rows)
    judged = [*soaked.all, *(segment for segment in soaked.earlier if segment.leaks)]
    _judge([(segment.engine, verdict) for segment in judged for verdict in segment.handles])
    if soaked.short:
        raise NotEvidenced(soaked.short)


@requirement("leak.full-day")
def test_a_day_without_a_leak(soaked: Strata) -> None:
    real = soaked.real
    if real.seconds < DAY:
        raise NotEvidenced(
            f"This run soaked for {real.seconds:.0f} s without a break; a claim of 24 hours takes 24 hours."
        )
    if real.suspended > 1:
        raise NotEvidenced(f"The machine slept for {real.suspended:.0f} s during the soak.")
    _judge([(real.engine, verdict) for verdict in real.verdicts])


def _show_memory(segment: Segment, soaked: Strata, evidence: EvidenceBox) -> None:
    verdict, engine = segment.memory, f"{segment.engine} engine"
    start = segment.samples[0].memory if segment.samples else 0
    curve = [(float(row.call), (row.memory - start) / MIB) for row in segment.samples]
    unit = "loads" if segment.engine == "loads" else "calls"
    evidence.curve(
        f"memory, {engine}",
        unit,
        "MiB above the start",
        curve,
        _summary(verdict),
        _overlays(verdict, segment.samples),
    )
    evidence.value(f"share of time spent on measuring, {engine}", round(100 * segment.overhead, 1), "%")
    canary = soaked.canaries.get(segment.engine)
    if canary is not None:
        evidence.value(f"canary that leaks 4 r_min, {engine}", canary.verdict)
    if segment.reference:
        evidence.value(
            f"growth of a plugin without a leak, {engine}", round(segment.reference, 1), "bytes per call"
        )
    if segment.samples:
        quarter = max(1, len(segment.samples) // 4)
        early, late = segment.samples[:quarter], segment.samples[-quarter:]
        evidence.value(f"call time in the first quarter, {engine}", _milliseconds(early), "ms")
        evidence.value(f"call time in the last quarter, {engine}", _milliseconds(late), "ms")
    _show_kinds(segment, "memory", evidence)
    if segment.attribution is not None and "memory" in segment.follows:
        root = str(soaked.root)
        evidence.value(
            f"kind of growth, {engine}", kind_of_growth(segment.attribution, segment.follows["memory"])
        )
        lines = segment.attribution.lines(root)
        evidence.text(
            f"source lines that hold the memory, {engine}",
            "\n".join(lines) or "none in the plugin's Python code",
        )
    if segment.collector_off:
        evidence.value(f"garbage collector, {engine}", "switched off by the plugin")


def _overlays(verdict: LeakVerdict, samples: list[Sample]) -> dict[str, list[tuple[float, float]]]:
    """The floors of both phases, and the steepest growth in the second phase that counts as no leak."""
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
            f"{segment.engine} engine, started {_moment(segment.began)}: {segment.seconds:.0f} s, "
            f"{segment.calls} calls, " + (safe(segment.ended) if segment.ended else "complete")
            for engine in soaked.heads
            for segment in soaked.segments(engine)
        ]
        evidence.text("segments (their durations are not added up)", "\n".join(lines))
    for engine, head in soaked.heads.items():
        evidence.value(f"last hash of soak-{engine}.ndjson", head)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _show_kinds(segment: Segment, resource: str, evidence: EvidenceBox) -> None:
    if segment.attribution is not None and segment.attribution.named.get(resource):
        named = [f"{count} more of {safe(name)}" for name, count in segment.attribution.named[resource]]
        evidence.text(f"{resource} by name", "\n".join(named))
    for kind, rate in segment.follows.get(resource, {}).items():
        evidence.value(f"{resource} by calls of kind {kind}", f"{amount(rate, resource)} per call")


def _milliseconds(samples: list[Sample]) -> float:
    timed = sorted(row.latency for row in samples if row.latency)
    return round(1000 * timed[len(timed) // 2], 1) if timed else 0.0


def _claim(segment: Segment, segments: list[Segment]) -> str:
    r_min = segment.memory.r_min or 0.0
    detects = f"smallest leak that it could detect: {amount(r_min, 'memory')}"
    if segment.engine == "loads":
        return f"soak, loading: {segment.calls} times loaded, called and closed; {detects} per load"
    cut = ""
    if len(segments) > 1:
        hours = sum(row.seconds for row in segments) / 3600
        most = longest(segments) / 3600
        cut = f" (the last of {len(segments)} segments, {hours:.1f} h in total; the longest {most:.1f} h)"
    return (
        f"soak, {segment.engine} engine: {segment.seconds:.0f} s{cut}, {segment.calls} calls after "
        f"{WARM_UP} of warm-up, images of 64 x 64; {detects} per call "
        f"({per_day(r_min, 'memory')} in 24 h at one call every 5 s)"
    )


def _judge(verdicts: list[tuple[str, LeakVerdict]]) -> None:
    leaking = [row for row in verdicts if row[1].verdict == "LEAK"]
    if leaking:
        raise Broken(_listed(leaking))
    undecided = [row for row in verdicts if row[1].verdict == "UNDECIDED"]
    if undecided:
        raise NotEvidenced(f"Undecided: {_listed(undecided)}. Run a longer profile, or add --soak.")


def _listed(verdicts: list[tuple[str, LeakVerdict]]) -> str:
    return "; ".join(
        f"{verdict.resource}: {verdict.reason} ({engine} engine)" for engine, verdict in verdicts
    )


def _summary(verdict: LeakVerdict) -> str:
    return (
        f"{verdict.verdict}: {amount(verdict.rate, 'memory')} per call in the second half. {verdict.reason}"
    )


def _counted(samples: list[Sample], resource: str) -> list[tuple[float, float]]:
    return [(float(row.call), float(getattr(row, resource))) for row in samples]
