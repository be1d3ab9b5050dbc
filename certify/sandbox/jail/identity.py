"""The identity of the worker: no capabilities, and a user id of no account if started by root."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .calls import libc, prctl

_PR_CAPBSET_DROP, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 24, 4, 38
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
MAX_CAPABILITIES = 64
# User ids without accounts, above the range that systemd assigns.
FRESH_USERS = range(1_879_048_192, 1_879_113_728)


def become(user: int | None) -> None:
    """Changes to `user` (None: no change) and drops every capability, permanently. Raises OSError."""
    for capability in range(MAX_CAPABILITIES):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _give_up_capabilities()
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # After a change of user /proc/self would belong to root.
    prctl(_PR_SET_DUMPABLE, 1)


def _give_up_capabilities() -> None:
    prctl(_PR_CAP_AMBIENT, _CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if libc().capset(header, none):
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def limit(limits: dict[str, int]) -> None:
    """Sets soft and hard RLIMIT_* by name, never above the current hard limit."""
    # Windows has no such module.
    import resource

    for name, value in limits.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def unreadable(paths: Sequence[str]) -> str:
    """The first of these paths that this user cannot read; empty if there is none."""
    for path in paths:
        try:
            is_folder = stat.S_ISDIR(Path(path).stat().st_mode)
        except FileNotFoundError:
            continue
        except OSError:
            return path
        if not os.access(path, os.R_OK | (os.X_OK if is_folder else 0)):
            return path
    return ""
