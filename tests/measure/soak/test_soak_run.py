"""The soak of a run, beside other requirements or when it is first asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from certify.measure.soak import soak_run
from certify.measure.soak.segment import Segment
from certify.measure.soak.soak_run import SoakRun
from certify.measure.soak.strata import Strata
from certify.sandbox.host.faults import WorkerEnded
from certify.sandbox.host.ledger import Ledger

Soak = Callable[..., Strata]


class Plugin:
    """A plugin with a ledger, and a twin that has another."""

    def __init__(self) -> None:
        self.ledger = Ledger(requirement="sdk.same-seed")
        self.closed = False

    def twin(self, requirement: str) -> Plugin:
        twin = Plugin()
        twin.ledger.requirement = requirement
        return twin

    def close(self) -> None:
        self.closed = True


def run_of(monkeypatch: pytest.MonkeyPatch, soak: Soak) -> tuple[SoakRun, Plugin]:
    monkeypatch.setattr(soak_run, "soak_all", soak)
    manifest = SimpleNamespace(plugin=SimpleNamespace(cache_entries=7))
    measurement = SimpleNamespace(
        seed="1", profile=None, out=Path(), candidate=SimpleNamespace(manifest=manifest)
    )
    plugin = Plugin()
    return SoakRun(cast(Any, plugin), cast(Any, measurement), lambda _: None), plugin


def counting(plugin: Plugin, *_: object) -> Strata:
    plugin.ledger.calls += 3
    plugin.ledger.faults.append((plugin.ledger.requirement, WorkerEnded("away")))
    return Strata(Segment(engine=threading.current_thread().name), cache_entries=cast(int, _[-1]))


def test_beside_the_others_it_works_in_a_thread_with_a_ledger_that_is_added_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soak, plugin = run_of(monkeypatch, counting)
    soak.start()
    soak.start()
    first = soak.result()
    # Each requirement that calls the plugin has it started; it is done only once.
    soak.start()
    again = soak.result()
    assert (first.real.engine, first.cache_entries, again is first) == ("soak", 7, True)
    assert plugin.ledger.calls == 3
    assert [name for name, _ in plugin.ledger.faults] == ["leak.memory"]


def test_without_a_start_it_works_when_its_result_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    soak, plugin = run_of(monkeypatch, counting)
    assert soak.result().real.engine == threading.current_thread().name
    assert [name for name, _ in plugin.ledger.faults] == ["sdk.same-seed"]


@pytest.mark.parametrize("beside", [True, False])
def test_the_fault_that_ended_it_is_raised_for_each_requirement(
    monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    def ends(*_: object) -> Strata:
        raise WorkerEnded("ended by SIGSEGV")

    soak, _ = run_of(monkeypatch, ends)
    if beside:
        soak.start()
    for _ in range(2):
        with pytest.raises(WorkerEnded, match="SIGSEGV"):
            soak.result()


def test_a_run_that_is_over_ends_it_at_its_next_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def lasting(
        plugin: Plugin, root: str, profile: object, note: Callable[[str], None], *_: object
    ) -> Strata:
        while True:
            note("still soaking")
            begun.set()
            time.sleep(0.01)

    soak, _ = run_of(monkeypatch, lasting)
    soak.start()
    assert begun.wait(10)
    soak.end()
    assert not any(thread.name == "soak" for thread in threading.enumerate())
