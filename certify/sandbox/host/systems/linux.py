"""Linux: a supervisor owns all processes, a nursery forks workers, and the jail confines them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import certify
from certify.sandbox.host import cgroups
from certify.sandbox.host import guest_copy as library
from certify.sandbox.host.faults import HostError
from certify.sandbox.host.pipes import MAX_BUFFERED, OUTPUTS, SelectedPipes
from certify.sandbox.host.systems.base import Process, WorkerEvents, WorkerSpec, describe_exit
from certify.sandbox.jail.notify import Attempt

_NURSERY = "int(sys.argv[1]), sys.argv[2] == 'warm'"
_SUPERVISOR = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from certify.sandbox.host.supervisor import main; "
    "sys.exit(main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))"
)
_START_DEADLINE = 180.0  # seconds
# Seconds for a fork and its walls: usually milliseconds, but longer on a loaded machine.
START_SECONDS = 120.0


class Linux:
    """One supervisor and its nursery, which has the heavy libraries imported if it is `warm`."""

    def __init__(self, scratch: Path, environment: dict[str, str], warm: bool) -> None:
        self.events = WorkerEvents()
        self._started: int | None = None
        self._keepers: dict[int, int] = {}
        self._standing: dict[int, str] = {}
        self._killed: set[int] = set()
        self._ready = False
        self._groups = ""
        self._no_groups = "not checked yet"
        self._group_of: dict[int, cgroups.Group] = {}
        self._control, control_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._nursery, nursery_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log = scratch / "nursery.log"
        nursery = library.command(scratch, "guest.nursery", _NURSERY)
        nursery += [str(nursery_end.fileno()), "warm" if warm else "cold"]
        self._supervisor = self._start_supervisor(control_end, nursery_end, nursery, environment)
        control_end.close()
        nursery_end.close()

    def _start_supervisor(
        self, control: socket.socket, nursery: socket.socket, child: list[str], environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        parent = str(Path(certify.__path__[0]).resolve().parent)
        python = [sys.executable, "-I", "-B"]
        ends = [str(control.fileno()), str(nursery.fileno())]
        scope = cgroups.scope()
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [*scope.command, *python, "-S", "-c", _SUPERVISOR, parent, *ends, *child],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, **scope.environment},
                pass_fds=(control.fileno(), nursery.fileno()),
                start_new_session=True,
            )

    def start(self, spec: WorkerSpec) -> tuple[Process, str]:
        self._wait_until_ready()
        ours, theirs = _pipes()
        door, door_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        group = self._group(spec)
        announcement = {
            "expect": spec.number,
            "folder": spec.jail.folder,
            "given": spec.jail.readable,
            "limits": spec.limits,
            "group": str(group.path) if group else "",
        }
        nursery_request = {
            "environment": spec.environment,
            "limits": spec.rlimits,
            "jail": spec.jail.to_dict(),
            "cgroup": announcement["group"],
        }
        try:
            socket.send_fds(self._control, [json.dumps(announcement).encode()], [door.fileno()])
            socket.send_fds(
                self._nursery, [json.dumps(nursery_request).encode()], [*theirs, door_end.fileno()]
            )
        except OSError as error:
            raise HostError(f"a keeper is gone ({error.strerror})") from None
        finally:
            door.close()
            door_end.close()
            for descriptor in theirs:
                os.close(descriptor)
        deadline = time.monotonic() + START_SECONDS
        while (pid := self._started) is None:
            self._take(deadline)
        self._started = None
        self._keepers[spec.number] = pid
        self._send({"known": spec.number, "pid": pid})
        while spec.number not in self._standing:
            self._take(deadline)
        if group is not None:
            self._check(group, pid)
        outputs = dict(zip(OUTPUTS, ours[1:], strict=True))
        pipes = SelectedPipes(ours[0], outputs, also=self._nursery.fileno())
        return Process(pid, pipes), self._standing.pop(spec.number)

    def _group(self, spec: WorkerSpec) -> cgroups.Group | None:
        if not self._groups:
            return None
        try:
            return cgroups.Group.make(Path(self._groups), f"worker-{spec.number}", spec.limits)
        except OSError as error:
            self._groups, self._no_groups = "", f"a group could not be made: {error}"
            return None

    def _check(self, group: cgroups.Group, pid: int) -> None:
        """If a keeper is not in its group, only the watchdog enforces the limits of it and later workers."""
        if pid in group.members() or pid in self.events.exits:
            self._group_of[pid] = group
        else:
            group.remove()
            self._groups, self._no_groups = "", "a worker could not enter its group"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while not self._ready:
            self._take(deadline)

    def _take(self, deadline: float) -> None:
        ready, _, _ = select.select(
            [self._nursery, self._control], [], [], max(0.0, deadline - time.monotonic())
        )
        if not ready:
            raise HostError("the worker's keepers did not answer in time")
        self.note()

    def note(self) -> None:
        for channel in (self._control, self._nursery):
            while select.select([channel], [], [], 0)[0]:
                try:
                    message = channel.recv(65536)
                except OSError:
                    message = b""
                if not message:
                    raise HostError("the worker's keepers ended")
                self._note(json.loads(message))

    def _note(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._ready = True
        elif "groups" in message:
            self._groups, self._no_groups = message["groups"], message["why"]
        elif "started" in message:
            self.events.forget(message["started"])
            self._started = message["started"]
        elif "walls" in message:
            self._standing[message["walls"]] = message["failed"]
        elif "attempt" in message:
            keeper = self._keepers.get(message["worker"], 0)
            self.events.attempts.setdefault(keeper, []).append(Attempt(**message["attempt"]))
        elif "exited" in message:
            self._note_exit(message["exited"], os.waitstatus_to_exitcode(message["status"]))
        elif "limit" in message:
            self.events.passed_limits[message["pid"]] = f"the watchdog: {message['limit']}"
        elif "killed" in message:
            self._killed.add(message["killed"])
        elif "nursery" in message:
            raise HostError(f"the nursery was {describe_exit(os.waitstatus_to_exitcode(message['nursery']))}")

    def _note_exit(self, pid: int, code: int) -> None:
        group = self._group_of.get(pid)
        passed = group.passed() if group else ""
        if passed:
            self.events.passed_limits.setdefault(pid, f"the kernel: {passed}")
        self.events.exits[pid] = code

    def kill(self, pid: int) -> None:
        self._send({"kill": pid})
        deadline = time.monotonic() + 10
        while pid not in self._killed:
            self._take(deadline)
        self._killed.discard(pid)
        if pid in self._group_of:
            self._group_of.pop(pid).remove()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError as error:
            raise HostError(f"the supervisor is gone ({error.strerror})") from None

    def limits_kept_by(self) -> str:
        if self._groups:
            return "a control group for each worker, and the watchdog"
        return f"the watchdog alone (no control group: {self._no_groups})"

    def log_tail(self) -> str:
        try:
            lines = self._log.read_text("utf-8", "replace").split("\n")
        except OSError:
            return "no log"
        return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "none")

    def close(self) -> None:
        """The supervisor kills the tree when the control socket closes."""
        self._control.close()
        self._nursery.close()
        try:
            self._supervisor.wait(10)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        for group in self._group_of.values():
            group.remove()


def _pipes() -> tuple[list[int], list[int]]:
    """Our ends (requests, then OUTPUTS), and the worker's ends in the same order."""
    request_read, request_write = os.pipe()
    outputs = [os.pipe() for _ in OUTPUTS]
    ours = [request_write, *(read for read, _ in outputs)]
    theirs = [request_read, *(write for _, write in outputs)]
    # The audit hook in a worker must not block until the host reads.
    os.set_blocking(theirs[-1], False)
    if sys.platform == "linux":
        # Large enough for all events of one process while the host does not read.
        with contextlib.suppress(OSError):
            fcntl.fcntl(theirs[-1], fcntl.F_SETPIPE_SZ, MAX_BUFFERED)
    return ours, theirs
