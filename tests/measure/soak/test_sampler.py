"""The soak: how long, how often it is measured, what ends it. The plugin and the clock are made up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from certify.instruments.leaks.judge import MIN_SAMPLES, Sample
from certify.measure.soak import sampler as room
from certify.measure.soak.journal import SoakJournal
from certify.measure.soak.runner import soak
from certify.measure.soak.sampler import KEPT_FIRST, WARM_UP
from certify.measure.soak.segment import Segment
from certify.measure.soak.workload import KINDS
from certify.plan.profiles import Profile
from certify.sandbox.host.faults import CandidateFault, PluginError, TimedOut, WorkerEnded
from certify.sandbox.host.replies import AllocationSite, WorkerState

Reading = Callable[[int], int]


class Worker:
    """Answers each call after `pace` seconds of a clock of its own; `on_call` may raise."""

    pid, folder = 1, Path()

    def __init__(self, pace: float, on_call: Callable[[int, dict[str, Any]], None]) -> None:
        self.pace, self.on_call = pace, on_call
        self.now = 0.0
        self.requests: list[dict[str, Any]] = []
        self.kept: list[int] = []
        self.frozen_after = self.quiet = 0
        self.collector = True
        self.blocks: Reading = lambda number: 1

    def call(self, request: dict[str, Any], keep: bool = False) -> None:
        self.requests.append(request)
        self.now += self.pace
        if keep:
            self.kept.append(len(self.requests) - WARM_UP)
        if request["steps"] < 5:
            raise PluginError("too few", code="ERR_INVALID_PARAMETER")
        self.on_call(len(self.requests), request)

    def freeze(self) -> None:
        self.frozen_after = len(self.requests)

    def together(self, requests: list[dict[str, Any]]) -> int:
        for request in requests:
            self.call(request)
        return 0

    def cancelled(self, request: dict[str, Any], after: float) -> None:
        self.call(request)

    def trace(self) -> list[AllocationSite]:
        return [AllocationSite(place="/plugin/keeper.py:7", count=20, bytes=40_000)]

    def quiesce(self) -> WorkerState:
        self.quiet += 1
        return WorkerState(
            collector=self.collector, blocks=self.blocks(len(self.requests)), heap=1, tasks=0, cuda=0
        )

    def clock(self) -> float:
        return self.now


class Plugin:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.closed = False

    @contextmanager
    def soaking(self, instant: bool = False) -> Iterator[Worker]:
        try:
            yield self.worker
        finally:
            self.closed = True


@pytest.fixture
def soaked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Segment, Worker]]:
    """Soaks a made-up plugin whose memory and open files follow the given readings of the call."""

    def run(
        seconds: float = 15,
        calls: int = 600,
        pace: float = 0.001,
        memory: Reading = lambda call: 1 << 28,
        fds: Reading = lambda call: 9,
        on_call: Callable[[int, dict[str, Any]], None] = lambda number, request: None,
        note: Callable[[str], None] = lambda text: None,
        collector: bool = True,
        blocks: Reading = lambda number: 1,
        slept: Callable[[], float] = lambda: 0.0,
        read: Callable[[int, int, float, Path], Sample] | None = None,
    ) -> tuple[Segment, Worker]:
        monkeypatch.setattr(
            room,
            "sample_tree",
            read
            or (
                lambda pid, call, now, folder: Sample(
                    call, now, rss_anon=memory(call), fds=fds(call), threads=1
                )
            ),
        )
        worker = Worker(pace, on_call)
        worker.collector, worker.blocks = collector, blocks
        plugin = Plugin(worker)
        (tmp_path / "soak.ndjson").unlink(missing_ok=True)
        profile = Profile("quick", "L1", soak_seconds=seconds, soak_calls=calls)
        try:
            with closing(SoakJournal(tmp_path / "soak.ndjson", worker.clock)) as journal:
                (segment,) = soak(
                    plugin,  # type: ignore[arg-type]
                    "1",
                    profile,
                    note,
                    journal,
                    clock=worker.clock,
                    slept=slept,
                )
            return segment, worker
        finally:
            assert plugin.closed

    return run


Soaked = Callable[..., tuple[Segment, Worker]]


def test_a_fast_plugin_is_soaked_for_the_profiles_calls(soaked: Soaked) -> None:
    done, worker = soaked()
    assert done.calls == 600
    assert len(worker.requests) == 600 + WARM_UP
    assert done.seconds == pytest.approx(0.6)


def test_a_slow_plugin_is_soaked_for_the_profiles_time(soaked: Soaked) -> None:
    done, _ = soaked(pace=0.1)
    assert done.seconds == pytest.approx(15, abs=0.2)
    assert done.calls == pytest.approx(150, abs=2)


@pytest.mark.parametrize("pace", [0.001, 0.02, 0.1, 0.25])
def test_there_are_enough_checkpoints_to_judge_by(soaked: Soaked, pace: float) -> None:
    done, worker = soaked(pace=pace)
    assert MIN_SAMPLES <= len(done.samples) <= 2 * room.CHECKPOINTS
    assert worker.quiet == len(done.samples)
    calls = [sample.call for sample in done.samples]
    assert calls == sorted(set(calls))
    assert not done.undecided


def test_warm_up_is_not_counted_and_what_lives_then_is_frozen(soaked: Soaked) -> None:
    done, worker = soaked(calls=60)
    assert worker.frozen_after == WARM_UP
    assert done.samples[0].call == 1


def test_clean_resources_are_clean(soaked: Soaked) -> None:
    done, _ = soaked()
    assert {verdict.verdict for verdict in (done.memory, *done.handles)} == {"CLEAN"}


def test_a_leak_is_seen(soaked: Soaked) -> None:
    done, _ = soaked(memory=lambda call: (1 << 28) + call * (64 << 10), fds=lambda call: 9 + call // 10)
    assert done.memory.verdict == "LEAK"
    assert {verdict.resource: verdict.verdict for verdict in done.handles}["fds"] == "LEAK"


def test_an_undecided_soak_gets_as_much_again_once(soaked: Soaked) -> None:
    # It grows in the second half of the first stretch alone: that may be anything.
    done, _ = soaked(memory=lambda call: (1 << 28) + max(0, call - 300) * (64 << 10))
    assert done.calls == 1200
    assert done.memory.verdict == "LEAK"


def test_a_soak_that_stays_undecided_ends_after_the_second_stretch(soaked: Soaked) -> None:
    # It fades, as a cache does that takes ever longer to fill.
    done, _ = soaked(memory=lambda call: (1 << 28) + int(8e6 * math.log(call)))
    assert done.calls == pytest.approx(1200, abs=2)
    assert done.undecided


def test_a_busy_machine_gets_the_time_for_enough_samples(soaked: Soaked) -> None:
    done, _ = soaked(pace=0.5)
    assert len(done.samples) == MIN_SAMPLES
    assert 15 < done.seconds < 30


def test_a_plugin_that_is_too_slow_to_judge_ends_the_soak_in_four_times_the_time(soaked: Soaked) -> None:
    done, _ = soaked(pace=5.0)
    assert done.seconds == pytest.approx(60, abs=16)
    assert len(done.samples) < MIN_SAMPLES
    assert done.undecided


def test_a_decided_soak_is_not_extended(soaked: Soaked) -> None:
    done, _ = soaked(calls=300)
    assert done.calls == 300


def test_some_requests_are_to_be_refused_and_refusing_them_is_no_fault(soaked: Soaked) -> None:
    done, worker = soaked()
    refused = [request for request in worker.requests if request["steps"] < 5]
    # Of 20 works one is refused, and one is three calls.
    assert len(refused) == pytest.approx(len(worker.requests) / 22, abs=1)
    assert 600 <= done.calls <= 602


def test_some_requests_come_again_and_most_are_new(soaked: Soaked) -> None:
    _, worker = soaked()
    seeds = [request["seed"] for request in worker.requests]
    assert 0.6 < len(set(seeds)) / len(seeds) < 0.8


def test_a_refused_valid_request_ends_the_soak(soaked: Soaked) -> None:
    def refuse(number: int, request: dict[str, Any]) -> None:
        if number == 101:
            raise PluginError("not today")

    with pytest.raises(PluginError, match="not today"):
        soaked(on_call=refuse)


@pytest.mark.parametrize("fault", [WorkerEnded("killed by SIGSEGV"), TimedOut("no answer")])
def test_a_fault_ends_the_soak_at_once(soaked: Soaked, fault: CandidateFault) -> None:
    numbers = []

    def fail(number: int, request: dict[str, Any]) -> None:
        numbers.append(number)
        if number > 50:
            raise fault

    with pytest.raises(type(fault)):
        soaked(on_call=fail)
    assert numbers[-1] in (51, 52)


def test_early_images_and_a_few_later_ones_are_kept(soaked: Soaked) -> None:
    _, worker = soaked()
    early = [call for call in worker.kept if call <= KEPT_FIRST]
    assert KEPT_FIRST - 16 <= len(early) <= KEPT_FIRST
    assert set(worker.kept) - set(early) <= {100, 200, 300, 400, 500, 600}
    assert len(worker.kept) > len(early)


def test_a_collector_that_is_switched_off_is_told(soaked: Soaked) -> None:
    assert soaked(collector=False)[0].collector_off
    assert not soaked()[0].collector_off


def test_how_far_it_is_is_told_at_each_checkpoint(soaked: Soaked) -> None:
    notes: list[str] = []
    done, _ = soaked(pace=0.1, note=notes.append)
    assert len(notes) == len(done.samples)
    assert notes[0].startswith(f"{done.samples[0].call} calls, ")
    assert notes[-1].startswith("CLEAN ▁▁▁▁▁▁▁▁ 0 B a call, sees ")
    assert notes[-1].endswith(f", {done.calls} calls, 0 s left")


def test_time_in_which_the_machine_slept_is_told(soaked: Soaked) -> None:
    sleeps = iter([100.0, 130.0])
    assert soaked(slept=lambda: next(sleeps))[0].suspended == 30


def test_a_process_that_stands_where_the_worker_was_is_not_measured_for_it(
    monkeypatch: pytest.MonkeyPatch, soaked: Soaked
) -> None:
    starts = iter([7.0] * 20)
    monkeypatch.setattr(room, "process_start", lambda pid: next(starts, 8.0))
    with pytest.raises(WorkerEnded, match="another process"):
        soaked()


def test_a_reading_that_fails_by_chance_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, soaked: Soaked
) -> None:
    usual = iter([OSError("gone"), OSError("gone")])

    def flaky(pid: int, call: int, now: float, folder: Path) -> Sample:
        for error in usual:
            raise error
        return Sample(call, now, rss_anon=1 << 28, threads=1)

    assert soaked(read=flaky)[0].memory.verdict == "CLEAN"


def test_what_the_worker_counts_of_itself_adds_suspicion_and_no_verdict(soaked: Soaked) -> None:
    done, _ = soaked(blocks=lambda number: 1000 + 5 * number)
    assert [verdict.resource for verdict in done.suspicions] == ["blocks"]
    assert done.calls >= 1200, "what is suspicious gets as much again"
    assert done.memory.verdict == "CLEAN"


def test_handles_that_pile_up_explain_what_the_worker_counts(soaked: Soaked) -> None:
    done, _ = soaked(blocks=lambda number: 1000 + 5 * number, fds=lambda call: 9 + call // 10)
    assert done.suspicions == []


def test_a_worker_that_nearly_exhausts_what_it_may_hold_ends_the_soak(soaked: Soaked) -> None:
    done, _ = soaked(fds=lambda call: 9 + 20 * call)
    assert done.calls < 100
    assert {verdict.resource for verdict in done.handles if verdict.verdict == "LEAK"} == {"fds"}


def test_a_sure_leak_ends_a_long_soak_at_the_first_look(soaked: Soaked) -> None:
    done, _ = soaked(calls=24_000, seconds=1e6, memory=lambda call: (1 << 28) + call * 5000)
    assert done.calls < 4 * room.FIRST_LOOK + 1000
    assert done.memory.verdict == "LEAK"


def test_a_leak_is_followed_to_the_kind_of_call_that_feeds_it(soaked: Soaked) -> None:
    done, _ = soaked(memory=lambda call: (1 << 28) + call * (64 << 10))
    assert set(done.follows["memory"]) == set(KINDS)
    assert done.attribution is not None
    assert done.attribution.sites[0].place == "/plugin/keeper.py:7"


def test_a_size_that_is_refused_is_no_end_of_the_soak(soaked: Soaked) -> None:
    def refuse(number: int, request: dict[str, Any]) -> None:
        if request.get("width", 64) != 64:
            raise PluginError("64 wide alone")

    done, _ = soaked(on_call=refuse)
    assert done.calls >= 600
    assert done.samples[-1].errors > 600 / 22


def test_a_leak_stays_found_when_the_worker_ends_while_it_is_followed(soaked: Soaked) -> None:
    def end(number: int, request: dict[str, Any]) -> None:
        # 600 calls, warm-up and the works that hold more than one.
        if number > 600 + WARM_UP + 20:
            raise WorkerEnded("killed by SIGSEGV")

    done, _ = soaked(memory=lambda call: (1 << 28) + call * (64 << 10), on_call=end)
    assert done.memory.verdict == "LEAK"
    assert done.whole
    assert done.attribution is None
