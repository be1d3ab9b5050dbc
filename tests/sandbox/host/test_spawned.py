"""Workers that are spawned, as on macOS and Windows: a worker in every way but for the walls."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from certify.sandbox.host.faults import CandidateFault, HostError, TimedOut, WorkerEnded
from certify.sandbox.host.host import Host
from certify.sandbox.host.pipes import Pipes, ThreadedPipes
from certify.sandbox.host.session import Event, Session, load_candidate
from certify.sandbox.host.systems.base import WorkerSpec
from certify.sandbox.host.systems.spawned import Spawned, is_running, marked
from tests.made_up import ENTRY, PUPPET

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows starts workers in its own way")


class Threaded(Spawned):
    """With the pipes that Windows needs."""

    def _make_pipes(self, requests: int, outputs: dict[str, int]) -> Pipes:
        return ThreadedPipes(requests, outputs)


@pytest.fixture(scope="module", params=[Spawned, Threaded])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    with Host(folder, walls=False, system=request.param) as host:
        yield host


@pytest.fixture
def opened(host: Host, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def start(events: Callable[[Event], None] = lambda _: None, **limits: int) -> Session:
        session = Session(host, tmp_path / f"worker-{len(sessions)}", events, limits=limits)
        sessions.append(session)
        request = {"root": str(PUPPET), "kind": "native", "entry": ENTRY, "config": {}}
        load_candidate(session, 60, **request, allowed=[str(session.folder), str(PUPPET)])
        return session

    yield start
    for session in sessions:
        session.end()


def ask(session: Session, prompt: str, deadline: float = 30) -> dict[str, object]:
    return session.ask("generate", deadline, request={"prompt": prompt}).body


def test_a_picture_comes_back(opened: Callable[..., Session]) -> None:
    session = opened()
    assert ask(session, "picture")["width"] == 8
    assert ask(session, "picture")["height"] == 6
    assert "loaded" in session.stderr.text() + session.stdout.text()


@pytest.mark.parametrize(
    ("prompt", "kind", "said"),
    [
        ("segfault", WorkerEnded, "killed by SIGSEGV"),
        ("exit", WorkerEnded, "exited with code 0"),
        ("hang", TimedOut, "deadline"),
        ("deaf", TimedOut, "deadline"),
    ],
)
def test_a_fault_is_told_by_its_kind(
    opened: Callable[..., Session], prompt: str, kind: type[CandidateFault], said: str
) -> None:
    session = opened()
    with pytest.raises(kind, match=said):
        ask(session, prompt, deadline=1 if kind is TimedOut else 30)
    assert not session.alive
    assert not psutil.pid_exists(session.pid)


def test_a_daemon_that_left_its_parents_is_found_by_its_environment(opened: Callable[..., Session]) -> None:
    session = opened()
    ask(session, "daemon")
    temporary = str(session.folder / "tmp")
    left = [process for process in marked(temporary) if process.pid != session.pid]
    assert left
    session.end()
    assert not [process for process in left if is_running(process)]


def test_a_tree_over_its_limit_is_ended_and_the_limit_told(opened: Callable[..., Session]) -> None:
    with pytest.raises(WorkerEnded, match=r"the watchdog: \d+ MiB of memory, limit 1 MiB"):
        ask(opened(memory=1 << 20), "hang", deadline=30)


def test_what_the_watch_inside_tells_comes_with_the_end_at_the_latest(
    opened: Callable[..., Session], tmp_path: Path
) -> None:
    events: list[Event] = []
    session = opened(events.append)
    with pytest.raises(WorkerEnded):
        ask(session, "exit")
    before = len(events)
    assert all(event.by == "worker" for event in events)
    session.end()
    assert len(events) == before


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    class Refused(Spawned):
        def _before(self, spec: WorkerSpec) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('no profile here')"]

    with Host(tmp_path / "host", system=Refused) as host:
        with pytest.raises(HostError, match="no profile here"):
            host.start_worker(tmp_path / "worker")
        with pytest.raises(HostError, match="no profile here"):
            host.start_worker(tmp_path / "another")


def test_closing_the_host_ends_its_workers(tmp_path: Path) -> None:
    with Host(tmp_path / "host", walls=False, system=Spawned) as host:
        pid = host.start_worker(tmp_path / "worker").pid
        assert psutil.pid_exists(pid)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)


def test_the_host_is_imported_where_what_posix_alone_has_is_missing() -> None:
    script = (
        # psutil has a way of its own for each system.
        "import sys, psutil\n"
        "for name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'): sys.modules[name] = None\n"
        "import certify.sandbox.host.session, certify.sandbox.host.isolation, certify.sandbox.guest.spawned\n"
        "import certify.sandbox.host.systems.windows, certify.sandbox.host.systems.macos\n"
        "import certify.sandbox.guest.probe\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
