"""Where a wall cannot be built the next weaker jail is taken, said and measured; where a keeper is killed it
is reported, and nothing runs on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from certify.sandbox.host import host as launch
from certify.sandbox.host.faults import HostError, WorkerEnded
from certify.sandbox.host.grants import jail_of
from certify.sandbox.host.host import Host
from certify.sandbox.host.isolation import IN_SIGHT, measure_isolation
from certify.sandbox.host.session import Session, load_candidate
from certify.sandbox.jail.plan import ROOT, Jail
from certify.terms.isolation import LEVELS
from tests.made_up import ENTRY, PUPPET
from tests.sandbox.host.test_session import living, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")
Patch = pytest.MonkeyPatch


def without_a_place_for_a_root(folder: Path, *given: Any) -> Jail:
    """A jail whose namespaces cannot be furnished."""
    jail = jail_of(folder, *given)
    (folder / ROOT).rmdir()
    return jail


def without_walls(jail: Jail) -> list[Jail]:
    return [replace(jail, namespaces=False, landlock=False, seccomp=False, user=None)]


def below(level: str, other: str) -> bool:
    return LEVELS.index(level) < LEVELS.index(other)


def test_where_namespaces_cannot_be_built_the_level_sinks_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(launch, "jail_of", without_a_place_for_a_root)
    with Host(tmp_path / "host", warm=False) as host:
        isolation = measure_isolation(host, tmp_path, "L2")
    assert "own namespaces" not in isolation.walls
    assert "own namespaces" in isolation.lacks[0] and f"/{ROOT}" in isolation.lacks[0]
    assert below(isolation.level, "L3")
    assert IN_SIGHT in isolation.unseen
    assert not next(act for act in isolation.acts if act.act == "see the judge's process").stopped


def test_where_nothing_can_be_built_no_level_above_1_is_claimed(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(launch, "jail_of", without_a_place_for_a_root)
    monkeypatch.setattr(launch, "weaker", without_walls)
    with Host(tmp_path / "host", warm=False) as host:
        isolation = measure_isolation(host, tmp_path, "L2")
    assert isolation.walls == "a process of its own alone"
    assert below(isolation.level, isolation.demanded), "which makes the verdict INCOMPLETE"
    assert len(isolation.lacks) == 1


def test_a_worker_that_dies_before_its_walls_stand_costs_that_jail(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    # Too few for the thread that hands the filter over.
    monkeypatch.setattr(launch, "MAX_THREADS", 0)
    with Host(tmp_path / "host", warm=False) as host:
        session = Session(host, tmp_path / "worker")
        session.end()
        assert "before its walls stood" in host.lacks[0]
        assert host.walls != host.lacks[0].partition(":")[0]


def test_where_no_jail_at_all_stands_there_is_no_worker(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(launch, "jail_of", without_a_place_for_a_root)
    monkeypatch.setattr(launch, "weaker", lambda jail: [jail])
    with Host(tmp_path / "host", warm=False) as host:
        supervisor = psutil.Process(host._system._supervisor.pid)  # type: ignore[attr-defined]
        for _ in range(2):
            with pytest.raises(HostError, match="no worker could be started"):
                Session(host, tmp_path / "worker")
        pids = [row.pid for row in supervisor.children(recursive=True)]
    wait_until_gone(pids, 5)


def test_after_the_level_was_measured_no_weaker_jail_is_taken(tmp_path: Path, monkeypatch: Patch) -> None:
    with Host(tmp_path / "host", warm=False) as host:
        measured = measure_isolation(host, tmp_path, "L2")
        monkeypatch.setattr(launch, "jail_of", without_a_place_for_a_root)
        if "own namespaces" not in measured.walls:
            pytest.skip(f"no namespaces can be built here: {measured.lacks}")
        with pytest.raises(HostError, match="could not be built again"):
            Session(host, tmp_path / "worker")


def without_namespaces(folder: Path, *given: Any) -> Jail:
    return replace(jail_of(folder, *given), namespaces=False)


@pytest.fixture(params=["all walls", "no namespaces"])
def hung(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Patch) -> Iterator[Callable[..., None]]:
    """Kills one of a hung worker's keepers; the call comes back within half of its deadline, by an error."""
    if request.param == "no namespaces":
        monkeypatch.setattr(launch, "jail_of", without_namespaces)
    with Host(tmp_path / "host", warm=False) as host:
        session = Session(host, tmp_path / "worker", readable=[str(PUPPET)])
        body = {"root": str(PUPPET), "kind": "native", "entry": ENTRY, "config": {}}
        load_candidate(session, 30, **body, allowed=[])
        supervisor = psutil.Process(host._system._supervisor.pid)  # type: ignore[attr-defined]
        victims = {
            "supervisor": supervisor.pid,
            "nursery": supervisor.children()[0].pid,
            "keeper": session.pid,
        }

        def ask(victim: str, deadline: float = 60) -> None:
            if request.param == "all walls" or victim != "supervisor":
                # Without namespaces, and without its supervisor, a daemon is nobody's.
                session.ask("generate", 30, request={"prompt": "daemon"})
            pids = [row.pid for row in supervisor.children(recursive=True)]
            threading.Timer(0.3, os.kill, (victims[victim], signal.SIGKILL)).start()
            started = time.monotonic()
            try:
                session.ask("generate", deadline, request={"prompt": "hang"})
            finally:
                assert time.monotonic() - started < deadline / 2
                session.end()
                wait_until_gone(pids[1:] if victim == "keeper" else pids, 5)
                assert not living([victims[victim]])

        yield ask
        if not host.lost:
            assert Session(host, tmp_path / "next").ask("quiesce", 30).body["ok"]
        else:
            with pytest.raises(HostError, match=host.lost[:20]):
                Session(host, tmp_path / "next")


def test_a_killed_keeper_is_a_worker_that_ended(hung: Callable[..., None]) -> None:
    with pytest.raises(WorkerEnded, match="killed by SIGKILL"):
        hung("keeper")


@pytest.mark.parametrize("victim", ["nursery", "supervisor"])
def test_a_killed_nursery_or_supervisor_is_the_hosts_own_error(
    hung: Callable[..., None], victim: str
) -> None:
    with pytest.raises(HostError, match=r"nursery|keepers ended"):
        hung(victim)


JUDGE = """\
import json, os, signal, sys, time
from pathlib import Path
import psutil
from certify.run import judge
from certify.sandbox.host import host as launch
from certify.sandbox.host.host import Host
from certify.sandbox.host.session import Session, load_candidate
from tests.sandbox.host.test_fallen_walls import without_namespaces
from tests.made_up import ENTRY, PUPPET

def lose_the_supervisor(folder):
    launch.jail_of = without_namespaces
    with Host(Path(folder) / "host", warm=False) as host:
        session = Session(host, Path(folder) / "worker", readable=[str(PUPPET)])
        load_candidate(session, 30, root=str(PUPPET), kind="native", entry=ENTRY, config={}, allowed=[])
        session.ask("generate", 30, request={"prompt": "daemon"})
        supervisor = psutil.Process(host._system._supervisor.pid)  # type: ignore[attr-defined]
        print(json.dumps([row.pid for row in supervisor.children(recursive=True)]), flush=True)
        supervisor.kill()
    return 0

judge._run_and_report = lose_the_supervisor
sys.exit(judge.main_restarted(sys.argv[1]))
"""


def test_what_outlives_a_killed_supervisor_goes_with_the_run(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    script = f"import sys; sys.path.append({root!r})\n{JUDGE}"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    pids = json.loads(ran.stdout.splitlines()[-1])
    assert len(pids) >= 4, "nursery, keeper, worker and its daemon"
    wait_until_gone(pids, 5)
