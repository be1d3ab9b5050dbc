"""Reads process trees from /proc and kills them; standard library only, for the supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

GRACE = 0.5  # seconds


def parents() -> dict[int, int]:
    """The parent of every process."""
    table = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text("utf-8", "replace")
                table[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError, IndexError):
                continue
    return table


def below(pid: int, table: dict[int, int]) -> set[int]:
    members: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in table.items() if parent in frontier} - members
        members |= frontier
    return members


def descendants(pid: int) -> set[int]:
    return below(pid, parents())


def field(pid: int, file: str, name: str) -> list[str]:
    """The words after `name` in a file of /proc/PID; empty where there are none or the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text("ascii", "replace").splitlines():
            if line.startswith(name):
                return line.split()[1:]
    return []


def inner_number(pid: int) -> int:
    """The pid of a process (or thread) in its own pid namespace; 0 where it is gone."""
    words = field(pid, "status", "NSpid:")
    return int(words[-1]) if words else 0


def reap() -> list[tuple[int, int]]:
    """The pids and wait statuses of our children that have ended."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def kill_all(pids: set[int], grace: float = GRACE) -> None:
    """Sends SIGTERM, waits `grace` seconds, then sends SIGKILL, repeatedly for new forks."""
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(running(pid) for pid in pids):
        reap()
        time.sleep(0.01)
    for _ in range(5):
        living = {pid for pid in pids | set().union(*(descendants(pid) for pid in pids)) if running(pid)}
        if not living:
            return
        for pid in living:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.02)
        reap()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False
