"""What a process tree holds, seen from outside.

On Linux the numbers come from /proc; elsewhere from psutil, with private or resident memory in place of
anonymous memory. Processes vanish while one looks: what is gone, or not ours to read, counts as nothing.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import psutil

from .leaks import Sample

HAS_PROC = sys.platform == "linux" and Path("/proc/self/status").exists()
MAX_FILES = 200_000

_PROC = Path("/proc")
_GONE = (OSError, psutil.Error)


def tree(pid: int) -> list[int]:
    """`pid` and all its descendants, zombies among them, parents first; empty when it is gone."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return [pid, *(child.pid for child in children)]


def sample_tree(pid: int, call: int, seconds: float, folder: Path) -> Sample:
    """One `Sample` of the tree of `pid`, after `call` calls and `seconds`, with the files below `folder`."""
    pids = tree(pid)
    read = _read_proc if HAS_PROC else _read_psutil
    memory, fds, threads = (sum(column) for column in zip((0, 0, 0), *map(read, pids), strict=True))
    files, file_bytes = _folder(folder)
    return Sample(call, seconds, memory, fds, threads, max(0, len(pids) - 1), files, file_bytes)


def open_sockets(pids: Iterable[int]) -> tuple[str, ...]:
    """The remote ends (`tcp 203.0.113.5:443`) of the processes' internet sockets, sorted; unconnected and
    Unix sockets left out.
    """
    found: set[str] = set()
    for pid in pids:
        found.update(_proc_remotes(pid) if HAS_PROC else _psutil_remotes(pid))
    return tuple(sorted(found))


def _read_proc(pid: int) -> tuple[int, int, int]:
    """Bytes of RssAnon + RssShmem + VmSwap, open descriptors, threads. A zombie has no memory lines."""
    try:
        status = (_PROC / str(pid) / "status").read_text("utf-8", "replace")
    except OSError:
        return 0, 0, 0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    memory = sum(int(lines.get(key, "0").split()[0]) for key in ("RssAnon", "RssShmem", "VmSwap")) * 1024
    return memory, len(_descriptors(pid)), int(lines.get("Threads", "0"))


def _read_psutil(pid: int) -> tuple[int, int, int]:
    try:
        process = psutil.Process(pid)
        memory = process.memory_info()
        count_handles = (
            getattr(process, "num_handles", None) or process.num_fds
        )  # the first is Windows' name for it
        return int(getattr(memory, "private", memory.rss)), int(count_handles()), int(process.num_threads())
    except psutil.Error:
        return 0, 0, 0


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
