"""The isolation level is measured, and never higher than what was seen to be stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.record.results import Act, Isolation
from certify.sandbox.host import host as launch
from certify.sandbox.host import isolation
from certify.sandbox.host.host import Host
from certify.sandbox.host.isolation import level_of, measure_isolation
from certify.terms.isolation import LEVELS

L1, L2, L3 = isolation.L1_ACTS, isolation.L2_ACTS, isolation.L3_ACTS
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")


def acts(*stopped: str) -> list[Act]:
    """Every act of the self-test, of which those named were stopped."""
    return [Act(act=name, stopped=name in stopped) for name in (*L1, *L2, *L3)]


def test_levels_come_from_what_was_stopped() -> None:
    assert level_of([]) == "L0"
    assert level_of(acts()) == "L0"
    assert level_of(acts(*L1)) == "L1"
    assert level_of(acts(*L1, *L2[:-1])) == "L1"
    assert level_of(acts(*L1, *L2)) == "L2"
    assert level_of(acts(*L1, *L2, *L3[:-1])) == "L2"
    assert level_of(acts(*L1, *L2, *L3)) == "L3"
    assert level_of(acts(*L1, *L3)) == "L1"
    assert level_of(acts(*L2)) == "L0"


@pytest.mark.parametrize("missing", [*L1, *L2, *L3])
def test_one_act_that_was_not_stopped_lowers_the_level(missing: str) -> None:
    level = level_of(acts(*(name for name in (*L1, *L2, *L3) if name != missing)))
    assert level == ("L0" if missing in L1 else "L1" if missing in L2 else "L2")


@given(st.sets(st.sampled_from([*L1, *L2, *L3])), st.sampled_from([*L1, *L2, *L3]))
def test_more_that_is_stopped_never_lowers_the_level(stopped: set[str], more: str) -> None:
    before, after = level_of(acts(*stopped)), level_of(acts(*stopped, more))
    assert LEVELS.index(before) <= LEVELS.index(after)


def test_an_act_that_was_not_tried_does_not_count_as_stopped() -> None:
    assert level_of([act for act in acts(*L1, *L2) if act.act != L1[0]]) == "L0"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Path, Isolation]]:
    scratch = tmp_path_factory.mktemp("isolation")
    with Host(scratch / "host", warm=False) as host:
        yield host, scratch, measure_isolation(host, scratch, "L2")


@on_linux
def test_this_machine_gives_level_1_at_least_and_tells_every_act(
    measured: tuple[Host, Path, Isolation],
) -> None:
    _, _, isolation = measured
    assert [act.act for act in isolation.acts] == [*L1, *L2, *L3]
    assert isolation.level in ("L1", "L2", "L3")
    assert isolation.demanded == "L2"


@on_linux
def test_the_level_is_measured_once_a_host(measured: tuple[Host, Path, Isolation]) -> None:
    host, scratch, first = measured
    again = measure_isolation(host, scratch / "not-used", "L1")
    assert (again.acts, again.demanded) == (first.acts, "L1")


@on_linux
def test_the_limit_on_processes_is_seen_to_work(measured: tuple[Host, Path, Isolation]) -> None:
    crowd = next(act for act in measured[2].acts if "fork" in act.act)
    assert crowd.stopped
    assert "processes, limit 64" in crowd.note


@on_linux
def test_a_worker_that_gets_our_environment_is_level_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = launch.worker_environment
    monkeypatch.setattr(launch, "worker_environment", lambda folder: {**os.environ, **clean(folder)})
    with Host(tmp_path / "host", warm=False) as host:
        isolation = measure_isolation(host, tmp_path, "L1")
    assert isolation.level == "L0"
    assert not next(act for act in isolation.acts if act.act == "see the judge's environment").stopped


@on_linux
def test_the_decoy_leaves_our_environment_with_the_host(tmp_path: Path) -> None:
    with Host(tmp_path / "host", warm=False) as host:
        assert host.decoy in os.environ
    assert host.decoy not in os.environ
