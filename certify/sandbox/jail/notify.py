"""Decides the system calls that the filter does not simply allow, and reports attempts: the supervisor's
side.

A call's registers are facts. Paths and addresses are read from the caller's memory, which another of its
threads may change meanwhile; so they can add suspicion but never decide what is allowed.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import re
import signal
import socket
import stat
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from .calls import NUMBERS, machine
from .filter import ADDRESSES, CLONE_NEW, PATHS

# From linux/seccomp.h: struct seccomp_notif, struct seccomp_notif_resp, and their ioctls.
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1

# Paths that every process may read: devices, system folders, and the caller's own /proc.
_FREE = ("/dev", "/proc", "/sys", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/run", "/var")
_FREE_TO_WRITE = ("/dev/null", "/dev/tty", "/dev/shm", "/dev/nvidia", "/proc/self", "/proc/thread-self")
# Paths of files that are in memory only.
_IN_MEMORY = ("/dev/shm", "/proc/self/fd", "/proc/thread-self/fd")
_PROGRAMS = ("execve", "execveat")
_OPENING = {"open": 1, "openat": 2}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MAX_TEXT = 300  # characters
_OWN_PROCESS = re.compile(rb"/proc/(?:thread-)?self(?=/)")


@dataclass(frozen=True)
class Syscall:
    """A system call that waits for a decision: the caller's pid (in our namespace), name and arguments."""

    identity: int
    pid: int
    call: str
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Attempt:
    """An attempt. Kinds: `network`, `local`, `write`, `read`, `weights` (`WHAT SHA256 PATH`), `process`,
    `signal`, `kernel`.
    """

    kind: str
    detail: str
    refused: bool


@lru_cache(maxsize=1)
def _names() -> dict[int, str]:
    return {number: name for name, number in NUMBERS[machine()].items()}


def receive(listener: int) -> Syscall | None:
    """The next waiting call; None where it is gone. Raises OSError where no process is left."""
    frame = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, frame, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    identity, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(frame)
    return Syscall(identity, pid, _names().get(number, f"call {number}"), tuple(arguments))


def answer(listener: int, syscall: Syscall, allowed: bool) -> None:
    """Allows the call, or refuses it with EPERM; ignores a caller that has died."""
    frame = _ANSWER.pack(syscall.identity, 0, 0 if allowed else -errno.EPERM, _CONTINUE if allowed else 0)
    try:
        fcntl.ioctl(listener, _SEND, frame)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINPROGRESS):
            raise


@dataclass(frozen=True)
class Bounds:
    """What the caller may do. `own` says whether a pid in its namespace is one of its own processes. It may
    write below `folders` and read below `given`. `glance` inspects a file that it opens there, while the
    call waits, and returns its kind of weights: empty for none."""

    own: Callable[[int], bool]
    folders: tuple[str, ...]
    given: tuple[str, ...]
    glance: Callable[[IO[bytes]], str] = lambda _: ""


def judge(syscall: Syscall, bounds: Bounds, memory: Memory) -> tuple[bool, Attempt | None]:
    """Whether the call is allowed, and the attempt to report, if any."""
    name, arguments = syscall.call, syscall.arguments
    if name in ("kill", "tkill", "tgkill"):
        return _judge_signal(name, arguments, bounds.own)
    if name in _PROGRAMS:
        return True, Attempt("process", memory.path(syscall.pid, *_place(syscall)), False)
    if name in PATHS:
        return True, _opened(syscall, bounds, memory)
    if name in ("connect", "bind", "sendto", "sendmsg", "sendmmsg"):
        return True, _addressed(syscall, bounds, memory)
    return False, Attempt(*_refused(name, arguments), refused=True)


def _judge_signal(
    name: str, arguments: tuple[int, ...], own: Callable[[int], bool]
) -> tuple[bool, Attempt | None]:
    target, number = _signed(arguments[0]), arguments[2 if name == "tgkill" else 1]
    group = name == "kill" and target <= 0
    if target == 0 or (target != -1 and own(-target if group else target)):
        return True, None
    if number == 0:
        # Signal 0 only tests whether the process exists.
        return False, None
    whom = "every process" if target == -1 else f"{'group' if group else 'process'} {abs(target)}"
    return False, Attempt("signal", f"{name} {whom} with {_signal_name(number)}", True)


def _signed(word: int) -> int:
    low = word & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number & 0xFFFFFFFF).name
    except ValueError:
        return f"signal {number}"


def _place(syscall: Syscall) -> tuple[int, int]:
    """The folder's descriptor (-1: the working folder) and the address of the path."""
    folder_at, path_at = PATHS[syscall.call]
    folder = _signed(syscall.arguments[folder_at]) if folder_at >= 0 else -1
    return folder, syscall.arguments[path_at]


def _opened(syscall: Syscall, bounds: Bounds, memory: Memory) -> Attempt | None:
    flags_at = _OPENING.get(syscall.call)
    writes = flags_at is None or bool(syscall.arguments[flags_at] & _WRITING)
    path = memory.path(syscall.pid, *_place(syscall))
    if flags_at is not None and (weights := _weights(syscall, path, bounds, memory)):
        return Attempt("weights", f"{weights} {path}", False)
    if is_below(path, bounds.folders) or _is_of_own_process(path, bounds.own):
        return None
    free = _FREE_TO_WRITE if writes else (*_FREE, *bounds.given)
    # In the system's folders only reads of private paths are reported.
    if is_below(path, free) and (writes or not _is_private(path)):
        return None
    return Attempt("write" if writes else "read", path, False)


def _weights(syscall: Syscall, path: str, bounds: Bounds, memory: Memory) -> str:
    """The kind of weights in the file now; a plugin that replaces it before reading is not noticed."""
    in_memory = is_below(path, _IN_MEMORY)
    # Kernel files are not opened: to read some of them has side effects.
    if not in_memory and (
        is_below(path, ("/proc", "/sys", "/dev")) or not is_below(path, (*bounds.folders, *bounds.given))
    ):
        return ""
    try:
        with memory.file(syscall.pid, *_place(syscall)) as stream:
            return bounds.glance(stream)
    except OSError:
        return ""


def is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _is_of_own_process(path: str, own: Callable[[int], bool]) -> bool:
    """Whether the path is of a process of the caller, by the pid in the caller's namespace."""
    head = path[len("/proc/") :].partition("/")[0] if path.startswith("/proc/") else ""
    return head.isascii() and head.isdigit() and len(head) < 10 and own(int(head))


def _is_private(path: str) -> bool:
    """Whether the path belongs to other processes, accounts, or sockets of services."""
    if path.startswith("/proc/"):
        head = path.split("/")[2]
        return head.isdigit() or head in ("kcore", "kmem", "kallsyms")
    return path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/dev/mem", "/dev/kmem") or is_below(
        path, ("/var/run", "/run/user", "/run/secrets", "/etc/ssh", "/var/lib/docker", "/var/spool/cron")
    )


def _addressed(syscall: Syscall, bounds: Bounds, memory: Memory) -> Attempt | None:
    if syscall.call in ADDRESSES:
        at, length_at = ADDRESSES[syscall.call]
        place, length = syscall.arguments[at], syscall.arguments[length_at] & 0xFFFFFFFF
    else:
        # struct msghdr begins with the address and its length; struct mmsghdr begins with a msghdr.
        head = memory.read(syscall.pid, syscall.arguments[1], 12)
        place, length = struct.unpack("=QI", head) if len(head) == 12 else (0, 0)
    address = describe_address(memory.read(syscall.pid, place, min(length, 128)) if place else b"")
    if address is None or (address[0] == "local" and is_below(address[1], bounds.folders)):
        return None
    return Attempt(address[0], f"{syscall.call} {address[1]}", False)


def describe_address(raw: bytes) -> tuple[str, str] | None:
    """`("network", "HOST:PORT")` or `("local", PATH)` of a struct sockaddr; None where it is empty."""
    if len(raw) < 2:
        return None
    family = int.from_bytes(raw[:2], "little")
    if family == socket.AF_INET and len(raw) >= 8:
        return "network", f"{ipaddress.IPv4Address(raw[4:8])}:{int.from_bytes(raw[2:4], 'big')}"
    if family == 10 and len(raw) >= 24:
        return "network", f"{ipaddress.IPv6Address(raw[8:24])}:{int.from_bytes(raw[2:4], 'big')}"
    if family == 1:
        name = raw[2:]
        abstract = name[:1] == b"\0"
        text = name.strip(b"\0") if abstract else name.partition(b"\0")[0]
        # A socket without a name connects two ends of the same process.
        return ("local", ("@" if abstract else "") + _plain(text)) if text else None
    return "network", f"an address of family {family}"


def _refused(name: str, arguments: tuple[int, ...]) -> tuple[str, str]:
    if name == "socket":
        family, kind = arguments[0] & 0xFFFFFFFF, arguments[1] & 0xF
        detail = f"socket {_family(family)} {_kind(kind)}"
        return ("network" if family in (2, 10) else "local" if family == 1 else "kernel"), detail
    if name in ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"):
        return "kernel", f"{name} of process {arguments[1] if name == 'ptrace' else arguments[0]}"
    if name == "clone":
        return "kernel", f"clone with new namespaces ({arguments[0] & CLONE_NEW:#x})"
    if name in ("rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"):
        return "signal", f"{name} to {arguments[0]}"
    return "kernel", name


def _family(number: int) -> str:
    try:
        return socket.AddressFamily(number).name
    except ValueError:
        return f"family {number}"


def _kind(number: int) -> str:
    try:
        return socket.SocketKind(number).name
    except ValueError:
        return f"kind {number}"


class Memory:
    """Reads a caller's memory and files through /proc."""

    def read(self, pid: int, address: int, size: int) -> bytes:
        """At most `size` bytes at `address`; empty where they cannot be read."""
        try:
            with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
                return os.pread(memory.fileno(), size, address)
        except (OSError, OverflowError, ValueError):
            return b""

    def path(self, pid: int, folder: int, address: int) -> str:
        """The path at `address`, made absolute as text: symbolic links are not resolved."""
        raw = self._text(pid, address)
        if not raw.startswith("/"):
            try:
                link = "cwd" if folder < 0 else f"fd/{folder}"
                start = _plain(os.fsencode(Path(f"/proc/{pid}/{link}").readlink()))
            except OSError:
                start = "?"
            raw = f"{start}/{raw}" if raw else start
        # POSIX allows a special meaning of two leading slashes; Linux has none.
        path = os.path.normpath(raw)
        return ("/" + path.lstrip("/") if path.startswith("/") else path)[:_MAX_TEXT]

    def file(self, pid: int, folder: int, address: int) -> IO[bytes]:
        """Opens the regular file at the path, relative to the caller's root and working folder, for reading.
        A device or a pipe is not opened, because that may have side effects or block. Raises OSError."""
        name, process = self._bytes(pid, address), f"/proc/{pid}".encode()
        if name.startswith(b"/"):
            place = _OWN_PROCESS.sub(process, name) if _OWN_PROCESS.match(name) else process + b"/root" + name
        else:
            place = process + (b"/cwd/" if folder < 0 else b"/fd/%d/" % folder) + name
        handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            return open(f"/proc/self/fd/{handle}", "rb")  # noqa: PTH123
        finally:
            os.close(handle)

    def _text(self, pid: int, address: int) -> str:
        return _plain(self._bytes(pid, address))

    def _bytes(self, pid: int, address: int) -> bytes:
        # Reading stops at the end of a mapped page.
        raw = self.read(pid, address, 4096) or self.read(pid, address, 4096 - address % 4096)
        return raw.partition(b"\0")[0]


def _plain(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
