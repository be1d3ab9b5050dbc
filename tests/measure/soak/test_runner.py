"""Segments: which are measured anew after a break, and which stand. Plugin and clock are made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from certify.instruments.leaks.judge import Sample
from certify.measure.soak import sampler as measure
from certify.measure.soak.journal import INTERRUPTED, SoakJournal
from certify.measure.soak.runner import soak
from certify.measure.soak.segment import Segment, longest
from certify.measure.soak.strata import Strata
from certify.plan.profiles import PROFILES, Profile
from certify.sandbox.host.faults import CandidateFault, TimedOut, WorkerEnded
from certify.sandbox.host.replies import WorkerState

HOUR = 3600.0
DAY = 24 * HOUR
CERTIFIED = PROFILES["certified"]


class Harness(BaseException):
    """The harness is killed: nothing of it is run any more."""


class Plugin:
    """Ten minutes a call by a clock of its own; its worker ends at these hours, by what is raised."""

    pid, folder = 1, Path()

    def __init__(self, ends: dict[float, BaseException]) -> None:
        self.now, self.ends = 0.0, ends
        self.started = 0
        self.seeds: list[int] = []

    @contextmanager
    def soaking(self, instant: bool = False) -> Iterator[Plugin]:
        self.started += 1
        yield self

    def call(self, request: dict[str, Any], keep: bool = False) -> None:
        self.seeds.append(request["seed"])
        self.now += 600
        for hour in [hour for hour in self.ends if self.now >= hour * HOUR]:
            raise self.ends.pop(hour)

    def together(self, requests: list[dict[str, Any]]) -> int:
        for request in requests:
            self.call(request)
        return 0

    def cancelled(self, request: dict[str, Any], after: float) -> None:
        self.call(request)

    def freeze(self) -> None: ...

    def quiesce(self) -> WorkerState:
        return WorkerState(collector=True, blocks=1, heap=1, tasks=0, cuda=0)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        measure,
        "sample_tree",
        lambda pid, call, now, folder: Sample(call, now, rss_anon=1 << 28, fds=9, threads=1),
    )
    return tmp_path / "soak-real.ndjson"


def run(path: Path, plugin: Plugin, profile: Profile = CERTIFIED) -> list[Segment]:
    with closing(SoakJournal(path, lambda: plugin.now)) as journal:
        return list(
            soak(
                plugin,  # type: ignore[arg-type]
                "1",
                profile,
                lambda text: None,
                journal,
                clock=lambda: plugin.now,
                slept=lambda: 0.0,
            )
        )


def test_a_day_is_one_segment_of_twenty_four_hours(path: Path) -> None:
    (segment,) = run(path, Plugin({}))
    assert segment.whole
    assert segment.seconds == pytest.approx(DAY, rel=0.03)
    assert {verdict.verdict for verdict in segment.verdicts} == {"CLEAN"}


def test_a_soak_that_was_interrupted_begins_anew_for_the_whole_time(path: Path) -> None:
    plugin = Plugin({20: Harness()})
    with pytest.raises(Harness):
        run(path, plugin)
    first, second = run(path, plugin)
    assert first.ended == INTERRUPTED
    assert 15 * HOUR < first.seconds < 20 * HOUR
    assert second.whole
    assert second.seconds == pytest.approx(DAY, rel=0.03)
    assert longest([first, second]) == second.seconds


def test_a_soak_that_came_to_its_end_is_not_measured_again(path: Path) -> None:
    plugin = Plugin({})
    before = run(path, plugin)
    calls = len(plugin.seeds)
    assert run(path, plugin) == before
    assert len(plugin.seeds) == calls
    assert plugin.started == 1


def test_another_segment_draws_other_requests(path: Path) -> None:
    plugin = Plugin({10: Harness()})
    with pytest.raises(Harness):
        run(path, plugin)
    before = set(plugin.seeds)
    plugin.seeds.clear()
    run(path, plugin)
    assert not before & set(plugin.seeds)


@pytest.mark.parametrize("fault", [WorkerEnded("killed by SIGSEGV"), TimedOut("no answer")])
def test_after_a_lost_worker_the_rest_of_the_time_is_soaked(path: Path, fault: CandidateFault) -> None:
    first, second = run(path, Plugin({10: fault}))
    assert first.ended == fault.message
    assert first.seconds + second.seconds == pytest.approx(DAY, rel=0.03)
    strata = Strata(second, earlier=[first], seconds=DAY)
    assert fault.message in strata.short
    assert strata.segments("real") == [first, second]


def test_a_plugin_that_ends_each_hour_is_given_up(path: Path) -> None:
    plugin = Plugin({hour: WorkerEnded("killed by SIGKILL") for hour in range(3, 48)})
    with pytest.raises(WorkerEnded):
        run(path, plugin)
    assert plugin.started == CERTIFIED.segments


def test_a_short_profile_ends_with_the_first_lost_worker(path: Path) -> None:
    plugin = Plugin({2.2: WorkerEnded("killed by SIGKILL")})
    with pytest.raises(WorkerEnded):
        run(path, plugin, Profile("quick", "L1", soak_seconds=DAY, soak_calls=10_000))
    assert plugin.started == 1


def test_a_whole_segment_is_not_short(path: Path) -> None:
    (segment,) = run(path, Plugin({}))
    assert Strata(segment, seconds=DAY).short == ""
