"""The resources of a process tree, seen from outside.

On Linux the numbers come from /proc; elsewhere from psutil, with private or resident memory in place of
anonymous memory. Processes may end during a reading: a process that is gone or not readable counts as zero.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import psutil

from .judge import Sample

HAS_PROC = sys.platform == "linux" and Path("/proc/self/status").exists()
MAX_FILES = 200_000

_PROC = Path("/proc")
_HAS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()
_GONE = (OSError, psutil.Error)


@dataclass(frozen=True)
class Holding:
    """The resources of a process: bytes and counts."""

    rss_anon: int = 0
    shmem: int = 0
    swap: int = 0
    fds: int = 0
    threads: int = 0
    zombies: int = 0
    mappings: int = 0


def tree(pid: int) -> list[int]:
    """`pid` and all its descendants, zombies among them, parents first; empty if it is gone."""
    if HAS_PROC and _HAS_CHILDREN:
        return _proc_tree(pid)
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return [pid, *(child.pid for child in children)]


def process_start(pid: int) -> float:
    """When the process was started, in a unit of the system's own; 0 if there is no such process."""
    if HAS_PROC:
        try:
            text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
            # Of proc(5), in clock ticks since the boot; the name before it may hold spaces and brackets.
            return float(text.rpartition(")")[2].split()[19])
        except OSError:
            return 0.0
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def sample_tree(
    pid: int, call: int, seconds: float, folder: Path, latency: float = 0.0, errors: int = 0
) -> Sample:
    """One `Sample` of the tree of `pid`, after `call` calls and `seconds`, with the files below `folder`."""
    pids = tree(pid)
    held = [(_read_proc if HAS_PROC else _read_psutil)(process) for process in pids]
    sums = {column.name: sum(getattr(holding, column.name) for holding in held) for column in fields(Holding)}
    files, file_bytes = _folder(folder)
    _, shm_bytes = _folder(folder / "shm")
    return Sample(
        call,
        seconds,
        **sums,
        children=max(0, len(pids) - 1),
        files=files,
        file_bytes=file_bytes - shm_bytes,
        shm_bytes=shm_bytes,
        latency=latency,
        errors=errors,
    )


def open_sockets(pids: Iterable[int]) -> tuple[str, ...]:
    """The remote ends (`tcp 203.0.113.5:443`) of the processes' internet sockets, sorted; unconnected and
    Unix sockets left out.
    """
    remotes: set[str] = set()
    for pid in pids:
        remotes.update(_proc_remotes(pid) if HAS_PROC else _psutil_remotes(pid))
    return tuple(sorted(remotes))


def _proc_tree(pid: int) -> list[int]:
    """From the kernel's lists of children per thread, without a scan of all processes."""
    pids, waiting = [], [pid]
    while waiting:
        current = waiting.pop(0)
        pids.append(current)
        try:
            threads = list((_PROC / str(current) / "task").iterdir())
        except OSError:
            if current == pid:
                return []
            continue
        for thread in threads:
            with suppress(FileNotFoundError, ProcessLookupError):
                waiting += map(int, (thread / "children").read_text("ascii").split())
    return pids


def _read_proc(pid: int) -> Holding:
    """A zombie has no memory lines."""
    try:
        status = (_PROC / str(pid) / "status").read_text("utf-8", "replace")
    except OSError:
        return Holding()
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    anon, shmem, swap = (
        int(lines.get(key, "0").split()[0]) * 1024 for key in ("RssAnon", "RssShmem", "VmSwap")
    )
    return Holding(
        anon,
        shmem,
        swap,
        len(_descriptors(pid)),
        int(lines.get("Threads", "0")),
        int(lines.get("State", " ").strip().startswith("Z")),
        _mappings(pid),
    )


def _mappings(pid: int) -> int:
    try:
        return (_PROC / str(pid) / "maps").read_bytes().count(b"\n")
    except OSError:
        return 0


def _read_psutil(pid: int) -> Holding:
    try:
        process = psutil.Process(pid)
        memory = process.memory_info()
        # The first is Windows' name for it.
        count_handles = getattr(process, "num_handles", None) or process.num_fds
        private = int(getattr(memory, "private", memory.rss))
        zombie = int(process.status() == psutil.STATUS_ZOMBIE)
        return Holding(private, 0, 0, int(count_handles()), int(process.num_threads()), zombie)
    except psutil.Error:
        return Holding()


def _descriptors(pid: int) -> list[str]:
    try:
        return [entry.name for entry in (_PROC / str(pid) / "fd").iterdir()]
    except OSError:
        return []


def _folder(folder: Path) -> tuple[int, int]:
    """Number of files and folders below `folder` (up to `MAX_FILES`), and the files' bytes; no links."""
    count = size = 0
    for entry in islice(_walk(folder), MAX_FILES):
        count += 1
        try:
            if not entry.is_dir(follow_symlinks=False):
                size += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return count, size


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                yield entry


def _proc_remotes(pid: int) -> Iterator[str]:
    inodes = set(_socket_inodes(pid))
    if not inodes:
        return
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            rows = (_PROC / str(pid) / "net" / table).read_text("ascii", "replace").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if len(fields) > 9 and fields[9] in inodes:
                remote = _remote(fields[2])
                if remote:
                    yield f"{table[:3]} {remote}"


def _socket_inodes(pid: int) -> Iterator[str]:
    for name in _descriptors(pid):
        try:
            target = str((_PROC / str(pid) / "fd" / name).readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _remote(field: str) -> str:
    """`0100007F:1F90` -> `127.0.0.1:8080`: /proc/net gives addresses as 32-bit words in the machine's byte
    order.
    """
    words, _, port = field.partition(":")
    if int(port, 16) == 0:
        return ""
    raw = b"".join(int(words[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(words), 8))
    return _address(str(ipaddress.ip_address(raw)), int(port, 16))


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _psutil_remotes(pid: int) -> Iterator[str]:
    try:
        connections = psutil.Process(pid).net_connections("inet")
    except _GONE:
        return
    for connection in connections:
        if connection.raddr:
            kind = "udp" if connection.type.name == "SOCK_DGRAM" else "tcp"
            yield f"{kind} {_address(connection.raddr.ip, connection.raddr.port)}"
