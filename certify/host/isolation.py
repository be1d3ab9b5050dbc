"""The isolation level, measured: a self-test runs in a worker before any candidate, checked from outside.

Levels (what the store reads on the certificate):
L0 a process of its own and a clean environment; L1 also whole-tree kill and caps on memory and processes;
L2 also files and network denied by the kernel; L3 also namespaces of its own and attempts logged.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

import psutil

from certify.host.faults import WorkerEnded
from certify.host.launch import LIMITS, Host
from certify.host.session import Session
from certify.record import Act, Isolation

_CROWD = "fork more processes than the limit"
_L1_ACTS = ("see the judge's environment", "leave a process behind", _CROWD)
_L2_ACTS = (
    "read a file outside the work folder",
    "write a file outside the work folder",
    "read the judge's memory map",
    "open a TCP connection",
    "send a UDP datagram",
    "signal the judge",
)


def measure_isolation(host: Host, scratch: Path, demanded: str) -> Isolation:
    """The level of this host, measured once after its start; raises HostError or a CandidateFault if it
    cannot be measured."""
    if not host.acts:
        host.acts = tuple(_self_test(host, scratch))
    return Isolation(level=level_of(host.acts), demanded=demanded, acts=host.acts)


def _self_test(host: Host, scratch: Path) -> list[Act]:
    secret, outside = scratch / "decoy-secret", scratch / "decoy-outside"
    secret.write_text(secrets.token_hex(8), "utf-8")
    session = Session(host, scratch / "self-test")
    try:
        with _listener(socket.SOCK_STREAM) as stream, _listener(socket.SOCK_DGRAM) as datagrams:
            reply = session.ask(
                "probe",
                30,
                secret_file=str(secret),
                outside_file=str(outside),
                secret_variable=host.decoy,
                judge=os.getpid(),
                tcp=stream.getsockname()[1],
                udp=datagrams.getsockname()[1],
            )
        crowd = _crowd_is_ended(session)
    finally:
        session.end()
    acts = [Act.model_validate(row) for row in reply.body["acts"]]
    acts = [_seen_from_outside(act, outside) for act in acts]
    return [*acts, crowd]


def _listener(kind: socket.SocketKind) -> socket.socket:
    listener = socket.socket(socket.AF_INET, kind)
    listener.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        listener.listen(1)
    return listener


def _seen_from_outside(act: Act, outside: Path) -> Act:
    """What the worker said is replaced by what the judge sees, where it can see it."""
    if act.act == "write a file outside the work folder":
        return act.model_copy(update={"stopped": not outside.exists()})
    if act.act == "leave a process behind" and not act.stopped:
        pid = int(act.note)
        return act.model_copy(update={"stopped": not _running(pid), "note": "ended with its tree"})
    return act


def _running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _crowd_is_ended(session: Session) -> Act:
    try:
        session.ask("crowd", 20, processes=LIMITS["processes"] + 8)
    except WorkerEnded as ended:
        return Act(act=_CROWD, stopped="watchdog" in ended.message, note=ended.message)
    return Act(act=_CROWD, stopped=False)


def level_of(acts: Sequence[Act]) -> str:
    """The highest level all of whose acts were stopped; L3 is never claimed by this self-test."""
    stopped = {act.act for act in acts if act.stopped}
    if not stopped.issuperset(_L1_ACTS):
        return "L0"
    return "L2" if stopped.issuperset(_L2_ACTS) else "L1"
