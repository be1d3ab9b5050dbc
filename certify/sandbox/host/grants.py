"""The paths that a worker may use: those that a plugin and the engine need, and no others."""

from __future__ import annotations

import contextlib
import os
import random
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from certify.sandbox.host import guest_copy as library
from certify.sandbox.jail.identity import FRESH_USERS
from certify.sandbox.jail.plan import ROOT, SHARED_MEMORY, Jail

OWN_FOLDERS = ("work", "tmp", "home")
# Paths that every program needs, by system.
_SYSTEM: dict[str, tuple[str, ...]] = {
    "linux": (
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/sys/devices/system",
        "/proc/driver/nvidia",
        *(
            f"/etc/{name}"
            for name in (
                "alternatives",
                "fonts",
                "ld.so.cache",
                "ld.so.conf",
                "ld.so.conf.d",
                "localtime",
                "mime.types",
                "os-release",
                "python3",
                "ssl/certs",
                "ssl/openssl.cnf",
            )
        ),
    ),
    "darwin": (
        "/usr/lib",
        "/usr/bin",
        "/usr/share",
        "/bin",
        "/System/Library",
        "/System/Cryptexes",
        "/System/Volumes/Preboot/Cryptexes",
        "/Library/Apple",
        "/Library/Fonts",
        "/private/var/db/dyld",
        "/private/var/db/timezone",
        "/private/etc/localtime",
        "/private/etc/ssl",
    ),
}
# The walls of each system: fields of `Jail`.
_WALLS = {
    "linux": ("namespaces", "landlock", "seccomp"),
    "darwin": ("seatbelt",),
    "win32": ("job",),
}
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_GPU = ("nvidia*", "nvidia-caps/*", "dri/*")


def jail_of(folder: Path, readable: Iterable[str] = (), writable: Iterable[str] = ()) -> Jail:
    """The strongest jail for a worker with this folder; creates the folders that it needs.

    `readable` and `writable` are further paths, such as the candidate's files and a model's.
    """
    user = (
        random.SystemRandom().choice(FRESH_USERS) if sys.platform == "linux" and os.geteuid() == 0 else None
    )
    own = [_owned(folder / name, user) for name in OWN_FOLDERS]
    _owned(folder / SHARED_MEMORY, user)
    (folder / ROOT).mkdir(parents=True, exist_ok=True)
    return Jail(
        folder=str(folder),
        **dict.fromkeys(_WALLS.get(sys.platform, ()), True),
        user=user,
        readable=_real([*_SYSTEM.get(sys.platform, ()), *python_paths(), *readable]),
        writable=(*own, *_real(writable)),
        devices=_real([*_DEVICES, *gpu_devices()]),
        hidden=library.harness_paths(),
    )


def closed_to_a_worker(folder: Path) -> str:
    """The first path in a folder (itself included) that we can read and a worker cannot; empty if there is
    none. If we are root, a worker runs as another user. Symbolic links are followed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return ""
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            mode = path.stat().st_mode
            needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
            if mode & needed != needed:
                return os.path.realpath(path)
    return ""


def with_targets(folders: Iterable[str]) -> tuple[str, ...]:
    """The folders, and targets of their symbolic links outside of them, as in the Hub's cache."""
    paths: dict[str, None] = {}
    for folder in folders:
        root = os.path.realpath(folder)
        paths[folder] = None
        for path in Path(root).rglob("*"):
            target = os.path.realpath(path)
            if path.is_symlink() and not Path(target).is_relative_to(root):
                paths[target] = None
    return tuple(paths)


def _owned(folder: Path, user: int | None) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        os.chown(folder, user, user)
    return os.path.realpath(folder)


def python_paths() -> list[str]:
    """This Python and its packages."""
    return [
        sys.prefix,
        sys.base_prefix,
        str(Path(sys.executable).resolve().parent),
        *library.packages(),
    ]


def gpu_devices() -> list[str]:
    return [str(path) for pattern in _GPU for path in sorted(Path("/dev").glob(pattern))]


def _real(paths: Iterable[str]) -> tuple[str, ...]:
    """The existing paths, each once, as given and with symbolic links resolved."""
    existing: list[str] = [path for path in paths if Path(path).exists()]
    return tuple(dict.fromkeys([*existing, *(os.path.realpath(path) for path in existing)]))
