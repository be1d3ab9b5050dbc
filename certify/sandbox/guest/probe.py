"""The isolation self-test: tries what a hostile plugin would try, before any candidate is loaded.

It is harmless and uses the loopback interface only. Each act reports its result; the host checks from outside
what it can.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..jail.calls import call

_STEP = 32 << 20
_NEW_USER_NAMESPACE = 0x10000000
# Unlike PTRACE_ATTACH it does not stop the traced process.
_PTRACE_SEIZE = 0x4206
_GET_KEYRING, _SESSION_KEYRING = 0, -3
# Linux only: other systems have no such interface.
_OF_LINUX = frozenset(
    {
        "connect to an abstract Unix socket",
        "open a netlink socket",
        "set up io_uring",
        "make a user namespace",
        "reach the kernel's keys",
        "load a program into the kernel (bpf)",
    }
)
# Other systems have another form of it, which is not tried yet: it counts as not stopped.
_UNTRIED = frozenset(
    {
        "read the judge's environment in /proc",
        "read the judge's memory map",
        "attach to its parent (ptrace)",
        "read its parent's memory",
        "mount a file system",
        "see the judge's process",
        "leave shared memory behind",
    }
)
# On Windows a signal 0 would be sent, and Python has no Unix sockets.
_UNTRIED_ON_WINDOWS = frozenset({"signal the judge", "connect to a Unix socket by its path"})
_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ESRCH)


def run_probe(targets: dict[str, Any]) -> list[dict[str, Any]]:
    """`targets`: `secret_file`, `outside_file`, `secret_variable`, `judge` (the host's pid), the ports `tcp`
    and `udp`, the Unix sockets `unix` (a path) and `abstract` (a name), and `shared` (a name).
    """
    host_pid, parent, loopback = targets["judge"], os.getppid(), "127.0.0.1"
    acts: dict[str, Callable[[], Any]] = {
        "see the judge's environment": lambda: os.environ[targets["secret_variable"]],
        "leave a process behind": _leave_process,
        "read a file outside the work folder": lambda: Path(targets["secret_file"]).read_text("utf-8"),
        "write a file outside the work folder": lambda: Path(targets["outside_file"]).write_text(
            "x", "utf-8"
        ),
        "read the judge's environment in /proc": lambda: _read(f"/proc/{host_pid}/environ"),
        "read the judge's memory map": lambda: _read(f"/proc/{host_pid}/maps"),
        "open a TCP connection": lambda: socket.create_connection((loopback, targets["tcp"]), 1).close(),
        "send a UDP datagram": lambda: _send_datagram(targets["udp"]),
        "connect to a Unix socket by its path": lambda: _connect(targets["unix"]),
        "connect to an abstract Unix socket": lambda: _connect("\0" + targets["abstract"]),
        "open a netlink socket": lambda: socket.socket(16, socket.SOCK_RAW, 0).close(),
        "set up io_uring": lambda: _try_call("io_uring_setup", 1, ctypes.create_string_buffer(120)),
        "attach to its parent (ptrace)": lambda: _in_a_fork("ptrace", _PTRACE_SEIZE, parent, 0, 0),
        "read its parent's memory": _read_parent,
        "signal the judge": lambda: os.kill(host_pid, 0),
        "make a user namespace": lambda: _in_a_fork("unshare", _NEW_USER_NAMESPACE),
        "mount a file system": _mount,
        "reach the kernel's keys": lambda: _try_call("keyctl", _GET_KEYRING, _SESSION_KEYRING, 0, 0, 0),
        "load a program into the kernel (bpf)": lambda: _try_call(
            "bpf", 0, ctypes.create_string_buffer(72), 72
        ),
        "see the judge's process": lambda: Path(f"/proc/{host_pid}").stat(),
        "see that a file is there which was not given": lambda: Path(targets["secret_file"]).stat(),
        "leave shared memory behind": lambda: Path("/dev/shm", targets["shared"]).write_bytes(b"x"),
    }
    return [_not_tried(name) or _attempt(name, act) for name, act in acts.items()]


def _not_tried(name: str, system: str = sys.platform) -> dict[str, Any]:
    if system == "linux":
        return {}
    if name in _OF_LINUX:
        return {"act": name, "stopped": True, "note": "there is no such thing on this system"}
    if name in _UNTRIED or (system == "win32" and name in _UNTRIED_ON_WINDOWS):
        return {"act": name, "stopped": False, "note": "not tried on this system"}
    return {}


def _attempt(name: str, act: Callable[[], Any]) -> dict[str, Any]:
    try:
        act()
    except Exception as error:
        number = getattr(error, "errno", None)
        return {"act": name, "stopped": True, "note": errno.errorcode.get(number or 0, type(error).__name__)}
    return {"act": name, "stopped": False, "note": ""}


def _read(path: str) -> None:
    if not Path(path).read_bytes()[:1]:
        raise PermissionError(errno.EACCES, "empty")


def _send_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"x", ("127.0.0.1", port))


def _connect(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(1)
        stream.connect(address)


def _try_call(name: str, *arguments: object) -> None:
    """An error of the kernel about the arguments means that the call reached the kernel."""
    try:
        result = call(name, *arguments)
    except OSError as error:
        if error.errno in _REFUSED:
            raise
        return
    if name in ("io_uring_setup", "bpf"):
        os.close(result)


def _read_parent() -> None:
    local = ctypes.create_string_buffer(8)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(local), 8)
    theirs = (ctypes.c_size_t * 2)(ctypes.addressof(local), 8)
    _try_call("process_vm_readv", os.getppid(), ours, 1, theirs, 1, 0)


def _mount() -> None:
    """Mounts on a new folder of ours, and unmounts at once."""
    Path("mounted").mkdir(exist_ok=True)
    call("mount", b"none", b"mounted", b"tmpfs", 0, None)
    call("umount2", b"mounted", 0)


def _in_a_fork(name: str, *arguments: object) -> None:
    """Tries in a child process what would change this process."""
    child = os.fork()
    if child == 0:
        try:
            _try_call(name, *arguments)
        except OSError as error:
            os._exit(error.errno or 1)
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, name)


def crowd(processes: int) -> int:
    """Starts idle processes and waits a second, so that a watchdog can end us; returns how many started."""
    for made in range(processes):
        try:
            _idle()
        except OSError:
            return made
    time.sleep(1)
    return processes


def _idle() -> None:
    if sys.platform == "win32":
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(5)"])
    elif os.fork() == 0:
        time.sleep(5)
        os._exit(0)


def hoard(size: int) -> int:
    """Allocates `size` bytes of memory in steps and holds them for a second; returns the allocated bytes."""
    held = []
    for _ in range(size // _STEP):
        try:
            held.append(bytearray(os.urandom(64)) * (_STEP // 64))
        except MemoryError:
            break
        time.sleep(0.01)
    time.sleep(1)
    return len(held) * _STEP


def _leave_process() -> None:
    """Starts a daemon that lives for a minute; the host checks whether it outlives us."""
    if sys.platform == "win32":
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"])
    elif os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            time.sleep(60)
        os._exit(0)
    else:
        os.wait()
