"""Landlock: limits the files, TCP ports and processes that this process and its children can reach,
permanently.

Structures and bits from linux/landlock.h. Rights that the running kernel does not support are omitted; the
isolation self-test then shows what is unprotected.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from .calls import call, prctl

PR_SET_NO_NEW_PRIVS = 38
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
# All rights except to create devices and to execute files.
CHANGE = (
    READ
    | WRITE_FILE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_SYM
    | REFER
    | TRUNCATE
)
USE_DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV

_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract Unix sockets, signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def abi() -> int:
    """The ABI version of the kernel; 0 where it has no Landlock."""
    try:
        return call("landlock_create_ruleset", None, 0, _VERSION_FLAG)
    except (OSError, KeyError):
        return 0


def file_rights(version: int) -> int:
    """Every file right of this Landlock version."""
    known = REFER - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        if version >= since:
            known |= right
    return known


def restrict(allowed: Iterable[tuple[str, int]], tcp: bool = False) -> int:
    """Restricts this process: below each path to its rights, elsewhere to none; no TCP unless `tcp`.

    Paths that do not exist are skipped. Returns the version in force; raises OSError where the kernel
    has no Landlock.
    """
    version = abi()
    if not version:
        raise OSError(0, "the kernel has no Landlock, or it is switched off")
    known = file_rights(version)
    attributes = _Ruleset(known, 0 if tcp or version < 4 else _TCP, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = call("landlock_create_ruleset", ctypes.byref(attributes), size, 0)
    try:
        for path, rights in allowed:
            _allow(ruleset, path, rights & known)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        beneath = _Beneath(rights, place)
        call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(place)
