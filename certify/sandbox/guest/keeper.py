"""The keeper: the process between nursery and worker. Orphaned daemons of the worker stay in its process
tree.

It confines the worker, reaps children like an init process, and exits with the worker's exit status. With
private namespaces, a second process of ours is pid 1 in them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..jail.enter import move_in, shut
from ..jail.identity import limit
from ..jail.namespaces import leave
from ..jail.plan import Jail
from .forget_paths import forget_missing_paths
from .worker import run

REQUESTS, ANSWERS, EVENTS = 3, 4, 5
# The worker's file descriptors: requests, answers, stdout, stderr, events.
ARRANGED = (REQUESTS, ANSWERS, 1, 2, EVENTS)
_DOOR = max(ARRANGED) + 1
# From Linux's prctl.h.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def keep(spec: dict[str, Any], descriptors: list[int]) -> None:
    """Never returns. `descriptors`: those for ARRANGED, then the socket to the supervisor."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _call_prctl(PR_SET_CHILD_SUBREAPER, 1)
    _call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if spec["cgroup"]:
        _enter(spec["cgroup"])
    jail = Jail.from_dict(spec["jail"])
    if not jail.namespaces:
        _leave_as(_wait_for(_fork_worker(spec, jail, descriptors)))
    try:
        leave()
    except OSError as error:
        _give_up(descriptors[-1], error)
    status_read, status_write = os.pipe()
    if os.fork() == 0:
        _be_first(spec, jail, descriptors, status_write)
    os.close(status_write)
    os.closerange(3, status_read)
    os.closerange(status_read + 1, 4096)
    status = os.read(status_read, 8)
    os.wait()
    _leave_as(int.from_bytes(status, "little") if status else signal.SIGKILL)


def _enter(group: str) -> None:
    """Moves this process, and so its later children, into a control group. The host verifies it."""
    try:
        Path(group, "cgroup.procs").write_text("0", "ascii")
    except OSError:
        return


def _be_first(spec: dict[str, Any], jail: Jail, descriptors: list[int], status_write: int) -> None:
    """Pid 1 of the new namespaces; they end with it. It writes the worker's wait status to a pipe, because
    the kernel delivers no fatal signals from inside to pid 1."""
    _call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        move_in(jail)
    except OSError as error:
        _give_up(descriptors[-1], error)
    status = _wait_for(_fork_worker(spec, jail, descriptors, status_write))
    os.write(status_write, status.to_bytes(8, "little"))
    os._exit(0)


def _fork_worker(spec: dict[str, Any], jail: Jail, descriptors: list[int], ours: int = -1) -> int:
    worker = os.fork()
    if worker == 0:
        if ours >= 0:
            os.close(ours)
        _call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _become_worker(spec, jail, descriptors)
    for descriptor in range(3, 4096):
        if descriptor != ours:
            _close(descriptor)
    return worker


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


def _wait_for(worker: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            return status


def _leave_as(status: int) -> None:
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _give_up(door: int, error: OSError) -> None:
    """Sends the supervisor the error of the wall that could not be built, and exits."""
    with socket.socket(fileno=door) as channel:
        channel.send(str(error).encode()[:400])
    os._exit(70)


def _call_prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _become_worker(spec: dict[str, Any], jail: Jail, descriptors: list[int]) -> None:
    os.setsid()
    _arrange(descriptors)
    os.environ.clear()
    os.environ.update(spec["environment"])
    # Libraries imported in the nursery may have made tempfile cache another folder.
    tempfile.tempdir = None
    sys.argv = ["plugin-host"]
    limit(spec["limits"])
    os.chdir(Path(jail.folder) / "work")
    try:
        shut(jail, _hand_over)
    except OSError as error:
        _give_up(_DOOR, error)
    # A change of user clears it.
    _call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _close(_DOOR)
    forget_missing_paths()
    run(REQUESTS, ANSWERS, EVENTS)


def _hand_over(listener: int) -> None:
    """Sends the filter's listener (-1: there is none) to the supervisor."""
    with socket.socket(fileno=os.dup(_DOOR)) as channel:
        if listener < 0:
            channel.send(b"up")
        else:
            socket.send_fds(channel, [b"up"], [listener])


def _arrange(descriptors: list[int]) -> None:
    """Sets 0 to /dev/null, then ARRANGED, then the socket to the supervisor; closes all other descriptors."""
    high = [os.dup2(descriptor, 200 + index) for index, descriptor in enumerate(map(os.dup, descriptors))]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for target, source in zip((*ARRANGED, _DOOR), high, strict=True):
        # Programs that the plugin starts must not inherit the protocol.
        os.dup2(source, target, inheritable=target <= 2)
    os.closerange(_DOOR + 1, 4096)
