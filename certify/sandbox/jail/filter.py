"""The seccomp filter: a program for the kernel that refuses, reports or forwards system calls.

The kernel sends each call that is not simply allowed to the listener (`notify`), which decides and reports
it. Without a listener, calls to refuse are refused without a report, and calls to report are allowed."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .calls import AUDIT_ARCH, NUMBERS, call, machine, prctl
from .landlock import PR_SET_NO_NEW_PRIVS

# From linux/seccomp.h.
KILL_PROCESS, ERRNO, USER_NOTIF, ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_SET_MODE_FILTER = 1
_NEW_LISTENER = 8
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
# From linux/bpf_common.h: load a word, jump if equal / at least / any bit set, return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
_LOW, _WHOLE = 0xFFFFFFFF, 0xFFFFFFFF_FFFFFFFF

CLONE_NEW = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PR_SET_DUMPABLE, _PR_SET_SECCOMP = 4, 22


class Verdict(Enum):
    """The treatment of a call."""

    REFUSED = "refused"  # and reported
    DECIDED = "decided by the listener"
    WATCHED = "watched"  # allowed, and reported
    QUIETLY = "quietly refused"
    ABSENT = "as if the kernel had none"
    ALLOWED = "allowed"


@dataclass(frozen=True)
class Rule:
    """`verdict` for `call`, where its argument number `argument` has any bit of `bits`, or equals `value` in
    its lower half: the kernel reads only the lower half of an int."""

    call: str
    verdict: Verdict
    argument: int = -1
    value: int | None = None
    bits: int = 0


# Image generation needs none of these; each has been used to escape from a sandbox or to enter another
# process.
# fmt: off
_NEVER = (
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load",
    "kexec_load", "keyctl", "lookup_dcookie", "memfd_secret", "mount", "mount_setattr", "move_mount",
    "name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd",
    "pidfd_send_signal", "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
    "quotactl", "reboot", "request_key", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "seccomp", "setdomainname",
    "sethostname", "setns", "settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare",
    "userfaultfd",
)
# fmt: on
# By call: the argument that names the folder's descriptor (-1: none), and the one that names the path.
PATHS = {
    "chmod": (-1, 0),
    "chown": (-1, 0),
    "creat": (-1, 0),
    "execve": (-1, 0),
    "execveat": (0, 1),
    "fchmodat": (0, 1),
    "fchownat": (0, 1),
    "lchown": (-1, 0),
    "link": (-1, 1),
    "linkat": (2, 3),
    "mkdir": (-1, 0),
    "mkdirat": (0, 1),
    "mknod": (-1, 0),
    "mknodat": (0, 1),
    "open": (-1, 0),
    "openat": (0, 1),
    "rename": (-1, 1),
    "renameat": (2, 3),
    "renameat2": (2, 3),
    "rmdir": (-1, 0),
    "symlink": (-1, 1),
    "symlinkat": (1, 2),
    "truncate": (-1, 0),
    "unlink": (-1, 0),
    "unlinkat": (0, 1),
}
# By call: the arguments with the address and its length.
ADDRESSES = {"connect": (1, 2), "bind": (1, 2), "sendto": (4, 5)}


def rules(own_network: bool) -> list[Rule]:
    """The rules for all calls that are not simply allowed. With a private network namespace (`own_network`)
    sockets may be created and their addresses are reported; without, only socketpair can create sockets."""
    table = [Rule(name, Verdict.REFUSED) for name in _NEVER]
    if own_network:
        table += [Rule("socket", Verdict.ALLOWED, 0, family) for family in (socket.AF_UNIX, 2, 10)]
        table += [Rule(name, Verdict.WATCHED) for name in ("bind", "connect", "sendmmsg", "sendmsg")]
        # Either an address is given, or the socket has one, which was reported.
        table.append(Rule("sendto", Verdict.WATCHED, 4, bits=_WHOLE))
    # The C library uses netlink to read the machine's addresses for a name lookup.
    table.append(Rule("socket", Verdict.QUIETLY, 0, 16))
    table.append(Rule("socket", Verdict.REFUSED))
    table += [Rule(name, Verdict.DECIDED) for name in ("kill", "tgkill", "tkill")]
    table += [Rule(name, Verdict.WATCHED) for name in PATHS]
    table.append(Rule("clone", Verdict.REFUSED, 0, bits=CLONE_NEW))
    # Their arguments are in memory, which a filter cannot read; the C library falls back to clone and openat.
    table += [Rule("clone3", Verdict.ABSENT), Rule("openat2", Verdict.ABSENT)]
    table += [Rule("ioctl", Verdict.REFUSED, 1, value) for value in (_TIOCSTI, _TIOCLINUX)]
    table += [Rule("prctl", Verdict.REFUSED, 0, value) for value in (_PR_SET_DUMPABLE, _PR_SET_SECCOMP)]
    return table


Instruction = tuple[int, int, int, int]


def program(table: Sequence[Rule], machine_name: str, heard: bool) -> list[Instruction]:
    """The filter as instructions (code, jump if true, jump if false, constant); `heard`: there is a listener.

    Rules are tried in order; the first match decides.
    """
    numbers = NUMBERS[machine_name]
    lines: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, AUDIT_ARCH[machine_name]),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine_name == "x86_64":
        # The x32 numbers are other numbers of the same calls.
        lines += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    for rule in table:
        if rule.call in numbers:
            lines += _lines(rule, numbers[rule.call], _answer(rule.verdict, heard))
    return [*lines, (_RETURN, 0, 0, ALLOW)]


def _lines(rule: Rule, number: int, answer: int) -> list[Instruction]:
    if rule.argument < 0:
        return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]
    # Both architectures are little-endian: the lower half of an argument comes first.
    low = _ARGUMENTS_AT + 8 * rule.argument
    if rule.value is not None:
        tests: list[Instruction] = [(_LOAD, 0, 0, low), (_EQUAL, 0, 1, rule.value)]
    else:
        tests = [(_LOAD, 0, 0, low), (_ANY_BIT, 0, 1, rule.bits & _LOW)]
        if rule.bits > _LOW:
            tests = [(_LOAD, 0, 0, low + 4), (_ANY_BIT, 2, 0, rule.bits >> 32), *tests]
    body: list[Instruction] = [*tests, (_RETURN, 0, 0, answer), (_LOAD, 0, 0, _NUMBER_AT)]
    return [(_EQUAL, 0, len(body), number), *body]


def _answer(verdict: Verdict, heard: bool) -> int:
    if verdict is Verdict.ALLOWED:
        return ALLOW
    if verdict is Verdict.ABSENT:
        return ERRNO | errno.ENOSYS
    if verdict is Verdict.QUIETLY:
        return ERRNO | errno.EACCES
    if heard:
        return USER_NOTIF
    return ERRNO | errno.EPERM if verdict is Verdict.REFUSED else ALLOW


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(own_network: bool, heard: bool = True) -> int:
    """Installs the filter permanently on this process and its children; returns the listener, or -1.

    Raises OSError where the kernel refuses, and KeyError on a machine without numbers.
    """
    lines = program(rules(own_network), machine(), heard)
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    whole = _Program(len(lines), ctypes.cast(packed, ctypes.c_void_p))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    result = call("seccomp", _SET_MODE_FILTER, _NEW_LISTENER if heard else 0, ctypes.byref(whole))
    return result if heard else -1
