"""Answers the calls that the filter does not simply allow, and tells what was tried: the supervisor's side.

What is told of a call's registers is a fact. Paths and addresses are read from the caller's memory, which
another of its threads may change meanwhile; so they add suspicion, and never decide what is let through.
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
_ASKED = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1

# What everybody may open: devices, and what the system tells of itself and of the caller.
_FREE = ("/dev", "/proc", "/sys", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/run", "/var")
_FREE_TO_WRITE = ("/dev/null", "/dev/tty", "/dev/shm", "/dev/nvidia", "/proc/self", "/proc/thread-self")
# Where a plugin can keep files that lie on no disk.
_IN_MEMORY = ("/dev/shm", "/proc/self/fd", "/proc/thread-self/fd")
_PROGRAMS = ("execve", "execveat")
_OPENING = {"open": 1, "openat": 2}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MAX_TEXT = 300
_OWN_PROCESS = re.compile(rb"/proc/(?:thread-)?self(?=/)")


@dataclass(frozen=True)
class Asked:
    """One call that waits for an answer: who (as the listener numbers processes), which, with what."""

    identity: int
    pid: int
    call: str
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Attempt:
    """What was tried. Kinds: `network`, `local`, `write`, `read`, `weights` (`WHAT SHA256 PATH`), `process`,
    `signal`, `kernel`.
    """

    kind: str
    detail: str
    refused: bool


@lru_cache(maxsize=1)
def _names() -> dict[int, str]:
    return {number: name for name, number in NUMBERS[machine()].items()}


def receive(listener: int) -> Asked | None:
    """The next call that waits; None where it is gone. Raises OSError where nobody is left to listen to."""
    frame = bytearray(_ASKED.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, frame, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    identity, pid, _, number, _, _, *arguments = _ASKED.unpack(frame)
    return Asked(identity, pid, _names().get(number, f"call {number}"), tuple(arguments))


def answer(listener: int, asked: Asked, allowed: bool) -> None:
    """Lets the call go on, or refuses it with EPERM; one whose caller has died meanwhile needs none."""
    frame = _ANSWER.pack(asked.identity, 0, 0 if allowed else -errno.EPERM, _CONTINUE if allowed else 0)
    try:
        fcntl.ioctl(listener, _SEND, frame)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINPROGRESS):
            raise


@dataclass(frozen=True)
class Bounds:
    """What the caller may do: `own` says whether a process number of its means one of its own processes;
    `folders` are its to write in, `given` to read; `glance` tells of a file that it opens there, while the
    call waits, what weights it holds: empty for none."""

    own: Callable[[int], bool]
    folders: tuple[str, ...]
    given: tuple[str, ...]
    glance: Callable[[IO[bytes]], str] = lambda _: ""


def judge(asked: Asked, bounds: Bounds, memory: Memory) -> tuple[bool, Attempt | None]:
    """Whether the call goes on, and what is to be told of it."""
    name, arguments = asked.call, asked.arguments
    if name in ("kill", "tkill", "tgkill"):
        return _judge_signal(name, arguments, bounds.own)
    if name in _PROGRAMS:
        return True, Attempt("process", memory.path(asked.pid, *_place(asked)), False)
    if name in PATHS:
        return True, _opened(asked, bounds, memory)
    if name in ("connect", "bind", "sendto", "sendmsg", "sendmmsg"):
        return True, _addressed(asked, bounds, memory)
    return False, Attempt(*_refused(name, arguments), refused=True)


def _judge_signal(
    name: str, arguments: tuple[int, ...], own: Callable[[int], bool]
) -> tuple[bool, Attempt | None]:
    target, number = _signed(arguments[0]), arguments[2 if name == "tgkill" else 1]
    group = name == "kill" and target <= 0
    if target == 0 or (target != -1 and own(-target if group else target)):
        return True, None
    if number == 0:
        # Nothing is sent; it asks whether such a process is there.
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


def _place(asked: Asked) -> tuple[int, int]:
    """The folder's descriptor (-1: the working folder) and the address of the path."""
    folder_at, path_at = PATHS[asked.call]
    folder = _signed(asked.arguments[folder_at]) if folder_at >= 0 else -1
    return folder, asked.arguments[path_at]


def _opened(asked: Asked, bounds: Bounds, memory: Memory) -> Attempt | None:
    flags_at = _OPENING.get(asked.call)
    writes = flags_at is None or bool(asked.arguments[flags_at] & _WRITING)
    path = memory.path(asked.pid, *_place(asked))
    if flags_at is not None and (weights := _weights(asked, path, bounds, memory)):
        return Attempt("weights", f"{weights} {path}", False)
    if is_below(path, bounds.folders) or _is_of_own_process(path, bounds.own):
        return None
    free = _FREE_TO_WRITE if writes else (*_FREE, *bounds.given)
    # Of the system's own folders only what is nobody's business but the administrator's is told.
    if is_below(path, free) and (writes or not _is_private(path)):
        return None
    return Attempt("write" if writes else "read", path, False)


def _weights(asked: Asked, path: str, bounds: Bounds, memory: Memory) -> str:
    """What weights the file holds that is there now; a plugin that swaps it before it is read goes unseen."""
    in_memory = is_below(path, _IN_MEMORY)
    # Files of the kernel's are asked nothing: to read some of them is an act.
    if not in_memory and (
        is_below(path, ("/proc", "/sys", "/dev")) or not is_below(path, (*bounds.folders, *bounds.given))
    ):
        return ""
    try:
        with memory.file(asked.pid, *_place(asked)) as stream:
            return bounds.glance(stream)
    except OSError:
        return ""


def is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _is_of_own_process(path: str, own: Callable[[int], bool]) -> bool:
    """The caller writes its number as its own namespace has it."""
    head = path[len("/proc/") :].partition("/")[0] if path.startswith("/proc/") else ""
    return head.isascii() and head.isdigit() and len(head) < 10 and own(int(head))


def _is_private(path: str) -> bool:
    """Other processes, accounts, and the sockets of services."""
    if path.startswith("/proc/"):
        head = path.split("/")[2]
        return head.isdigit() or head in ("kcore", "kmem", "kallsyms")
    return path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/dev/mem", "/dev/kmem") or is_below(
        path, ("/var/run", "/run/user", "/run/secrets", "/etc/ssh", "/var/lib/docker", "/var/spool/cron")
    )


def _addressed(asked: Asked, bounds: Bounds, memory: Memory) -> Attempt | None:
    if asked.call in ADDRESSES:
        at, length_at = ADDRESSES[asked.call]
        place, length = asked.arguments[at], asked.arguments[length_at] & 0xFFFFFFFF
    else:
        # struct msghdr begins with the address and its length; struct mmsghdr begins with a msghdr.
        head = memory.read(asked.pid, asked.arguments[1], 12)
        place, length = struct.unpack("=QI", head) if len(head) == 12 else (0, 0)
    told = describe_address(memory.read(asked.pid, place, min(length, 128)) if place else b"")
    if told is None or (told[0] == "local" and is_below(told[1], bounds.folders)):
        return None
    return Attempt(told[0], f"{asked.call} {told[1]}", False)


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
        # Without a name it is between two ends of the same process.
        return ("local", ("@" if abstract else "") + _plain(text)) if text else None
    return "network", f"an address of family {family}"


def _refused(name: str, arguments: tuple[int, ...]) -> tuple[str, str]:
    if name == "socket":
        family, kind = arguments[0] & 0xFFFFFFFF, arguments[1] & 0xF
        told = f"socket {_family(family)} {_kind(kind)}"
        return ("network" if family in (2, 10) else "local" if family == 1 else "kernel"), told
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
    """What a caller's pointers point at, read by way of /proc."""

    def read(self, pid: int, address: int, size: int) -> bytes:
        """At most `size` bytes from there; empty where they cannot be read."""
        try:
            with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
                return os.pread(memory.fileno(), size, address)
        except (OSError, OverflowError, ValueError):
            return b""

    def path(self, pid: int, folder: int, address: int) -> str:
        """The path there, made absolute by text alone: links on the way are not followed."""
        raw = self._text(pid, address)
        if not raw.startswith("/"):
            try:
                link = "cwd" if folder < 0 else f"fd/{folder}"
                start = _plain(os.fsencode(Path(f"/proc/{pid}/{link}").readlink()))
            except OSError:
                start = "?"
            raw = f"{start}/{raw}" if raw else start
        # By POSIX two slashes at the start may mean something else; on Linux they do not.
        path = os.path.normpath(raw)
        return ("/" + path.lstrip("/") if path.startswith("/") else path)[:_MAX_TEXT]

    def file(self, pid: int, folder: int, address: int) -> IO[bytes]:
        """The regular file there, as the caller's own root and folders have it, opened to read. A device or
        a pipe is not opened, for that alone may do something, or wait. Raises OSError.
        """
        name, process = self._bytes(pid, address), f"/proc/{pid}".encode()
        if name.startswith(b"/"):
            place = _OWN_PROCESS.sub(process, name) if _OWN_PROCESS.match(name) else process + b"/root" + name
        else:
            place = process + (b"/cwd/" if folder < 0 else b"/fd/%d/" % folder) + name
        handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "no regular file")
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
