"""The supervisor: a small trusted process that owns all worker processes.

It starts the nursery (which imports torch once and forks workers), reaps orphans as a child subreaper,
enforces the limits of each worker's process tree, and decides the system calls that the seccomp filters send
to it. It kills a process tree on request, and all of them when the host is gone. Uses the standard library
only.

The control socket carries one JSON message per packet:

- `{"expect": number, "folder", "given", "limits", "group"}` with the socket on which worker `number`
  will send the listener of its filter; answered, once the walls are built, by
  `{"walls": number, "failed": reason or ""}`
- `{"known": number, "pid"}`: the keeper of that worker
- `{"kill": pid}` is answered by `{"killed": pid}`
- sent first: `{"groups": the folder in which control groups can be created, "why" there is none}`
- sent as events: `{"limit": text, "pid"}`, `{"attempt": {"kind", "detail", "refused"}, "worker": number}` and
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
TICK = 0.1  # seconds
MAX_PER_KIND = 100  # reported attempts


def main(control_number: int, nursery_number: int, command: list[str]) -> int:
    control = socket.socket(fileno=control_number)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Before the nursery starts, so that it is in the same group.
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
    """One worker, from the moment that the host announces it."""

    number: int
    folder: str
    given: tuple[str, ...]
    limits: dict[str, int]
    door: socket.socket | None
    group: str = ""
    listener: int = -1
    watched: Watched | None = None
    reported: set[notify.Attempt] = field(default_factory=set)
    glance: Glance = field(default_factory=Glance)

    def close(self) -> None:
        if self.door is not None:
            self.door.close()
            self.door = None
        if self.listener >= 0:
            os.close(self.listener)
            self.listener = -1

    def owns(self, caller: int, target: int) -> bool:
        """Whether `target`, a pid in the namespace of `caller`, is one of the worker's processes."""
        if self.watched is None:
            return False
        threads = (int(task.name) for task in Path(f"/proc/{caller}/task").iterdir())
        if any(tree.inner_number(thread) == target for thread in threads):
            return True
        keeper = self.watched.keeper
        # The first process of a namespace (1) and the keeper are ours, not the worker's.
        return target > 1 and any(
            tree.inner_number(pid) == target for pid in tree.descendants(keeper) if pid != keeper
        )

    def bounds(self, caller: int) -> notify.Bounds:
        return notify.Bounds(
            lambda target: self.owns(caller, target), (self.folder,), self.given, self.glance
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
        """Runs until the host is gone."""
        while True:
            doors = {ward.door: ward for ward in self._wards.values() if ward.door is not None}
            listeners = {ward.listener: ward for ward in self._wards.values() if ward.listener >= 0}
            watched: list[Any] = [self._control, *doors, *listeners]
            ready, _, _ = select.select(watched, [], [], TICK)
            for source in ready:
                if source is self._control:
                    if not self._handle_command():
                        return
                elif source in doors:
                    self._accept_listener(doors[source])
                elif source in listeners:
                    self._handle_call(listeners[source])
            self._reap()
            self._enforce()

    def _handle_command(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 65536, 1)
        if not message:
            return False
        command = json.loads(message)
        if "expect" in command:
            door = socket.socket(fileno=descriptors[0])
            number, given = command["expect"], tuple(command["given"])
            self._wards[number] = Ward(
                number, command["folder"], given, command["limits"], door, command["group"]
            )
        elif "known" in command:
            ward = self._wards[command["known"]]
            ward.watched = Watched(command["pid"], ward.folder, ward.limits)
        else:
            self._end(int(command["kill"]))
        return True

    def _accept_listener(self, ward: Ward) -> None:
        """Receives the listener of a worker's filter, or the message that a wall could not be built."""
        assert ward.door is not None
        try:
            message, descriptors, _, _ = socket.recv_fds(ward.door, 4096, 1)
        except OSError:
            message, descriptors = b"", []
        failed = message.decode("utf-8", "replace") if message else "it ended before its walls stood"
        ward.close()
        if descriptors:
            ward.listener = descriptors[0]
        self._send({"walls": ward.number, "failed": "" if failed == "up" else failed})

    def _handle_call(self, ward: Ward) -> None:
        if ward.listener < 0:
            # Ended by the message that was read just before.
            return
        try:
            syscall = notify.receive(ward.listener)
        except OSError:
            ward.close()
            return
        if syscall is None:
            return
        try:
            allowed, attempt = notify.judge(syscall, ward.bounds(syscall.pid), self._memory)
        except OSError:
            # The caller died meanwhile.
            allowed, attempt = False, None
        # Sent first: it reaches the host before the reply to the call.
        if attempt is not None:
            self._note(ward, attempt)
        with contextlib.suppress(OSError):
            notify.answer(ward.listener, syscall, allowed)

    def _note(self, ward: Ward, attempt: notify.Attempt) -> None:
        """Reports each attempt once, at most MAX_PER_KIND of a kind, then an `overflow`."""
        if attempt in ward.reported:
            return
        if sum(other.kind == attempt.kind for other in ward.reported) >= MAX_PER_KIND:
            if attempt.kind != "overflow":
                self._note(ward, notify.Attempt("overflow", attempt.kind, False))
            return
        ward.reported.add(attempt)
        self._send({"attempt": vars(attempt), "worker": ward.number})

    def _end(self, pid: int) -> None:
        """Kills a worker's process tree and its orphans, which are children of the subreaper."""
        table = tree.parents()
        # If the process is gone, another process may have its pid by now.
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
        self._send({"killed": pid})

    def _reap(self) -> None:
        for pid, status in tree.reap():
            if pid == self._nursery and self._nursery_lives:
                self._nursery_lives = False
                self._send({"nursery": status})
                # No worker can be started any more, and none may run without its keeper.
                tree.kill_all(tree.descendants(os.getpid()), grace=0)

    def _enforce(self) -> None:
        watched = [ward.watched for ward in self._wards.values() if ward.watched is not None]
        if not watched or time.monotonic() - self._enforced < TICK:
            return
        self._enforced = time.monotonic()
        table = tree.parents()
        ours = tree.below(self._nursery, table)
        for tree_limits in watched:
            if tree_limits.keeper not in ours:
                continue
            reason = tree_limits.passed(table)
            if reason:
                self._send({"limit": reason, "pid": tree_limits.keeper})
                tree.kill_all(tree.below(tree_limits.keeper, table) | {tree_limits.keeper}, grace=0)

    def _send(self, message: dict[str, Any]) -> None:
        # If the host is gone, the next read shows it.
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(message).encode())


def _keeper_of(ward: Ward) -> int:
    return ward.watched.keeper if ward.watched is not None else 0
