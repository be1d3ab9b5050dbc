"""The canary and the reference: the same loop on a plugin of the harness, with readings made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from certify.instruments.leaks.judge import Sample
from certify.measure.randomness import Draws
from certify.measure.soak import canary
from certify.measure.soak.segment import Segment
from certify.measure.soak.strata import Strata
from certify.sandbox.host.replies import WorkerState

BASE = 1 << 28


class StandIn:
    """Holds `leak` bytes of each call; `seen` says how much of it a reading shows."""

    pid, folder = 1, Path()

    def __init__(self, seen: float, creep: int) -> None:
        self.seen, self.creep = seen, creep
        self.leak = self.calls = self.closed = 0

    def stand_in(self, leak: int) -> StandIn:
        self.leak = leak
        return self

    @contextmanager
    def soaking(self) -> Iterator[StandIn]:
        yield self

    def call(self, request: dict[str, Any]) -> None:
        self.calls += 1

    def freeze(self) -> None: ...

    def quiesce(self) -> WorkerState:
        return WorkerState(collector=True, blocks=0, heap=0, tasks=0, cuda=0)

    def close(self) -> None:
        self.closed += 1

    def read(self, pid: int, call: int, seconds: float, folder: Path) -> Sample:
        return Sample(call, seconds, rss_anon=BASE + int((self.leak * self.seen + self.creep) * call))


def a_soak(calls: int = 6_000, samples: int = 100) -> Segment:
    rows = [Sample(calls * number // samples, 0.0, rss_anon=BASE) for number in range(1, samples + 1)]
    return Segment(samples=rows, calls=calls, seconds=60.0)


@pytest.fixture
def draws() -> Draws:
    return Draws("1", "leak.memory", "canary")


def readings(monkeypatch: pytest.MonkeyPatch, seen: float, creep: int = 0) -> StandIn:
    plugin = StandIn(seen, creep)
    monkeypatch.setattr(canary, "sample_tree", plugin.read)
    return plugin


@pytest.mark.parametrize("calls", [100, 600, 6_000, 1_000_000])
def test_what_is_planted_is_found_in_fewer_calls(
    monkeypatch: pytest.MonkeyPatch, draws: Draws, calls: int
) -> None:
    plugin = readings(monkeypatch, seen=1.0)
    done = a_soak(calls)
    verdict = canary.plant(plugin, draws, done)  # type: ignore[arg-type]
    assert verdict is not None
    assert verdict.verdict == "LEAK"
    assert verdict.rate == pytest.approx(4 * (done.memory.r_min or 0), rel=0.05)
    assert plugin.calls <= canary.MAX_CALLS + 12
    assert plugin.closed == 1


def test_a_soak_that_sees_nothing_does_not_see_what_is_planted(
    monkeypatch: pytest.MonkeyPatch, draws: Draws
) -> None:
    verdict = canary.plant(readings(monkeypatch, seen=0.0), draws, a_soak())  # type: ignore[arg-type]
    assert verdict is not None
    assert verdict.verdict == "CLEAN"
    assert Strata(a_soak(), canaries={"real": verdict}).blind == ["real"]


def test_a_soak_without_a_smallest_leak_plants_nothing(monkeypatch: pytest.MonkeyPatch, draws: Draws) -> None:
    plugin = readings(monkeypatch, seen=1.0)
    assert canary.plant(plugin, draws, a_soak(samples=20)) is None  # type: ignore[arg-type]
    assert plugin.calls == 0


def test_what_the_harness_itself_grows_by_is_the_reference(
    monkeypatch: pytest.MonkeyPatch, draws: Draws
) -> None:
    plugin = readings(monkeypatch, seen=1.0, creep=500)
    assert canary.compare(plugin, draws, a_soak(192)) == pytest.approx(500, rel=0.05)  # type: ignore[arg-type]
