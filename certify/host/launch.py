"""Starting and ending worker processes, by way of the supervisor and the nursery."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certify
from certify.host.faults import HostError
from certify.host.given import jail_of
from certify.jail.notify import Attempt
from certify.jail.plan import Jail, weaker
from certify.record import Act

EVENT_ROOM = 1 << 20
# Of a worker's tree: processes, and bytes of memory and on disk.
LIMITS = {"processes": 64, "memory": 12 << 30, "disk": 4 << 30}
RLIMITS = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 1024, "RLIMIT_FSIZE": 4 << 30}
# Threads count too. It holds where the worker's user is nobody else's.
MOST_THREADS = 512
_NURSERY = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from certify.guest.nursery import main; main(int(sys.argv[2]), sys.argv[3] == 'warm')"
)
_SUPERVISOR = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from certify.host.supervisor import main; "
    "sys.exit(main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))"
)
_START_DEADLINE = 180.0


@dataclass(frozen=True)
class Process:
    """A worker: its pid and our ends of its pipes."""

    pid: int
    requests: int
    answers: int
    stdout: int
    stderr: int
    events: int

    def close(self) -> None:
        for descriptor in (self.requests, self.answers, self.stdout, self.stderr, self.events):
            os.close(descriptor)


class Host:
    """One supervisor and its nursery; `start_worker` forks a fresh worker from it.

    Raises HostError where the system cannot do it, or where they do not start. Without `walls` workers are
    processes of their own, and no more: for showing what a jail stops.
    """

    def __init__(
        self,
        scratch: Path,
        warm: bool = True,
        limits: dict[str, int] | None = None,
        walls: bool = True,
    ) -> None:
        if os.name != "posix" or not hasattr(socket, "recv_fds"):
            raise HostError(
                "Running a candidate needs Linux (or another POSIX system); `certify doctor` tells more."
            )
        scratch.mkdir(parents=True, exist_ok=True)
        self.scratch = scratch = scratch.resolve()
        self.limits = {**LIMITS, **(limits or {})}
        self.exits: dict[int, int] = {}
        self.passed_limits: dict[int, str] = {}
        # What the filters of living workers told, by keeper, until it is taken.
        self.attempts: dict[int, list[Attempt]] = {}
        # The walls of the last worker, and why there are no more.
        self.walls = ""
        self.lacks: list[str] = []
        # What the isolation self-test showed; empty until it has run.
        self.acts: tuple[Act, ...] = ()
        # Stands in our environment from here to the end; the self-test looks whether a worker sees it.
        self.decoy = "DECOY_" + secrets.token_hex(8)
        os.environ[self.decoy] = "decoy"
        # The tiny models built for this host, by model type: in its own folder, out of any candidate's reach
        # before it is loaded.
        self.models: dict[str, str] = {}
        self._cache = scratch / "cache"
        self.lost = ""
        self._walled = walls
        self._step = 0
        self._numbers = itertools.count(1)
        self._keepers: dict[int, int] = {}
        self._standing: dict[int, str] = {}
        self._started: int | None = None
        self._killed: set[int] = set()
        self._control, control_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.nursery, nursery_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log = scratch / "nursery.log"
        self._supervisor = self._start(control_end, nursery_end, warm)
        control_end.close()
        nursery_end.close()
        self._ready = False

    def _start(self, control: socket.socket, nursery: socket.socket, warm: bool) -> subprocess.Popen[bytes]:
        parent = str(Path(certify.__path__[0]).resolve().parent)
        python = [sys.executable, "-I", "-B"]
        ends = [str(control.fileno()), str(nursery.fileno())]
        child = [*python, "-c", _NURSERY, parent, ends[1], "warm" if warm else "cold"]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*python, "-S", "-c", _SUPERVISOR, parent, *ends, *child],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=worker_environment(self.scratch),
                pass_fds=(control.fileno(), nursery.fileno()),
                start_new_session=True,
            )

    def start_worker(
        self,
        folder: Path,
        readable: Iterable[str] = (),
        limits: dict[str, int] | None = None,
        trusted: bool = False,
    ) -> Process:
        """A fresh worker whose work, temporary and home folders are below `folder`.

        It is shut in with the strongest walls that can be built here, and given `readable` besides what every
        worker needs. A `trusted` one, which will not meet a candidate, has none.
        """
        if self.lost:
            raise HostError(self.lost)
        self._wait_until_ready()
        folder.mkdir(parents=True, exist_ok=True)
        strongest = jail_of(folder.resolve(), [*readable, str(self._cache)])
        ladder = [strongest, *weaker(strongest)]
        if trusted or not self._walled:
            # The tiny models that it builds are for all.
            cache = {"SD_CERTIFY_CACHE": str(self._cache)} if trusted else {}
            return self._try(ladder[-1], limits, cache)[0]
        while True:
            jail = ladder[min(self._step, len(ladder) - 1)]
            process, failed = self._try(jail, limits)
            if not failed:
                self.walls = jail.walls
                return process
            process.close()
            self.kill(process.pid)
            if self.acts:
                # The level was measured behind these walls; behind weaker ones it would be a lie.
                raise self._loss(f"the walls that were measured ({jail.walls}) do not stand again: {failed}")
            self.lacks.append(f"{jail.walls}: {failed}")
            if self._step >= len(ladder) - 1:
                raise self._loss(f"no worker could be started: {failed}")
            self._step += 1

    def _try(
        self, jail: Jail, limits: dict[str, int] | None, environment: Mapping[str, str] | None = None
    ) -> tuple[Process, str]:
        """A worker behind these walls, and what kept them from standing: empty where they do."""
        number = next(self._numbers)
        ours, theirs = _pipes()
        door, door_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        expected = {
            "expect": number,
            "folder": jail.folder,
            "given": jail.readable,
            "limits": {**self.limits, **(limits or {})},
        }
        rlimits = {**RLIMITS, **({"RLIMIT_NPROC": MOST_THREADS} if _counts_alone(jail) else {})}
        order = {
            "environment": {**worker_environment(Path(jail.folder)), **(environment or {})},
            "limits": rlimits,
            "jail": jail.to_dict(),
        }
        try:
            socket.send_fds(self._control, [json.dumps(expected).encode()], [door.fileno()])
            socket.send_fds(self.nursery, [json.dumps(order).encode()], [*theirs, door_end.fileno()])
        except OSError as error:
            raise self._loss(f"a keeper is gone ({error.strerror})") from None
        finally:
            door.close()
            door_end.close()
            for descriptor in theirs:
                os.close(descriptor)
        deadline = time.monotonic() + 30
        while (pid := self._started) is None:
            self._take(deadline)
        self._started = None
        self._keepers[number] = pid
        self._tell({"known": number, "pid": pid})
        while number not in self._standing:
            self._take(deadline)
        return Process(pid, *ours), self._standing.pop(number)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while not self._ready:
            self._take(deadline)

    def _take(self, deadline: float) -> None:
        ready, _, _ = select.select(
            [self.nursery, self._control], [], [], max(0.0, deadline - time.monotonic())
        )
        if not ready:
            raise self._loss("the worker's keepers did not answer in time")
        self.note_events()

    def note_events(self) -> None:
        """Takes what the nursery and the supervisor have told meanwhile, without waiting."""
        for channel in (self.nursery, self._control):
            while select.select([channel], [], [], 0)[0]:
                try:
                    message = channel.recv(65536)
                except OSError:
                    message = b""
                if not message:
                    raise self._loss("the worker's keepers ended")
                self._note(json.loads(message))

    def _note(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._ready = True
        elif "started" in message:
            self._started = message["started"]
        elif "walls" in message:
            self._standing[message["walls"]] = message["failed"]
        elif "attempt" in message:
            keeper = self._keepers.get(message["worker"], 0)
            self.attempts.setdefault(keeper, []).append(Attempt(**message["attempt"]))
        elif "exited" in message:
            self.exits[message["exited"]] = message["status"]
        elif "limit" in message:
            self.passed_limits[message["pid"]] = message["limit"]
        elif "killed" in message:
            self._killed.add(message["killed"])
        elif "nursery" in message:
            raise self._loss(f"the nursery was {describe_exit(message['nursery'])}")

    def _loss(self, reason: str) -> HostError:
        """The end of this host, said again to whoever asks from now on."""
        self.lost = f"{reason}; the last line of their log: {self.log_tail()}"
        return HostError(self.lost)

    def kill(self, pid: int) -> None:
        """Ends a worker and everything that came from it; returns when all of it is gone."""
        if self.lost:
            return
        self._tell({"kill": pid})
        deadline = time.monotonic() + 10
        while pid not in self._killed:
            self._take(deadline)
        self._killed.discard(pid)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError as error:
            raise self._loss(f"the supervisor is gone ({error.strerror})") from None

    def log_tail(self) -> str:
        try:
            lines = self._log.read_text("utf-8", "replace").split("\n")
        except OSError:
            return "no log"
        return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "none")

    def close(self) -> None:
        """Ends everything; the supervisor kills the tree when the control socket closes."""
        os.environ.pop(self.decoy, None)
        self._control.close()
        self.nursery.close()
        try:
            self._supervisor.wait(10)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pipes() -> tuple[list[int], list[int]]:
    """Our ends (requests, answers, stdout, stderr, events), and the worker's ends in the same order."""
    request_read, request_write = os.pipe()
    outputs = [os.pipe() for _ in range(4)]
    ours = [request_write, *(read for read, _ in outputs)]
    theirs = [request_read, *(write for _, write in outputs)]
    # A worker that is watched must not wait for us to read.
    for descriptor in (*ours, theirs[-1]):
        os.set_blocking(descriptor, False)
    if sys.platform == "linux":
        # Room for all that the watch of one process can tell while nobody reads.
        with contextlib.suppress(OSError):
            fcntl.fcntl(theirs[-1], fcntl.F_SETPIPE_SZ, EVENT_ROOM)
    return ours, theirs


def worker_environment(folder: Path) -> dict[str, str]:
    """All that a worker sees of the environment: nothing of the judge's, and nothing that says "test"."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        # Nobody's account: what asks for a name finds one here.
        "USER": "user",
        "LOGNAME": "user",
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "home" / "huggingface"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _counts_alone(jail: Jail) -> bool:
    """Whether a limit on the user's processes would count this worker's alone."""
    return jail.user is not None or (jail.namespaces and os.geteuid() != 0)


def describe_exit(status: int) -> str:
    """A wait status in words: `killed by SIGSEGV`, `exited with code 0`."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    return f"exited with code {os.waitstatus_to_exitcode(status)}"
