"""Confines a process step by step, before any candidate is loaded."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from . import filter as seccomp
from .identity import become, unreadable
from .landlock import CHANGE, READ, READ_DIR, RUN, USE_DEVICE, restrict
from .namespaces import accounts, build_root
from .plan import ROOT, SHARED_MEMORY, Jail

# Without these files the C library asks a name server for the user.
_OF_ETC = ("passwd", "group", "hosts", "nsswitch.conf")
# The part of a shared /proc that a process may read: itself, and the machine.
_OF_PROC = (
    "self",
    "cpuinfo",
    "meminfo",
    "stat",
    "loadavg",
    "uptime",
    "version",
    "filesystems",
    "sys/kernel/osrelease",
    "sys/vm/overcommit_memory",
    "driver/nvidia",
)


def move_in(jail: Jail) -> None:
    """Builds the worker's root file system; called in the first process of new namespaces. Raises OSError."""
    build_root(
        f"{jail.folder}/{ROOT}",
        jail.readable,
        jail.writable,
        jail.devices,
        f"{jail.folder}/{SHARED_MEMORY}",
        jail.hidden,
        accounts(os.geteuid() if jail.user is None else jail.user, f"{jail.folder}/home"),
    )


def shut(jail: Jail, hand_over: Callable[[int], None]) -> None:
    """Sets the worker's user, file access and seccomp filter. `hand_over` gets the filter's listener, or -1.

    Raises OSError with the failed step; the process cannot be used then.
    """
    if jail.namespaces or jail.landlock or jail.user is not None:
        become(jail.user)
        hidden = unreadable((*jail.readable, *jail.writable))
        if hidden:
            raise OSError(errno.EACCES, f"{hidden} cannot be read by user {jail.user}")
    if jail.landlock:
        restrict(_allowed(jail))
    if jail.seccomp:
        _filter(jail.namespaces, hand_over)
    else:
        hand_over(-1)


def _filter(own_network: bool, hand_over: Callable[[int], None]) -> None:
    """The filter applies to the thread that installs it. To send the listener is a call that the filter may
    block until the listener answers, so a thread that was started before sends it."""
    installed = threading.Event()
    listener: list[int] = []

    def send() -> None:
        installed.wait()
        for descriptor in listener:
            hand_over(descriptor)
            os.close(descriptor)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        listener.append(seccomp.install(own_network))
    except KeyError:
        raise OSError(errno.ENOSYS, "the filter supports x86-64 and arm64 only") from None
    finally:
        installed.set()
        sender.join()


def _allowed(jail: Jail) -> list[tuple[str, int]]:
    allowed = [(path, RUN) for path in jail.readable]
    allowed += [(path, CHANGE) for path in jail.writable]
    allowed += [(path, USE_DEVICE) for path in jail.devices]
    allowed.append(("/dev/shm", CHANGE))
    if jail.namespaces:
        # The root contains only what was given.
        return [*allowed, ("/", READ_DIR), ("/etc", READ), ("/proc", READ)]
    allowed += [(f"/etc/{name}", READ) for name in _OF_ETC]
    return [*allowed, *((f"/proc/{name}", READ) for name in _OF_PROC)]
