"""Measures the isolation level: a self-test in a worker before any candidate is loaded, checked from outside.

Levels on the certificate: L0: a separate process with a clean environment. L1: also limits on memory and
processes, and the whole process tree can be killed. L2: also the kernel denies access to files, the network,
other processes and risky kernel interfaces. L3: also private namespaces, and attempts are visible.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from certify.record.results import Act, Isolation
from certify.sandbox.host.faults import WorkerEnded
from certify.sandbox.host.host import LIMITS, Host
from certify.sandbox.host.session import Event, Session

_CROWD = "fork more processes than the limit"
_HOARD = "hold more memory than the limit"
_UNSEEN = "try to reach the network unseen"
_PROCESS, _OUTSIDE, _SHARED = (
    "leave a process behind",
    "write a file outside the work folder",
    "leave shared memory behind",
)
L1_ACTS = ("see the judge's environment", _PROCESS, _CROWD, _HOARD)
L2_ACTS = (
    "read a file outside the work folder",
    _OUTSIDE,
    "read the judge's environment in /proc",
    "read the judge's memory map",
    "open a TCP connection",
    "send a UDP datagram",
    "connect to a Unix socket by its path",
    "connect to an abstract Unix socket",
    "open a netlink socket",
    "set up io_uring",
    "attach to its parent (ptrace)",
    "read its parent's memory",
    "signal the judge",
    "make a user namespace",
    "mount a file system",
    "reach the kernel's keys",
    "load a program into the kernel (bpf)",
)
L3_ACTS = (
    "see the judge's process",
    "see that a file is there which was not given",
    _SHARED,
    _UNSEEN,
)
# Bytes, for the self-test only: small enough for any machine, large enough for a worker with the engine.
MEMORY_PROBE = 512 << 20
# What no wall makes visible; shown in the report.
UNSEEN = (
    "only opening a file is seen, not a test whether it exists; files that were not given are not there",
    "paths and addresses are read from the plugin's memory, which its other threads may change meanwhile",
    "a path is reported as the plugin wrote it: links are not resolved, but they cannot lead outside",
    "work on the GPU passes through its driver, which no wall watches",
    "the code beside the plugin has a neutral name but can be recognised, and the model is tiny; a plugin "
    "that inspects them can distinguish a test from a user's machine and behave well",
)
IN_SIGHT = "without namespaces a plugin sees that certify is installed here, though it cannot see it at work"


def measure_isolation(host: Host, scratch: Path, demanded: str) -> Isolation:
    """The level of this host, measured once. Raises HostError or a CandidateFault where that fails."""
    if not host.acts:
        host.acts = tuple(_self_test(host, scratch))
    return Isolation(
        level=level_of(host.acts),
        demanded=demanded,
        acts=host.acts,
        walls=host.walls,
        lacks=tuple(host.lacks),
        limits_kept_by=host.limits_kept_by,
        unseen=UNSEEN if "own namespaces" in host.walls else (*UNSEEN, IN_SIGHT),
    )


def level_of(acts: Sequence[Act]) -> str:
    """The highest level for which all acts, and all acts of lower levels, were stopped."""
    stopped = {act.act for act in acts if act.stopped}
    level = "L0"
    for name, needed in (("L1", L1_ACTS), ("L2", L2_ACTS), ("L3", L3_ACTS)):
        if not stopped.issuperset(needed):
            break
        level = name
    return level


def _self_test(host: Host, scratch: Path) -> list[Act]:
    events: list[Event] = []
    with _decoys(scratch) as decoys:
        session = Session(host, scratch / "self-test", events.append)
        try:
            reply = session.ask("probe", 30, **decoys.probe_request(host))
            left = _below(session.pid)
            crowd = _crowd_is_ended(session)
        finally:
            session.end()
        acts = [Act.model_validate(row) for row in reply.body["acts"]]
        acts = [decoys.seen_from_outside(act, left) for act in acts]
    seen = any(event.by == "kernel" and event.kind == "network" for event in events)
    acts.append(Act(act=_UNSEEN, stopped=seen, note="reported by the filter" if seen else ""))
    return _in_order([*acts, crowd, _hoard_is_ended(host, scratch)])


def _in_order(acts: Sequence[Act]) -> list[Act]:
    position = {name: index for index, name in enumerate((*L1_ACTS, *L2_ACTS, *L3_ACTS))}
    return sorted(acts, key=lambda act: position[act.act])


@dataclass(frozen=True)
class _Decoys:
    """Targets for the self-test, such as a hostile plugin would attack, inspected afterwards."""

    secret: Path
    outside: Path
    shared: str
    unix: str
    abstract: str
    tcp: int
    udp: int

    def probe_request(self, host: Host) -> dict[str, object]:
        return {
            "secret_file": str(self.secret),
            "outside_file": str(self.outside),
            "secret_variable": host.decoy,
            "judge": os.getpid(),
            "tcp": self.tcp,
            "udp": self.udp,
            "unix": self.unix,
            "abstract": self.abstract,
            "shared": self.shared,
        }

    def seen_from_outside(self, act: Act, left: Sequence[psutil.Process]) -> Act:
        """Replaces the worker's claim by what the host sees, where it can see it."""
        if act.act == _OUTSIDE:
            return act.model_copy(update={"stopped": not self.outside.exists()})
        if act.act == _SHARED:
            return act.model_copy(update={"stopped": not Path("/dev/shm", self.shared).exists()})
        if act.act == _PROCESS and not act.stopped and left:
            return act.model_copy(
                update={"stopped": not any(map(_running, left)), "note": "ended with its tree"}
            )
        return act


@contextmanager
def _decoys(scratch: Path) -> Iterator[_Decoys]:
    name = secrets.token_hex(8)
    secret = scratch / f"secret-{name}"
    secret.write_text(secrets.token_hex(8), "utf-8")
    # A path for a socket must be short.
    unix = f"/tmp/.{name}"
    with (
        _listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as stream,
        _listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)) as datagrams,
        ExitStack() as unix_sockets,
    ):
        if sys.platform != "win32":
            unix_sockets.enter_context(_listener(socket.AF_UNIX, socket.SOCK_STREAM, unix))
        if sys.platform == "linux":
            unix_sockets.enter_context(_listener(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + name))
        try:
            yield _Decoys(
                secret=secret,
                outside=scratch / f"outside-{name}",
                shared=name,
                unix=unix,
                abstract=name,
                tcp=stream.getsockname()[1],
                udp=datagrams.getsockname()[1],
            )
        finally:
            for path in (unix, f"/dev/shm/{name}"):
                with contextlib.suppress(OSError):
                    Path(path).unlink()


def _listener(family: int, kind: socket.SocketKind, address: str | tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.bind(address)
    if kind == socket.SOCK_STREAM:
        listener.listen(4)
    return listener


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _crowd_is_ended(session: Session) -> Act:
    requested = LIMITS["processes"] + 8
    try:
        reply = session.ask("crowd", 20, processes=requested)
    except WorkerEnded as ended:
        return Act(act=_CROWD, stopped="limit" in ended.message, note=ended.message)
    started = int(reply.body.get("processes", 0))
    return Act(act=_CROWD, stopped=started < requested, note=f"{started} were started")


def _hoard_is_ended(host: Host, scratch: Path) -> Act:
    session = Session(host, scratch / "self-test-memory", limits={"memory": MEMORY_PROBE})
    try:
        got = int(session.ask("hoard", 30, bytes=2 * MEMORY_PROBE).body.get("bytes", 0))
    except WorkerEnded as ended:
        return Act(act=_HOARD, stopped="limit" in ended.message, note=ended.message)
    finally:
        session.end()
    return Act(act=_HOARD, stopped=got < 2 * MEMORY_PROBE, note=f"{got >> 20} MiB were allocated")
