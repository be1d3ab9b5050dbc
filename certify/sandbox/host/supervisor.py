"""The supervisor: a small trusted process that owns everything that runs beside the candidate.

It starts the nursery (which imports torch once and forks workers), reaps orphans as a child subreaper, holds
each worker's tree to its limits, answers the calls that their filters ask about, and kills a tree when told
to, or everything when the judge is gone. Standard library alone.

On the control socket, one JSON message a packet:

- `{"expect": number, "folder", "given", "limits", "group"}` with the end of a socket over which worker
  `number` will send the listener of its filter; answered, once it stands, by
  `{"walls": number, "failed": reason or ""}`
- `{"known": number, "pid"}`: the keeper of that worker
- `{"kill": pid}` is answered by `{"killed": pid}`
- told first: `{"groups": the folder below which control groups can be made, "why" there is none}`
- told: `{"limit": text, "pid"}`, `{"attempt": {"kind", "detail", "refused"}, "worker": number}` and
  `{"nursery": status}`, the end of the nursery
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certify.sandbox.host import cgroups
from certify.sandbox.host import process_tree as tree
from certify.sandbox.host.opened_files import Glance
from certify.sandbox.host.watchdog import Watched
from certify.sandbox.jail import notify

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = 0.1
MAX_PER_KIND = 100

Tell = Callable[[dict[str, Any]], None]


def main(control_number: int, nursery_number: int, command: list[str]) -> int:
    control = socket.socket(fileno=control_number)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before the nursery is there, so that it lives where we do.
    groups, why = cgroups.settle(os.getpid())
    control.send(json.dumps({"groups": groups, "why": why}).encode())
    os.set_inheritable(nursery_number, True)
    nursery = _start(command, control)
    os.close(nursery_number)
    try:
        Supervisor(control, nursery).work()
    finally:
        tree.kill_all(tree.descendants(os.getpid()))
    return 0


def _start(command: list[str], control: socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        control.close()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        os.execv(command[0], command)
    return pid


@dataclass
class Ward:
    """One worker, from the moment that it is expected."""

    number: int
    folder: str
    given: tuple[str, ...]
    limits: dict[str, int]
    door: socket.socket | None
    group: str = ""
    listener: int = -1
    watched: Watched | None = None
    told: set[notify.Attempt] = field(default_factory=set)
    glance: Glance = field(default_factory=Glance)

    def close(self) -> None:
        if self.door is not None:
            self.door.close()
            self.door = None
        if self.listener >= 0:
            os.close(self.listener)
            self.listener = -1

    def owns(self, asking: int, target: int) -> bool:
        """Whether `target`, as `asking` numbers processes, is one of this worker's, keepers left out."""
        if self.watched is None:
            return False
        threads = (int(task.name) for task in Path(f"/proc/{asking}/task").iterdir())
        if any(tree.inner_number(thread) == target for thread in threads):
            return True
        keeper = self.watched.keeper
        # The first process of a namespace (1) and the keeper are ours, not the worker's.
        return target > 1 and any(
            tree.inner_number(pid) == target for pid in tree.descendants(keeper) if pid != keeper
        )

    def bounds(self, asking: int) -> notify.Bounds:
        return notify.Bounds(
            lambda target: self.owns(asking, target), (self.folder,), self.given, self.glance
        )


class Supervisor:
    def __init__(self, control: socket.socket, nursery: int) -> None:
        self._control = control
        self._nursery = nursery
        self._nursery_lives = True
        self._wards: dict[int, Ward] = {}
        self._memory = notify.Memory()
        self._enforced = 0.0

    def work(self) -> None:
        """Until the judge is gone."""
        while True:
            doors = {ward.door: ward for ward in self._wards.values() if ward.door is not None}
            listeners = {ward.listener: ward for ward in self._wards.values() if ward.listener >= 0}
            watched: list[Any] = [self._control, *doors, *listeners]
            ready, _, _ = select.select(watched, [], [], TICK)
            for source in ready:
                if source is self._control:
                    if not self._obey():
                        return
                elif source in doors:
                    self._let_in(doors[source])
                elif source in listeners:
                    self._hear(listeners[source])
            self._reap()
            self._enforce()

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 65536, 1)
        if not message:
            return False
        order = json.loads(message)
        if "expect" in order:
            door = socket.socket(fileno=descriptors[0])
            number, given = order["expect"], tuple(order["given"])
            self._wards[number] = Ward(number, order["folder"], given, order["limits"], door, order["group"])
        elif "known" in order:
            ward = self._wards[order["known"]]
            ward.watched = Watched(order["pid"], ward.folder, ward.limits)
        else:
            self._end(int(order["kill"]))
        return True

    def _let_in(self, ward: Ward) -> None:
        """Takes the listener of a worker's filter, or its word that a wall could not be built."""
        assert ward.door is not None
        try:
            message, descriptors, _, _ = socket.recv_fds(ward.door, 4096, 1)
        except OSError:
            message, descriptors = b"", []
        failed = message.decode("utf-8", "replace") if message else "it ended before its walls stood"
        ward.close()
        if descriptors:
            ward.listener = descriptors[0]
        self._tell({"walls": ward.number, "failed": "" if failed == "up" else failed})

    def _hear(self, ward: Ward) -> None:
        if ward.listener < 0:
            # Ended by what was read just before.
            return
        try:
            asked = notify.receive(ward.listener)
        except OSError:
            ward.close()
            return
        if asked is None:
            return
        try:
            allowed, attempt = notify.judge(asked, ward.bounds(asked.pid), self._memory)
        except OSError:
            # The caller died meanwhile.
            allowed, attempt = False, None
        # WorkerEvents first: when its answer reaches the judge, so has this.
        if attempt is not None:
            self._note(ward, attempt)
        with contextlib.suppress(OSError):
            notify.answer(ward.listener, asked, allowed)

    def _note(self, ward: Ward, attempt: notify.Attempt) -> None:
        """Each attempt once; of one kind only so many, and then that there were more."""
        if attempt in ward.told:
            return
        if sum(other.kind == attempt.kind for other in ward.told) >= MAX_PER_KIND:
            if attempt.kind != "overflow":
                self._note(ward, notify.Attempt("overflow", attempt.kind, False))
            return
        ward.told.add(attempt)
        self._tell({"attempt": vars(attempt), "worker": ward.number})

    def _end(self, pid: int) -> None:
        """Kills a worker's tree and what it left behind: orphans come to the subreaper."""
        table = tree.parents()
        # The number of one that is gone may be a stranger's by now.
        doomed = tree.below(pid, table) | {pid} if pid in tree.below(os.getpid(), table) else set()
        for orphan in [child for child, parent in table.items() if parent == os.getpid()]:
            if orphan != self._nursery:
                doomed |= tree.below(orphan, table) | {orphan}
        tree.kill_all(doomed)
        for number in [number for number, ward in self._wards.items() if _keeper_of(ward) == pid]:
            ward = self._wards.pop(number)
            ward.close()
            if ward.group:
                cgroups.kill(Path(ward.group))
        self._tell({"killed": pid})

    def _reap(self) -> None:
        for pid, status in tree.reap():
            if pid == self._nursery and self._nursery_lives:
                self._nursery_lives = False
                self._tell({"nursery": status})
                # Nothing can be started any more, and what lives without its keepers has no business here.
                tree.kill_all(tree.descendants(os.getpid()), grace=0)

    def _enforce(self) -> None:
        watched = [ward.watched for ward in self._wards.values() if ward.watched is not None]
        if not watched or time.monotonic() - self._enforced < TICK:
            return
        self._enforced = time.monotonic()
        table = tree.parents()
        ours = tree.below(self._nursery, table)
        for one in watched:
            if one.keeper not in ours:
                continue
            reason = one.passed(table)
            if reason:
                self._tell({"limit": reason, "pid": one.keeper})
                tree.kill_all(tree.below(one.keeper, table) | {one.keeper}, grace=0)

    def _tell(self, message: dict[str, Any]) -> None:
        # Where the judge is gone, the next read says so.
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(message).encode())


def _keeper_of(ward: Ward) -> int:
    return ward.watched.keeper if ward.watched is not None else 0
