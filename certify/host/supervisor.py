"""The supervisor: a small trusted process that owns everything that runs beside the candidate.

It starts the nursery (which imports torch once and forks workers), reaps orphans as a child subreaper, holds
the tree to its limits, and kills all of it when told to, or when the judge is gone. Run as a script
(`python -I -S supervisor.py CONTROL NURSERY LIMITS COMMAND...`) with the standard library alone.

On the control socket: `{"kill": pid}` is answered by `{"killed": pid}`; a limit that was passed is told as
`{"limit": text, "pid": pid}`, the end of the nursery as `{"nursery": status}`.
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
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = 0.1
GRACE = 0.5


def main(argv: list[str]) -> int:
    control = socket.socket(fileno=int(argv[1]))
    nursery_socket = int(argv[2])
    limits = json.loads(argv[3])
    _become_subreaper()
    os.set_inheritable(nursery_socket, True)
    nursery = _start(argv[4:], control)
    os.close(nursery_socket)
    try:
        _watch(control, nursery, limits)
    finally:
        kill_all(descendants(os.getpid()))
    return 0


def _become_subreaper() -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _start(command: list[str], control: socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        control.close()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        os.execv(command[0], command)
    return pid


def _watch(control: socket.socket, nursery: int, limits: dict[str, int]) -> None:
    alive = True
    while True:
        ready, _, _ = select.select([control], [], [], TICK)
        if ready:
            message = control.recv(65536)
            if not message:
                return
            pid = int(json.loads(message)["kill"])
            kill_all(_tree_and_orphans(pid, nursery))
            _tell(control, {"killed": pid})
        for pid, status in _reap():
            if pid == nursery and alive:
                alive = False
                _tell(control, {"nursery": status})
        _enforce(control, nursery, limits)


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    # Where the judge is gone, the next read says so.
    with contextlib.suppress(OSError):
        control.send(json.dumps(message).encode())


def _reap() -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def _enforce(control: socket.socket, nursery: int, limits: dict[str, int]) -> None:
    """Ends a worker whose tree has too many processes or holds too much memory."""
    parents = _parents()
    for worker in [pid for pid, parent in parents.items() if parent == nursery]:
        tree = _below(worker, parents) | {worker}
        reason = ""
        if len(tree) > limits["processes"]:
            reason = f"{len(tree)} processes, limit {limits['processes']}"
        elif (held := _memory_of(tree, limits["memory"])) > limits["memory"]:
            reason = f"{held >> 20} MiB of memory, limit {limits['memory'] >> 20} MiB"
        if reason:
            _tell(control, {"limit": reason, "pid": worker})
            kill_all(tree, grace=0)


def _memory_of(tree: set[int], limit: int) -> int:
    """Bytes held by a tree. RssAnon is cheap, but counts what forks share once for each of them; where it is
    over the limit, the proportional share (Pss) is read, which costs milliseconds."""
    held = sum(_field(pid, "status", "RssAnon:") + _field(pid, "status", "RssShmem:") for pid in tree)
    if held <= limit:
        return held
    return sum(_field(pid, "smaps_rollup", name) for pid in tree for name in ("Pss_Anon:", "Pss_Shmem:"))


def _field(pid: int, file: str, name: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text("ascii", "replace").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def _tree_and_orphans(pid: int, nursery: int) -> set[int]:
    """A worker's tree, and what it left behind: orphans come to the subreaper."""
    parents = _parents()
    tree = _below(pid, parents) | {pid}
    for orphan in [child for child, parent in parents.items() if parent == os.getpid() and child != nursery]:
        tree |= _below(orphan, parents) | {orphan}
    return tree


def descendants(pid: int) -> set[int]:
    return _below(pid, _parents())


def _parents() -> dict[int, int]:
    table = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text("utf-8", "replace")
                table[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError, IndexError):
                continue
    return table


def _below(pid: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def kill_all(pids: set[int], grace: float = GRACE) -> None:
    """TERM, a moment, then KILL, and again for what was forked meanwhile."""
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(_running(pid) for pid in pids):
        _reap()
        time.sleep(0.01)
    for _ in range(5):
        living = {pid for pid in pids | set().union(*(descendants(pid) for pid in pids)) if _running(pid)}
        if not living:
            return
        for pid in living:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.02)
        _reap()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv))
