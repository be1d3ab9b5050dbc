"""Private namespaces for pids, network, mounts and IPC.

Root creates them directly, others through a user namespace. Paths that were not given do not exist inside.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .calls import call, libc

# From linux/sched.h and linux/mount.h.
_USER, _PID, _NET, _IPC, _UTS, _MOUNTS = (
    0x10000000,
    0x20000000,
    0x40000000,
    0x08000000,
    0x04000000,
    0x00020000,
)
_PRIVATE, _RECURSIVE, _BIND = 1 << 18, 1 << 14, 1 << 12
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_DETACH = 2
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _AT_RECURSIVE, _AT_FDCWD = 1, 2, 4, 0x8000, -100
HOST_NAME = "host"


def leave() -> None:
    """Moves the process into new namespaces; its next child is pid 1 of a new pid namespace.

    The process must have one thread. Raises OSError where that is not allowed.
    """
    uid, gid = os.geteuid(), os.getegid()
    _unshare((0 if uid == 0 else _USER) | _PID | _NET | _IPC | _UTS | _MOUNTS)
    if uid:
        Path("/proc/self/setgroups").write_text("deny", "utf-8")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", "utf-8")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", "utf-8")
    name = HOST_NAME.encode()
    _checked(libc().sethostname(name, len(name)), "sethostname")


def _unshare(flags: int) -> None:
    _checked(libc().unshare(flags), "unshare")


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def build_root(
    folder: str,
    readable: Sequence[str],
    writable: Sequence[str],
    devices: Sequence[str],
    shared: str,
    hidden: Sequence[str],
    etc: Mapping[str, str],
) -> None:
    """Makes `folder` the root, with `readable` (never writable), `writable` and `devices` at their own paths,
    `shared` as /dev/shm, a /proc of this namespace, and the texts `etc` as files of /etc; `hidden` paths
    below the readable ones do not exist. Raises OSError."""
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)
    _mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m")
    _keep_links(folder)
    Path(folder, "etc").mkdir(exist_ok=True)
    for name, text in etc.items():
        Path(folder, "etc", name).write_text(text, "utf-8")
    for path in _outermost(readable):
        _give_but(hidden, folder, path)
    for path in writable:
        _give(folder, path, path, read_only=False)
    for path in devices:
        _give(folder, path, path, read_only=False, device=True)
    _give(folder, shared, "/dev/shm", read_only=False)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        Path(folder, "dev", name).symlink_to(target)
    Path(folder, "proc").mkdir(exist_ok=True)
    _mount("proc", f"{folder}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    _seal(folder)
    os.chdir(folder)
    call("pivot_root", b".", b".")
    _checked(libc().umount2(b".", _DETACH), "umount2")
    os.chdir("/")


def _outermost(paths: Sequence[str]) -> list[str]:
    """The existing paths, without those below another one; shorter paths first."""
    kept: list[str] = []
    for path in sorted({path for path in paths if Path(path).exists()}, key=len):
        if not any(path.startswith(other.rstrip("/") + "/") for other in kept):
            kept.append(path)
    return kept


def _keep_links(folder: str) -> None:
    """Copies the symbolic links of the root folder: /bin and /lib are links into /usr on most systems."""
    for entry in os.scandir("/"):
        if entry.is_symlink():
            Path(folder + entry.path).symlink_to(Path(entry.path).readlink())


def _give_but(hidden: Sequence[str], folder: str, path: str) -> None:
    """Gives a folder entry by entry around hidden paths: a mount over a hidden path would reveal its name."""
    real = os.path.realpath(path)
    if real in hidden:
        return
    if Path(path).is_symlink() or not any(place.startswith(f"{real}/") for place in hidden):
        _give(folder, path, path, read_only=True)
        return
    Path(folder + path).mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(path):
        _give_but(hidden, folder, entry.path)


def _give(folder: str, source: str, place: str, read_only: bool, device: bool = False) -> None:
    target = Path(folder + place)
    if target.is_symlink():
        return
    if Path(source).is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(Path(source).readlink())
        return
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(source, str(target), "", _BIND | _RECURSIVE)
    flags = _ATTR_NOSUID | (0 if device else _ATTR_NODEV) | (_ATTR_RDONLY if read_only else 0)
    _set_attributes(str(target), flags, _AT_RECURSIVE)


def accounts(user: int, home: str) -> dict[str, str]:
    """Files of /etc with one user and this machine only, so that the C library needs no name server."""
    return {
        "passwd": f"user:x:{user}:{user}:user:{home}:/bin/false\n",
        "group": f"user:x:{user}:\n",
        "hosts": f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost {HOST_NAME}\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    }


def _seal(folder: str) -> None:
    _set_attributes(folder, _ATTR_RDONLY, 0)


def _set_attributes(target: str, flags: int, how: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    call("mount_setattr", _AT_FDCWD, target.encode(), how, attributes, 32)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = libc().mount(
        source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    _checked(result, f"mount {target}")
